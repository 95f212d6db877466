//! Times of runs, from the first steps of each.

use convnext_io::{METRICS_FILE, SUMMARY_FILE};
use convnext_train::{EpochReport, StepReport, Summary};

use crate::error::{StudyError, damaged};
use crate::lengths::length_key;
use crate::plan::PlannedRun;
use crate::results::{Ending, read_json, text};
use crate::stage::Stage;
use crate::study_folder::StudyFolder;

/// The time that a run takes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cost {
    /// Seconds that do not grow with its length.
    pub(crate) fixed: f64,
    /// Seconds of an epoch, with a validation.
    pub(crate) epoch: f64,
    pub(crate) steps_per_epoch: f64,
}

/// The times of runs, and the seconds that were spent to find them.
pub(crate) struct Costs {
    timed: Vec<Timed>,
    /// Runs that came to no end when they were timed, with their errors.
    failures: Vec<(String, String)>,
    pub(crate) spent: f64,
}

/// A run that was timed.
struct Timed {
    key: String,
    stage: Stage,
    labels: Option<usize>,
    cost: Cost,
}

impl Costs {
    /// Of the runs of a study that was run for a few steps.
    pub(crate) fn of(folder: &StudyFolder, runs: &[PlannedRun]) -> Self {
        let mut costs = Self { timed: Vec::new(), failures: Vec::new(), spent: 0.0 };
        for run in runs {
            let Some(result) = folder.result(&run.id) else { continue };
            costs.spent += result.seconds;
            match cost(run, &result.ending, result.seconds) {
                Ok(cost) => {
                    costs.timed.push(Timed { key: key(run), stage: run.stage, labels: run.labels, cost });
                }
                Err(error) => costs.failures.push((run.id.clone(), error)),
            }
        }
        costs
    }

    /// The time of a run. One that diverged or failed, and one that needs it, is taken for as slow as the slowest of its
    /// stage, with the same number of labels if there is one: it may well come to its end at another length.
    ///
    /// # Errors
    /// [`StudyError::Timing`] where no training of the stage came to its end.
    pub(crate) fn of_run(&self, run: &PlannedRun) -> Result<Cost, StudyError> {
        let own = self.timed.iter().find(|timed| timed.key == key(run)).map(|timed| timed.cost);
        let slowest = |is_meant: &dyn Fn(&&Timed) -> bool| {
            let meant = self.timed.iter().filter(|timed| timed.stage == run.stage).filter(is_meant);
            meant.map(|timed| timed.cost).max_by(|a, b| (a.epoch + a.fixed).total_cmp(&(b.epoch + b.fixed)))
        };
        let found =
            own.or_else(|| slowest(&|timed| timed.labels == run.labels)).or_else(|| slowest(&|_| true));
        match found {
            Some(cost) => Ok(cost),
            None if !run.stage.is_training() => Ok(Cost::default()),
            None => {
                let unknown = || (run.id.clone(), "it did not come to its end".to_owned());
                let (run, why) = self.failures.first().cloned().unwrap_or_else(unknown);
                Err(StudyError::Timing { run, why })
            }
        }
    }
}

fn key(run: &PlannedRun) -> String {
    length_key(&run.name, run.labels)
}

/// The time of a run that came to its end, or the reason why there is none.
fn cost(run: &PlannedRun, ending: &Ending, seconds: f64) -> Result<Cost, String> {
    match ending {
        Ending::Finished { epochs, .. } => measured(run, epochs, seconds).map_err(|error| error.to_string()),
        Ending::Diverged { error } | Ending::Failed { error } => Err(error.clone()),
    }
}

/// The time of a run that was timed for a few steps.
fn measured(run: &PlannedRun, epochs: &[EpochReport], seconds: f64) -> Result<Cost, StudyError> {
    if !run.stage.is_training() {
        return Ok(Cost { fixed: seconds, ..Cost::default() });
    }
    let path = run.folder.join(SUMMARY_FILE);
    let missing = |what: &str| damaged(&path, format!("{what} is missing of a run that was timed"));
    let summary: Summary = read_json(&path)?.ok_or_else(|| missing("it"))?;
    let last = epochs.last().filter(|last| last.epochs > 0.0).ok_or_else(|| missing("the epoch"))?;
    let speed = images_per_second(run)?.ok_or_else(|| missing("the speed"))?;
    let steps_per_epoch = last.step as f64 / last.epochs;
    let training = summary.images as f64 / speed;
    let rest = (seconds - training * last.epochs).max(0.0);
    // A training validates as often as that takes no longer than the training itself.
    Ok(Cost { fixed: rest, epoch: training + rest.min(training), steps_per_epoch })
}

/// The median speed of a run's steps.
fn images_per_second(run: &PlannedRun) -> Result<Option<f64>, StudyError> {
    let text = text(&run.folder.join(METRICS_FILE))?.unwrap_or_default();
    let steps = text.lines().filter_map(|line| serde_json::from_str::<StepReport>(line).ok());
    let mut speeds: Vec<f64> = steps.map(|step| step.images_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    Ok(speeds.get(speeds.len() / 2).copied().filter(|speed| *speed > 0.0))
}
