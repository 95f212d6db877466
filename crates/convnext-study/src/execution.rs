//! Execution of a plan: several commands at once, each after the one that it needs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::error::StudyError;
use crate::plan::PlannedRun;
use crate::results::{Ending, RunResult, measured};
use crate::runner::{CommandEnd, Runner, StudyObserver};
use crate::schedule::{Stand, missing, next_run};
use crate::study_folder::StudyFolder;

/// Runs what of a plan has not ended yet, at most `parallel` commands at once, and records how each ends. A failed command
/// keeps those from running that need it, and no others.
pub(crate) fn execute(
    folder: &mut StudyFolder,
    plan: &[PlannedRun],
    parallel: usize,
    runner: &dyn Runner,
    observer: &dyn StudyObserver,
) -> Result<(), StudyError> {
    let stands = plan.iter().map(|run| stand_of(folder.result(&run.id))).collect();
    let shared = Mutex::new(Shared { stands, folder, error: None });
    let workers = Workers { plan, shared, changed: Condvar::new(), runner, observer };
    thread::scope(|scope| {
        for _ in 0..parallel {
            scope.spawn(|| workers.work());
        }
    });
    workers.shared.into_inner().unwrap_or_else(PoisonError::into_inner).error.map_or(Ok(()), Err)
}

/// A run that failed is tried again: the reason may be gone. One that diverged would do so again.
fn stand_of(result: Option<&RunResult>) -> Stand {
    match result.map(|result| &result.ending) {
        Some(Ending::Finished { .. }) => Stand::Finished,
        Some(Ending::Diverged { .. }) => Stand::Diverged,
        Some(Ending::Failed { .. }) | None => Stand::Open,
    }
}

/// The state that workers share.
struct Shared<'a> {
    stands: Vec<Stand>,
    folder: &'a mut StudyFolder,
    /// Reason to end the study early.
    error: Option<StudyError>,
}

struct Workers<'a> {
    plan: &'a [PlannedRun],
    shared: Mutex<Shared<'a>>,
    /// Signalled when a run has ended.
    changed: Condvar,
    runner: &'a dyn Runner,
    observer: &'a dyn StudyObserver,
}

impl<'a> Workers<'a> {
    fn lock(&self) -> MutexGuard<'_, Shared<'a>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(place) = self.next() {
            let run = &self.plan[place];
            self.observer.begins(run, place + 1, self.plan.len());
            let clock = Instant::now();
            let run = self.without_diverged(run);
            let end = self.runner.run(&run);
            self.end(place, &run, end, clock.elapsed().as_secs_f64());
            self.changed.notify_all();
        }
    }

    /// The place of a run that can begin, as soon as there is one; `None` when nothing is left to do.
    fn next(&self) -> Option<usize> {
        let mut shared = self.lock();
        loop {
            if self.runner.interrupted() {
                shared.error.get_or_insert(StudyError::Interrupted);
            }
            if shared.error.is_some() {
                return None;
            }
            self.leave_out(&mut shared);
            if let Some(place) = next_run(self.plan, &shared.stands) {
                shared.stands[place] = Stand::Running;
                return Some(place);
            }
            if !shared.stands.contains(&Stand::Running) {
                return None;
            }
            shared = self.changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A run without the networks that there are none of, because they diverged.
    fn without_diverged(&self, run: &PlannedRun) -> PlannedRun {
        let stands = &self.lock().stands;
        let lost: Vec<usize> =
            run.needs.iter().copied().filter(|needed| stands[*needed] == Stand::Diverged).collect();
        run.without(&lost, self.plan)
    }

    /// Gives up what needs a run without an end. A plan has each run after the one that it needs.
    fn leave_out(&self, shared: &mut Shared<'_>) {
        for (place, run) in self.plan.iter().enumerate() {
            let needed = missing(run, &shared.stands);
            if let Some(needed) = needed.filter(|_| shared.stands[place] == Stand::Open) {
                shared.stands[place] = Stand::Unfinished;
                self.observer.left_out(run, &self.plan[needed].id);
            }
        }
    }

    /// Records how a run ended, which may have looked at fewer networks than planned.
    fn end(&self, place: usize, run: &PlannedRun, end: CommandEnd, seconds: f64) {
        let mut shared = self.lock();
        let metrics = shared.folder.study().metrics.clone();
        let ended = match end {
            CommandEnd::Interrupted => Err(StudyError::Interrupted),
            // What it wrote may be damaged: that ends no other run.
            CommandEnd::Success(printed) => Ok(measured(run, &metrics, printed.as_ref(), seconds)
                .unwrap_or_else(|error| (Ending::Failed { error: error.to_string() }, seconds))),
            CommandEnd::Failure { error, diverged: true } => Ok((Ending::Diverged { error }, seconds)),
            CommandEnd::Failure { error, diverged: false } => Ok((Ending::Failed { error }, seconds)),
        };
        let recorded = ended.and_then(|ended| {
            let stand = match &ended.0 {
                Ending::Finished { .. } => Stand::Finished,
                Ending::Diverged { .. } => Stand::Diverged,
                Ending::Failed { .. } => Stand::Unfinished,
            };
            let without = self.plan[place].needs.iter().filter(|needed| !run.needs.contains(needed));
            let without = without.map(|needed| self.plan[*needed].name.clone()).collect();
            let result = RunResult { without, ..RunResult::of(run, ended) };
            self.observer.ended(run, &result);
            shared.stands[place] = stand;
            shared.folder.record(result)
        });
        if let Err(error) = recorded {
            // Others end as they would, but nothing new begins.
            shared.stands[place] = Stand::Unfinished;
            shared.error.get_or_insert(error);
        }
    }
}
