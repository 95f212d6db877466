//! Lines about the progress of a study.

use convnext::study::{Ending, PlannedRun, RunResult, ShownMetric, StudyObserver};
use convnext::train::duration_in_words;

use crate::cli::output::print_progress;

/// A line on standard error when a run begins, and one when it ends.
pub(super) struct StudyProgress {
    /// `true` for failures alone.
    pub(super) quiet: bool,
    /// Metrics of the study.
    pub(super) metrics: Vec<ShownMetric>,
}

impl StudyProgress {
    fn line(&self, text: &str) {
        if !self.quiet {
            print_progress(text);
        }
    }

    /// The first metric that a run has, and its last training loss otherwise.
    fn result(&self, ending: &Ending) -> String {
        let Ending::Finished { epochs, .. } = ending else { return String::new() };
        let shown = self.metrics.iter().find_map(|metric| {
            let mean = metric.scale() * ending.mean(&metric.name)?;
            let unit = if metric.percent { " %" } else { "" };
            Some(format!("{} {}{unit}, ", metric.label, metric.in_words(mean)))
        });
        let loss = || epochs.last().map(|epoch| format!("train loss {:.4}, ", epoch.train_loss));
        shown.or_else(loss).unwrap_or_default()
    }
}

impl StudyObserver for StudyProgress {
    fn begins(&self, run: &PlannedRun, place: usize, count: usize) {
        self.line(&format!("run {place} of {count}: {}, {}", run.id, run.stage));
    }

    fn ended(&self, run: &PlannedRun, result: &RunResult) {
        let time = duration_in_words(result.seconds);
        match &result.ending {
            ending @ Ending::Finished { .. } => {
                let unstable = ending.instability().map(|losses| format!(", unstable: {losses}"));
                let unstable = unstable.unwrap_or_default();
                self.line(&format!("  {}: {}{time}{unstable}", run.id, self.result(ending)));
            }
            Ending::Diverged { error } => self.line(&format!("  {}: {error}", run.id)),
            Ending::Failed { error } => print_progress(&format!("  {} failed: {error}", run.id)),
        }
    }

    fn left_out(&self, run: &PlannedRun, needed: &str) {
        self.line(&format!("  {} is left out, because it needs {needed}", run.id));
    }

    fn message(&self, text: &str) {
        self.line(text);
    }
}
