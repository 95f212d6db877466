//! The sentences under the table of a study.

use convnext_train::{Direction, EpochReport, Metric, UNSTABLE};

use crate::outcome::StudyOutcome;
use crate::results::Ending;

impl StudyOutcome {
    /// A sentence or two about what the numbers of the table are.
    pub fn legend(&self) -> String {
        let mut text = match self.options.seeds {
            1 => "One seed, so that there is no standard deviation.".to_owned(),
            seeds => {
                format!("Mean ± standard deviation over {seeds} seeds (n - 1), comparisons seed by seed.")
            }
        };
        if self.plan.iter().any(|run| run.stage.is_training()) {
            text += " The weights are the last ones.";
        }
        let reused = self.results.iter().flatten().filter(|result| result.reused_from.is_some()).count();
        if reused > 0 {
            text += &format!(" {reused} of {} runs are those of other studies.", self.plan.len());
        }
        if self.is_any_unstable() {
            text += &format!(" Unstable: of the run, or of one that it starts from, {UNSTABLE}.");
        }
        if self.has_gaps() {
            text += " Layers without a value, such as those that are 0 in every image, are in no mean.";
        }
        if self.has_averages() {
            text += " The paper's numbers are those of the moving average of the weights where its recipe keeps one; that of \
                     ours is in the reports of the runs.";
        }
        let names_its_own = self.study.rows.iter().any(|row| row.against.is_some());
        if let Some(baseline) = self.study.baseline.as_ref().filter(|_| !names_its_own) {
            text += &format!(" Rows are compared with '{baseline}'.");
        }
        text
    }

    fn is_any_unstable(&self) -> bool {
        self.results.iter().flatten().any(|result| result.ending.instability().is_some())
    }

    /// `true` if a layer has no value.
    fn has_gaps(&self) -> bool {
        self.results.iter().flatten().any(|result| match &result.ending {
            Ending::Finished { values, .. } => {
                values.values().any(|list| list.len() > 1 && list.contains(&None))
            }
            Ending::Diverged { .. } | Ending::Failed { .. } => false,
        })
    }

    /// `true` if the paper is quoted, and a moving average of the weights was measured as well.
    fn has_averages(&self) -> bool {
        let keys: Vec<String> = self.study.metrics.iter().map(|metric| averaged_key(&metric.name)).collect();
        let has = |report: &EpochReport| keys.iter().any(|key| report.validation.contains_key(key));
        let endings = self.results.iter().flatten().map(|result| &result.ending);
        let is_measured = endings.into_iter().any(|ending| match ending {
            Ending::Finished { epochs, .. } => epochs.iter().any(has),
            Ending::Diverged { .. } | Ending::Failed { .. } => false,
        });
        is_measured && self.study.rows.iter().any(|row| !row.paper.is_empty())
    }
}

/// The key of a metric of the average in the report of an epoch.
fn averaged_key(name: &str) -> String {
    Metric::new(name, None, Direction::HigherIsBetter).averaged_key()
}
