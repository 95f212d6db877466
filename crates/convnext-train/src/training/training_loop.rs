//! The one training loop, generic over what is learnt.

use std::time::{Duration, Instant};

use burn::module::Module;
use convnext_data::BackgroundCheck;

use crate::error::TrainError;
use crate::run::checkpoint::Progress;
use crate::run::lesson::Lesson;
use crate::run::run_folder::{AVERAGED_WEIGHTS_FILE, BEST_WEIGHTS_FILE, RunFolder, WEIGHTS_FILE};
use crate::run::summary::Summary;
use crate::training::goal::Goal;
use crate::training::learner::Learner;
use crate::training::metric::{AVERAGE_PREFIX, Metric};
use crate::training::observer::{EpochReport, Observer, StepReport};
use crate::training::task::Task;

/// How often a checkpoint is written if nobody says otherwise.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(5 * 60);

/// Trains until `lesson.schedule.total_steps` steps are made, from the newest checkpoint of the run
/// folder on if it has one, and saves the weights there, with a moving average that as well, and those that
/// validated best.
///
/// A checkpoint is written every `lesson.checkpoint_every`, and after each epoch before it is measured: a
/// broken validation image must not cost the epoch. A training that is stopped at any moment and goes
/// on from a checkpoint computes the same bits as one that was not.
///
/// # Errors
/// [`TrainError::Diverged`] when a loss is not finite, [`TrainError::Interrupted`] when the observer asks
/// for it, and whatever the task, the loader and the run folder report.
pub fn train<T: Task>(
    task: &T,
    mut learner: Learner<T::Model>,
    lesson: &Lesson<T::Source>,
    run: &mut RunFolder,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let mut progress = Progress::default();
    if let Some((file, saved)) = run.newest_checkpoint()? {
        let path = run.checkpoints().path(saved.step);
        learner
            .restore(file.arrays, &saved.parameter_steps)
            .map_err(|source| TrainError::Weights { path, source })?;
        lesson.loader.restore_corrupt(saved.corrupt.clone());
        progress = saved;
    }
    let mut training = Training {
        task,
        lesson,
        // A step has at least one batch and an epoch at least one step, or the run would never end.
        accumulate: lesson.accumulate.max(1),
        run,
        learner,
        seconds_before: progress.seconds,
        progress,
        started: Instant::now(),
        saved_at: Instant::now(),
    };
    let last = loop {
        training.finish_steps(observer)?;
        let report = training.finish_epoch()?;
        observer.epoch(&report);
        if training.is_finished() {
            break report;
        }
        let progress = &mut training.progress;
        (progress.epoch, progress.epoch_steps, progress.epoch_loss) = (progress.epoch + 1, 0, 0.0);
    };
    let summary = training.summary(last);
    training.run.finish(&summary)?;
    let corrupt = summary.corrupt.len();
    if corrupt > 0 {
        log::warn!("{corrupt} of {} images could not be read and were replaced by others", summary.images);
    }
    Ok(summary)
}

/// What happens between two steps.
enum Decision {
    GoOn,
    /// A checkpoint is due.
    Save,
    /// The training ends here, with a checkpoint.
    Stop(TrainError),
}

/// A training on its way.
struct Training<'a, T: Task> {
    task: &'a T,
    lesson: &'a Lesson<T::Source>,
    accumulate: usize,
    run: &'a mut RunFolder,
    learner: Learner<T::Model>,
    progress: Progress,
    /// Seconds of the processes before this one.
    seconds_before: f64,
    started: Instant,
    saved_at: Instant,
}

