//! The end of the program: what it says of an error, and the one place of its exit codes.

use std::thread;
use std::time::Duration;

use convnext::distributed::{Launch, RankFailure};
use convnext::study::StudyError;
use convnext::train::{Interruption, TrainError};
use thiserror::Error;

use super::launched::{LaunchError, Launched};
use super::output::{is_broken_pipe, print_progress};

/// The program was stopped by Ctrl-C or SIGTERM.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// It stopped because SIGUSR1 asked for its machine, and wants to be started again.
pub(crate) const EXIT_REQUEUED: u8 = 75;

/// An error of data, files or a combination of settings.
const EXIT_FAILURE: u8 = 1;

/// The same in a job of a launcher: launchers give 1 when a machine is lost, after which starting again helps.
const EXIT_FAILURE_OF_JOB: u8 = 65;

/// Time between two ranks that would say the same, and the number of the last turn: all are gone within seconds.
const TURN: Duration = Duration::from_millis(600);
const LAST_TURN: usize = 4;

/// A study that was asked for its machine.
#[derive(Debug, Error)]
#[error("interrupted; go on with the same command and --resume")]
pub(crate) struct Requeued;

/// Says why the ranks of a job could not be joined, which each finds out by itself; the exit code.
pub(crate) fn start_failed(launch: Option<&Launch>, error: &anyhow::Error) -> u8 {
    if launch.is_none_or(Launch::is_first) {
        print_progress(&format!("error: {error:#}"));
    }
    EXIT_FAILURE_OF_JOB
}

/// The exit code of a process that ends well or with a code of its own: what the job ends with is up to rank 0, so the others say
/// nothing where they cannot wait for it.
pub(crate) fn exit_code(launched: &Launched, code: u8) -> u8 {
    if launched.is_cut_off() && !launched.is_first() { 0 } else { code }
}

/// Says what ended a command; the exit code.
///
/// An error that all ranks know of is said by rank 0, and all leave in order. Any other one is of this rank alone, while the
/// others go on or wait for it: it says so itself and ends the job.
pub(crate) fn end(launched: &Launched, error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        return 0;
    }
    let interruption = interruption(error);
    let code = match interruption {
        Some(Interruption::Stop) => EXIT_INTERRUPTED,
        Some(Interruption::Requeue) => EXIT_REQUEUED,
        None if launched.is_launched() => EXIT_FAILURE_OF_JOB,
        None => EXIT_FAILURE,
    };
    let ranks = launched.ranks();
    if !ranks.is_alone() && !is_known_to_all(error) {
        speak_in_turn(ranks.rank());
        print_progress(&format!("error: rank {} on {}: {error}", ranks.rank(), ranks.host()));
        ranks.abort(i32::from(code));
    }
    if launched.is_first() {
        let kind = if interruption.is_some() { "" } else { "error: " };
        print_progress(&format!("{kind}{error}"));
    }
    exit_code(launched, code)
}

/// Waits a moment on all ranks but the first: where several meet the same fault, the first one to say so ends the others.
pub(crate) fn speak_in_turn(rank: usize) {
    thread::sleep(TURN * rank.min(LAST_TURN) as u32);
}

/// What the error of a training or a study that was asked to end says.
fn interruption(error: &anyhow::Error) -> Option<Interruption> {
    if let Some(TrainError::Interrupted { interruption, .. }) = error.downcast_ref() {
        return Some(*interruption);
    }
    let is_stopped = matches!(error.downcast_ref(), Some(StudyError::Interrupted));
    let stopped = is_stopped.then_some(Interruption::Stop);
    stopped.or_else(|| error.is::<Requeued>().then_some(Interruption::Requeue))
}

/// `true` for errors that come to all ranks at once.
fn is_known_to_all(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        use TrainError::{Diverged, Interrupted, NotFinite, Rank, Step};
        // A rank's failure in an error of training stands for it, and so is none of its causes.
        let of_training = matches!(
            cause.downcast_ref(),
            Some(Interrupted { .. } | Diverged { .. } | NotFinite { .. } | Rank(_) | Step(_))
        );
        of_training || cause.is::<RankFailure>() || cause.is::<LaunchError>()
    })
}
