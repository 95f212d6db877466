//! Lengths by a time: the first steps of each kind of run are timed, and one factor is chosen for all.

use std::path::Path;
use std::{fs, io};

use convnext_train::duration_in_words;

use crate::costs::{Cost, Costs};
use crate::error::{StudyError, unwritable};
use crate::execution::execute;
use crate::lengths::{Steps, length_key, printed_epochs};
use crate::options::StudyOptions;
use crate::plan::{PlannedRun, plan};
use crate::runner::{Runner, StudyObserver};
use crate::schedule::duration;
use crate::study::Study;
use crate::study_folder::StudyFolder;

/// Folder of the timed runs in that of a study.
const TIMING_FOLDER: &str = "timing";

/// Steps of a run that is timed.
const TIMED_STEPS: usize = 4;

/// Share of the time that is planned: machines get slower.
const PLANNED_SHARE: f64 = 0.9;

/// Halvings of the interval in which the factor lies: more than the steps of any run can tell.
const HALVINGS: usize = 40;

/// Lengths of all trainings, by one factor on their epochs in the paper, so that the whole study takes about a time; no
/// longer than in the paper. A run that fails or diverges when it is timed gets a length like the others.
///
/// # Errors
/// [`StudyError::Timing`] when no run of a stage comes to its end, [`StudyError::Budget`] when the time suffices for no
/// training.
pub(crate) fn choose_steps(
    folder: &StudyFolder,
    seconds: u64,
    parallel: usize,
    runner: &dyn Runner,
    observer: &dyn StudyObserver,
) -> Result<Steps, StudyError> {
    let study = folder.study();
    let all = plan(study, folder.options(), folder.folder())?;
    let costs = time_runs(folder, &all, runner, observer)?;
    let time = PLANNED_SHARE * (seconds as f64 - costs.spent);
    let costs = all.iter().map(|run| costs.of_run(run)).collect::<Result<Vec<Cost>, _>>()?;
    let schedule = Schedule { study, plan: &all, costs: &costs, parallel };
    let budget = duration_in_words(seconds as f64);
    let factor = schedule.factor(time).ok_or_else(|| StudyError::Budget {
        runs: all.len(),
        least: duration_in_words(schedule.seconds(0.0)),
        budget: budget.clone(),
    })?;
    let takes = duration_in_words(schedule.seconds(factor));
    observer.message(&if factor < 1.0 {
        format!(
            "lengths are {factor:.3} times the epochs of the study, so that {} runs take about {budget}",
            all.len()
        )
    } else {
        format!(
            "lengths are the epochs of the study and no more: {} runs take about {takes} of {budget}",
            all.len()
        )
    });
    let length = |(run, cost): (&PlannedRun, &Cost)| {
        let steps = factor * epochs(study, run) * cost.steps_per_epoch;
        (length_key(&run.name, run.labels), (steps as usize).max(1))
    };
    Ok(all.iter().zip(&costs).filter(|(run, _)| run.stage.is_training()).map(length).collect())
}

/// Removes the timed runs from the folder of a study, whose lengths are chosen.
pub(crate) fn remove_timed(folder: &Path) -> Result<(), StudyError> {
    let place = folder.join(TIMING_FOLDER);
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(&place, error)),
        _ => Ok(()),
    }
}

/// Runs a few steps of each kind of run, one after the other.
fn time_runs(
    folder: &StudyFolder,
    all: &[PlannedRun],
    runner: &dyn Runner,
    observer: &dyn StudyObserver,
) -> Result<Costs, StudyError> {
    let once = StudyOptions { seeds: 1, budget: None, ..folder.options().clone() };
    let steps = all.iter().map(|run| (length_key(&run.name, run.labels), TIMED_STEPS)).collect();
    let place = folder.folder().join(TIMING_FOLDER);
    let mut timed = StudyFolder::open_with(&place, folder.study(), &once, &steps, true)?;
    let runs = timed.plan()?;
    observer.message(&format!("timing {} runs of {TIMED_STEPS} steps", runs.len()));
    execute(&mut timed, &runs, 1, runner, observer)?;
    Ok(Costs::of(&timed, &runs))
}

/// Epochs of a run in the paper; 0 of one that is no training.
fn epochs(study: &Study, run: &PlannedRun) -> f64 {
    study.run(&run.name).and_then(|run| printed_epochs(study, run)).unwrap_or_default() as f64
}

/// Runs and their times, as they will be run.
struct Schedule<'a> {
    study: &'a Study,
    plan: &'a [PlannedRun],
    /// In the order of the plan.
    costs: &'a [Cost],
    parallel: usize,
}

impl Schedule<'_> {
    /// Seconds of all runs together, with a factor on their epochs.
    fn seconds(&self, factor: f64) -> f64 {
        let seconds = self.plan.iter().zip(self.costs);
        let seconds = seconds.map(|(run, cost)| cost.fixed + factor * epochs(self.study, run) * cost.epoch);
        duration(self.plan, &seconds.collect::<Vec<f64>>(), self.parallel)
    }

    /// The largest factor up to 1 by which all runs together take a time; `None` if nothing is left for epochs.
    fn factor(&self, time: f64) -> Option<f64> {
        if self.seconds(0.0) >= time {
            return None;
        }
        if self.seconds(1.0) <= time {
            return Some(1.0);
        }
        let halve = |(low, high): (f64, f64), _| {
            let middle = f64::midpoint(low, high);
            if self.seconds(middle) <= time { (middle, high) } else { (low, middle) }
        };
        Some((0..HALVINGS).fold((0.0, 1.0), halve).0)
    }
}