impl<T: Task> Training<'_, T> {
    fn is_finished(&self) -> bool {
        self.progress.step >= self.lesson.schedule.total_steps
    }

    /// Makes the steps that are left of the epoch, and writes a checkpoint.
    fn finish_steps(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let Lesson { loader, schedule, .. } = self.lesson;
        let steps_per_epoch = (loader.batches_per_epoch() / self.accumulate).max(1);
        let Progress { step, epoch, epoch_steps, .. } = self.progress;
        let begun = step - epoch_steps;
        let steps = steps_per_epoch.min(schedule.total_steps.saturating_sub(begun));
        let mut batches = loader.epoch_from(epoch, epoch_steps.saturating_mul(self.accumulate));
        for epoch_step in epoch_steps..steps {
            let clock = Instant::now();
            let step = begun + epoch_step;
            let learning_rate = schedule.learning_rate(step);
            self.learner.replace(|model| self.task.before_step(model, step, schedule.total_steps));
            let lap = self
                .learner
                .step(learning_rate, batches.by_ref().take(self.accumulate), |model, batch| {
                    self.task.loss(model, batch)
                })
                .map_err(|error| self.diverged(error, step + 1))?;
            self.progress.step = step + 1;
            self.progress.epoch_steps = epoch_step + 1;
            self.progress.epoch_loss += f64::from(lap.loss.total);
            self.progress.unmeasured_images += lap.images;
            let report = StepReport {
                step: step + 1,
                total_steps: schedule.total_steps,
                epoch,
                loss: lap.loss.total,
                parts: lap.loss.parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect(),
                learning_rate,
                images_per_second: lap.images as f64 / clock.elapsed().as_secs_f64(),
            };
            self.run.record_step(&report)?;
            observer.step(&report);
            match self.decide(observer) {
                Decision::Stop(error) => {
                    self.save()?;
                    return Err(error);
                }
                // The end of the epoch saves anyway.
                Decision::Save if epoch_step + 1 < steps => self.save()?,
                Decision::Save | Decision::GoOn => {}
            }
        }
        // Nothing was done if the run goes on from the end of an epoch: the checkpoint is there.
        if epoch_steps < steps { self.save() } else { Ok(()) }
    }

    /// Everything that a clock, a signal or another thread decides, looked at once after each step: processes that
    /// share a training must come to one answer here.
    fn decide(&self, observer: &dyn Observer) -> Decision {
        if observer.interrupted() {
            let step = self.progress.step;
            let checkpoint = self.run.checkpoints().path(step);
            return Decision::Stop(TrainError::Interrupted { step, checkpoint });
        }
        if let Some(error) = self.lesson.headers.as_ref().and_then(BackgroundCheck::failed) {
            return Decision::Stop(error.into());
        }
        match self.saved_at.elapsed() >= self.lesson.checkpoint_every {
            true => Decision::Save,
            false => Decision::GoOn,
        }
    }

    /// Measures and reports the epoch; after the last one, saves the weights before that.
    fn finish_epoch(&mut self) -> Result<EpochReport, TrainError> {
        let step = self.progress.step;
        let diverged = |error| self.diverged(error, step);
        let averaged = self.learner.averaged();
        if self.is_finished() {
            let metadata = self.task.metadata();
            self.run.record_weights(WEIGHTS_FILE, self.learner.model(), metadata).map_err(diverged)?;
            if let Some(averaged) = &averaged {
                self.run.record_weights(AVERAGED_WEIGHTS_FILE, averaged, metadata).map_err(diverged)?;
            }
        }
        let Progress { epoch, epoch_steps, epoch_loss, .. } = self.progress;
        let train_loss = epoch_loss / epoch_steps.max(1) as f64;
        let mut report = EpochReport { epoch, step, train_loss, ..EpochReport::default() };
        if self.is_finished() || self.is_validation_due() {
            self.measure(averaged.as_ref(), &mut report).map_err(diverged)?;
            self.progress.unmeasured_images = 0;
        }
        let goal = self.task.goal();
        if let Some(best) = goal.best(&report, self.progress.best.as_ref()) {
            self.progress.best = Some(best);
            if goal != Goal::TrainLoss {
                let best = averaged.as_ref().filter(|_| self.is_best_average());
                let model = best.unwrap_or(self.learner.model());
                self.run
                    .record_weights(BEST_WEIGHTS_FILE, model, self.task.metadata())
                    .map_err(|error| self.diverged(error, step))?;
            }
        }
        self.run.record_epoch(&report)?;
        Ok(report)
    }

    /// Whether the end of this epoch is measured: as the recipe says, or else as soon as as many images were trained
    /// on as are measured.
    fn is_validation_due(&self) -> bool {
        match self.lesson.validate_every {
            Some(steps) => self.progress.step.is_multiple_of(steps),
            None => self.progress.unmeasured_images >= self.task.validation_images(),
        }
    }

    /// Measures the weights, and their average where there is one.
    fn measure(&self, averaged: Option<&T::Model>, report: &mut EpochReport) -> Result<(), TrainError> {
        let pictures = self.run.pictures()?;
        let measured = self.task.validate(&self.learner.model().valid(), Some(&pictures))?;
        report.monitored = self.task.goal().monitored(&measured.metrics).cloned();
        report.take_up(&measured, Metric::key);
        if let Some(averaged) = averaged {
            report.take_up(&self.task.validate(&averaged.valid(), None)?, Metric::averaged_key);
        }
        match measured.is_nothing() {
            true => Ok(()),
            false => self.run.record_evaluation(&measured),
        }
    }

    /// Whether it is the average of the weights that was best.
    fn is_best_average(&self) -> bool {
        self.progress.best.as_ref().is_some_and(|best| best.measure.starts_with(AVERAGE_PREFIX))
    }

    /// Writes a checkpoint of this moment; only of weights that are worth going on with.
    fn save(&mut self) -> Result<(), TrainError> {
        self.learner.check_finite().map_err(|error| self.diverged(error, self.progress.step))?;
        self.progress.parameter_steps = self.learner.parameter_steps();
        self.progress.corrupt = self.lesson.loader.corrupt();
        self.progress.seconds = self.seconds();
        self.run.record_checkpoint(&self.learner, self.task.metadata(), &mut self.progress)?;
        self.saved_at = Instant::now();
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// What is not finite during training is the training's doing and not that of damaged weights.
    fn diverged(&self, error: TrainError, step: usize) -> TrainError {
        match error {
            TrainError::NotFinite { what } => {
                TrainError::Diverged { step, what, checkpoint: self.run.checkpoints().last_in_words() }
            }
            other => other,
        }
    }

    fn summary(&self, last: EpochReport) -> Summary {
        Summary {
            steps: self.progress.step,
            epochs: self.progress.epoch + 1,
            images: self.lesson.loader.samples(),
            seconds: self.seconds(),
            monitored: last.monitored.clone().map(Box::new),
            last,
            best: self.progress.best.clone(),
            corrupt: self.lesson.loader.corrupt(),
        }
    }
}
