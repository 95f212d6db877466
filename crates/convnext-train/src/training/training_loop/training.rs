//! A training in progress: where it stands, and whether it is over.

use std::time::Instant;

use crate::error::TrainError;
use crate::run::checkpoint::Progress;
use crate::run::shared_run::SharedRun;
use crate::run::train_setup::TrainSetup;
use crate::training::divergence::Divergence;
use crate::training::learner::Learner;
use crate::training::pace::Pace;
use crate::training::step_share::StepShare;
use crate::training::task::Task;

/// A training in progress.
pub(super) struct Training<'a, T: Task> {
    pub(super) task: &'a T,
    pub(super) setup: &'a TrainSetup<T::Source>,
    pub(super) share: StepShare,
    pub(super) run: SharedRun<'a>,
    pub(super) learner: Learner<T::Model>,
    pub(super) progress: Progress,
    /// Seconds of the processes before this one.
    pub(super) seconds_before: f64,
    /// `true` if there was a process before this one.
    pub(super) resumed: bool,
    pub(super) pace: Pace,
    pub(super) started: Instant,
    pub(super) saved_at: Instant,
}

impl<'a, T: Task> Training<'a, T> {
    /// A training from this progress on.
    pub(super) fn new(
        task: &'a T,
        setup: &'a TrainSetup<T::Source>,
        run: SharedRun<'a>,
        learner: Learner<T::Model>,
        share: StepShare,
        progress: Progress,
    ) -> Self {
        Self {
            task,
            setup,
            share,
            run,
            learner,
            seconds_before: progress.seconds,
            resumed: progress.step > 0,
            progress,
            pace: Pace::default(),
            started: Instant::now(),
            saved_at: Instant::now(),
        }
    }

    /// `true` if all steps are made.
    pub(super) fn is_finished(&self) -> bool {
        self.progress.step >= self.setup.schedule.total_steps
    }

    /// `true` if the patience is over.
    pub(super) fn is_stopped_early(&self) -> bool {
        self.setup.patience.is_some_and(|patience| self.progress.since_best >= patience)
    }

    /// `true` if all steps of the epoch are made; the last epoch may be cut short.
    pub(super) fn is_epoch_over(&self) -> bool {
        self.progress.epoch_steps >= self.setup.steps_per_epoch() || self.is_finished()
    }

    /// `true` if this was the last step before the run was extended. Its weights are perhaps the best that
    /// were kept, so that it stays measured.
    pub(super) fn was_last_step(&self) -> bool {
        self.progress.step == self.progress.total_steps
    }

    /// Seconds of the training so far, over all processes.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// Non-finite values during training count as divergence of the training, not as damaged weights.
    pub(super) fn diverged(&self, error: TrainError, step: usize) -> TrainError {
        match error {
            TrainError::NotFinite { what } => {
                TrainError::Diverged { step, what, checkpoint: self.run.last_checkpoint_in_words() }
            }
            other => other,
        }
    }

    /// The error that ended the training; the run's metrics note a divergence.
    pub(super) fn noted(&mut self, error: TrainError) -> TrainError {
        if let TrainError::Diverged { step, what, .. } = &error {
            let divergence = Divergence { step: *step, what: what.clone() };
            // That it diverged matters more than that this cannot be noted.
            if let Err(unwritten) = self.run.write(|run| run.record_divergence(&divergence)) {
                log::warn!("{unwritten}");
            }
        }
        error
    }
}
