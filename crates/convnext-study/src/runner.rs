//! The way to the commands of a study: whoever runs one tells how each ends.

use serde_json::Value;

use crate::plan::PlannedRun;
use crate::results::RunResult;

/// Runs the commands of a study, from several threads at once.
pub trait Runner: Sync {
    /// Runs a command to its end, or goes on with it where it was stopped.
    fn run(&self, run: &PlannedRun) -> CommandEnd;

    /// `true` if the study shall stop.
    fn interrupted(&self) -> bool;
}

/// The way in which a command ended.
#[derive(Debug)]
pub enum CommandEnd {
    /// With success; the JSON that it printed, of a command that is no training.
    Success(Option<Value>),
    /// With an error.
    Failure {
        /// The program's message.
        error: String,
        /// `true` if a loss was not finite.
        diverged: bool,
    },
    /// Somebody stopped it.
    Interrupted,
}

/// Is told about the progress of a study.
pub trait StudyObserver: Sync {
    /// A run begins: `place` of `count`, from 1.
    fn begins(&self, run: &PlannedRun, place: usize, count: usize);

    /// A run has ended.
    fn ended(&self, run: &PlannedRun, result: &RunResult);

    /// A run cannot begin, because one that it needs did not come to its end.
    fn left_out(&self, run: &PlannedRun, needed: &str);

    /// A remark.
    fn message(&self, text: &str);
}
