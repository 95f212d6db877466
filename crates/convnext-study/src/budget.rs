//! Lengths by a time: the first steps of each kind of run are timed, and one factor is chosen for all.

use std::collections::BTreeMap;

use convnext_train::{EpochReport, StepReport, Summary, duration_in_words};

use crate::error::{StudyError, damaged};
use crate::execution::execute;
use crate::options::StudyOptions;
use crate::plan::{PlannedRun, Steps, length_key, plan};
use crate::results::{Ending, read_json, text};
use crate::runner::{Runner, StudyObserver};
use crate::study::Study;
use crate::study_folder::StudyFolder;

/// Folder of the timed runs in that of a study.
const TIMING_FOLDER: &str = "timing";

/// Steps of a run that is timed.
const TIMED_STEPS: usize = 4;

/// Share of the time that is planned: machines get slower.
const PLANNED_SHARE: f64 = 0.9;

/// Lengths of all trainings, by one factor on their epochs in the paper, so that the whole study takes about a time.
///
/// # Errors
/// [`StudyError::Timing`] when a run fails, [`StudyError::Budget`] when the time suffices for no training.
pub(crate) fn choose_steps(
    folder: &StudyFolder,
    seconds: u64,
    parallel: usize,
    runner: &dyn Runner,
    observer: &dyn StudyObserver,
) -> Result<Steps, StudyError> {
    let (study, options) = (folder.study(), folder.options());
    let all = plan(study, options, folder.folder())?;
    let once = StudyOptions { seeds: 1, budget: None, ..options.clone() };
    let steps = all.iter().map(|run| (key(run), TIMED_STEPS)).collect();
    let place = folder.folder().join(TIMING_FOLDER);
    let mut timed = StudyFolder::open_with(&place, study, &once, &steps, true)?;
    let timed_runs = timed.plan()?;
    observer.message(&format!("timing {} runs of {TIMED_STEPS} steps", timed_runs.len()));
    execute(&mut timed, &timed_runs, 1, runner, observer)?;
    let Costs { by_key: costs, spent } = Costs::of(&timed, &timed_runs)?;
    let time = PLANNED_SHARE * parallel as f64 * (seconds as f64 - spent);
    let budget = duration_in_words(seconds as f64);
    let factor = factor(study, &all, &costs, time).ok_or_else(|| StudyError::Budget {
        runs: all.len(),
        least: duration_in_words(
            all.iter().filter_map(|run| costs.get(&key(run))).map(|cost| cost.fixed).sum(),
        ),
        budget: budget.clone(),
    })?;
    observer.message(&format!(
        "lengths are {factor:.3} times the epochs of the study, so that {} runs take about {budget}",
        all.len(),
    ));
    let length = |run: &PlannedRun| {
        let steps =
            costs.get(&key(run)).map_or(0.0, |cost| factor * epochs(study, run) * cost.steps_per_epoch);
        (key(run), (steps as usize).max(1))
    };
    Ok(all.iter().filter(|run| run.stage.is_training()).map(length).collect())
}

/// The times of runs by their keys, and the seconds that were spent to find them.
struct Costs {
    by_key: BTreeMap<String, Cost>,
    spent: f64,
}

impl Costs {
    fn of(timed: &StudyFolder, runs: &[PlannedRun]) -> Result<Self, StudyError> {
        let (mut by_key, mut spent) = (BTreeMap::new(), 0.0);
        for run in runs {
            let Some(result) = timed.result(&run.id) else { continue };
            spent += result.seconds;
            match &result.ending {
                Ending::Finished { epochs, .. } => {
                    by_key.insert(key(run), Cost::of(run, epochs, result.seconds)?);
                }
                // It would do so in the study as well, after no more time.
                Ending::Diverged { .. } => {}
                Ending::Failed { error } => {
                    return Err(StudyError::Timing { run: run.id.clone(), why: error.clone() });
                }
            }
        }
        Ok(Self { by_key, spent })
    }
}

fn key(run: &PlannedRun) -> String {
    length_key(&run.name, run.labels)
}

/// Epochs of a run in the paper; 0 of one that is no training.
fn epochs(study: &Study, run: &PlannedRun) -> f64 {
    let own = study.run(&run.name).and_then(|run| run.epochs);
    let printed = own.or_else(|| study.epochs.get(&run.stage).copied());
    printed.filter(|_| run.stage.is_training()).unwrap_or_default() as f64
}

/// The time that a run takes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Cost {
    /// Seconds that do not grow with its length.
    fixed: f64,
    /// Seconds of an epoch, with a validation.
    epoch: f64,
    steps_per_epoch: f64,
}

impl Cost {
    /// Of a run that was timed for a few steps.
    fn of(run: &PlannedRun, epochs: &[EpochReport], seconds: f64) -> Result<Self, StudyError> {
        if !run.stage.is_training() {
            return Ok(Self { fixed: seconds, ..Self::default() });
        }
        let path = run.folder.join("summary.json");
        let missing = |what: &str| damaged(&path, format!("{what} is missing of a run that was timed"));
        let summary: Summary = read_json(&path)?.ok_or_else(|| missing("it"))?;
        let last = epochs.last().filter(|last| last.epochs > 0.0).ok_or_else(|| missing("the epoch"))?;
        let speed = images_per_second(run)?.ok_or_else(|| missing("the speed"))?;
        let steps_per_epoch = last.step as f64 / last.epochs;
        let training = summary.images as f64 / speed;
        let rest = (seconds - training * last.epochs).max(0.0);
        // A training validates as often as that takes no longer than the training itself.
        Ok(Self { fixed: rest, epoch: training + rest.min(training), steps_per_epoch })
    }
}

/// The median speed of a run's steps.
fn images_per_second(run: &PlannedRun) -> Result<Option<f64>, StudyError> {
    let text = text(&run.folder.join("metrics.jsonl"))?.unwrap_or_default();
    let steps = text.lines().filter_map(|line| serde_json::from_str::<StepReport>(line).ok());
    let mut speeds: Vec<f64> = steps.map(|step| step.images_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    Ok(speeds.get(speeds.len() / 2).copied().filter(|speed| *speed > 0.0))
}

/// The factor on the epochs by which all runs together take a time; `None` if nothing is left for epochs.
fn factor(study: &Study, plan: &[PlannedRun], costs: &BTreeMap<String, Cost>, time: f64) -> Option<f64> {
    let cost = |run: &PlannedRun| costs.get(&key(run)).copied().unwrap_or_default();
    let fixed: f64 = plan.iter().map(|run| cost(run).fixed).sum();
    let growing: f64 = plan.iter().map(|run| epochs(study, run) * cost(run).epoch).sum();
    (time > fixed && growing > 0.0).then(|| (time - fixed) / growing)
}
