//! The one training loop, generic over what is learnt.

mod report;
mod training;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Instant;

use convnext_data::{BackgroundCheck, CorruptFile, EpochBatches, Source};
use serde::{Deserialize, Serialize};

use self::training::Training;
use crate::error::TrainError;
use crate::optimization::schedule::Schedule;
use crate::run::checkpoint::{Checkpoints, Progress};
use crate::run::meeting::meet;
use crate::run::replicas::check_replicas;
use crate::run::run_folder::RunFolder;
use crate::run::shared_run::{SharedCheckpoint, SharedRun};
use crate::run::summary::Summary;
use crate::run::train_setup::TrainSetup;
use crate::training::epoch_report::EpochReport;
use crate::training::interruption::Interruption;
use crate::training::learner::Learner;
use crate::training::observer::{Observer, StepReport};
use crate::training::step_share::StepShare;
use crate::training::task::Task;

/// Trains until `setup.schedule.total_steps` steps are made, or the patience of `setup` is over, from the newest
/// checkpoint of the run folder on if it has one, and saves the weights there, with a moving average that as well, and
/// those that validated best.
///
/// A checkpoint is written every `setup.checkpoint_every`, after each epoch, and wherever the weights are measured,
/// before that: a broken validation image must not cost the epoch. A training that is stopped at any moment and goes
/// on from a checkpoint computes the same bits as one that was not, and reports the same.
///
/// # Errors
/// [`TrainError::Diverged`] when a loss is not finite, [`TrainError::Interrupted`] when the observer asks
/// for it, [`TrainError::UnknownMetric`] after the first validation that does not measure what the goal names, and
/// whatever the task, the loader and the run folder report.
pub fn train<T: Task>(
    task: &T,
    learner: Learner<T::Model>,
    setup: &TrainSetup<T::Source>,
    run: Option<&mut RunFolder>,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let mut share = StepShare::new(setup.ranks.clone(), setup.accumulate, setup.sum)?;
    share.is_synchronised = task.is_synchronised();
    let mut learner = learner.shared(share.clone());
    let mut run = SharedRun::new(&setup.ranks, run);
    let mut progress = Progress::default();
    if let Some(SharedCheckpoint { path, arrays, progress: saved }) = run.newest_checkpoint()? {
        let restored = learner.restore(arrays, &saved.parameter_steps);
        meet(&setup.ranks, restored.map_err(|source| TrainError::Weights { path, source }))?;
        setup.loader.restore_corrupt(saved.corrupt.clone());
        observer.message(&resumed_in_words(&saved, setup));
        progress = saved;
    }
    check_replicas(&setup.ranks, learner.model())?;
    progress.seconds_before_epoch.get_or_insert(progress.seconds);
    let mut training = Training::new(task, setup, run, learner, share, progress);
    let last = training.finish(observer).map_err(|error| training.noted(error))?;
    let summary = training.summary(last);
    training.run.write(|run| run.finish(&summary))?;
    if let Some(stop) = &summary.stopped_early {
        observer.message(&stop.to_string());
    }
    if let Some(losses) = &summary.unstable {
        log::warn!("the training was unstable: {losses}; a lower learning rate may help");
    }
    let corrupt = summary.corrupt.len();
    if corrupt > 0 {
        log::warn!("{corrupt} of {} images could not be read and were replaced by others", summary.images);
    }
    Ok(summary)
}

/// Such as `resumes at epoch 3/10, step 62 of 310, from checkpoints/step-00000062.safetensors`.
fn resumed_in_words<S: Source>(saved: &Progress, setup: &TrainSetup<S>) -> String {
    // A checkpoint after the last step of an epoch says nothing yet of the next one.
    let over = u64::from(saved.epoch_steps >= setup.steps_per_epoch());
    let (total_epochs, total_steps) = (setup.total_epochs(), setup.schedule.total_steps);
    format!(
        "resumes at epoch {}/{total_epochs}, step {} of {total_steps}, from {}",
        (saved.epoch + 1 + over).min(total_epochs),
        saved.step,
        Checkpoints::name(saved.step)
    )
}

/// What a rank wishes between two steps; the last of those of all ranks is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Wish {
    GoOn,
    Save,
    Stop(Interruption),
}

/// Action to take between two steps.
enum Decision {
    GoOn,
    /// A checkpoint is due.
    Save,
    /// The training ends here, with a checkpoint.
    Stop(TrainError),
}

impl<T: Task> Training<'_, T> {
    /// Makes all steps that are left, unless it stops early; the report after the last one.
    fn finish(&mut self, observer: &mut dyn Observer) -> Result<EpochReport, TrainError> {
        loop {
            let report = self.finish_epoch(observer)?;
            if self.is_finished() || self.is_stopped_early() {
                return Ok(report);
            }
            let seconds = self.seconds();
            let progress = &mut self.progress;
            (progress.epoch, progress.epoch_steps, progress.epoch_loss) = (progress.epoch + 1, 0, 0.0);
            progress.seconds_before_epoch = Some(seconds);
        }
    }

    /// Makes the steps that are left of the epoch, and reports where that is due; the report of its end.
    ///
    /// Each round begins where a checkpoint may have been written, by this process or by one before it: a checkpoint
    /// is written before it is measured, so what is due there is still to be done.
    fn finish_epoch(&mut self, observer: &mut dyn Observer) -> Result<EpochReport, TrainError> {
        let Progress { epoch, epoch_steps, .. } = self.progress;
        let loader = &self.setup.loader;
        let mut batches = loader.batches(epoch, self.share.numbers(epoch_steps, loader.batches_per_epoch()));
        loop {
            if self.is_report_due() {
                let report = self.report(observer)?;
                if self.is_epoch_over() || self.is_stopped_early() {
                    return Ok(report);
                }
            }
            self.make_step(&mut batches, observer)?;
            match self.decide(observer) {
                Decision::Stop(error) => {
                    self.save()?;
                    return Err(error);
                }
                Decision::Save => self.save()?,
                Decision::GoOn if self.is_report_due() => self.save()?,
                Decision::GoOn => {}
            }
        }
    }

    fn make_step(
        &mut self,
        batches: &mut EpochBatches<T::Source>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let clock = Instant::now();
        let Progress { step, epoch, .. } = self.progress;
        let Schedule { total_steps, .. } = self.setup.schedule;
        let learning_rate = self.setup.schedule.learning_rate(step);
        self.learner.replace(|model| self.task.before_step(model, step, total_steps));
        let is_first = Cell::new(step == 0);
        // What is shown is written before ranks that are synchronised begin together.
        let batches = batches.by_ref().take(self.share.own()).map(|batch| {
            let batch = batch?;
            if is_first.take()
                && let Some(images) = self.run.images()?
            {
                self.task.show_batch(&batch, &images)?;
            }
            Ok::<_, TrainError>(batch)
        });
        let output = self.learner.step(learning_rate, batches, |model, batch| self.task.loss(model, batch));
        let output = output.map_err(|error| self.diverged(error, step + 1))?;
        self.progress.step += 1;
        self.progress.learning_rate = Some(learning_rate);
        self.progress.epoch_steps += 1;
        self.progress.epoch_loss += f64::from(output.loss.total);
        self.progress.unmeasured_images += output.images;
        let report = StepReport {
            step: step + 1,
            total_steps,
            epoch,
            loss: output.loss.total,
            parts: output.loss.parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect(),
            learning_rate,
            images_per_second: output.images as f64 / clock.elapsed().as_secs_f64(),
        };
        self.run.write(|run| run.record_step(&report))?;
        observer.step(&report);
        self.pace.step(output.images);
        if let Some(duration) = self.pace.estimate(total_steps.saturating_sub(step + 1), self.resumed) {
            observer.message(&duration);
        }
        Ok(())
    }

    /// `true` if the epoch is over, or is to be measured here. Where it just begins, the one before was
    /// reported.
    fn is_report_due(&self) -> bool {
        let is_asked = |steps| self.progress.step.is_multiple_of(steps);
        let is_measured = self.setup.validate_every.is_some_and(is_asked) || self.was_last_step();
        self.is_epoch_over() || self.progress.epoch_steps > 0 && is_measured
    }

    /// Everything that a clock, a signal or another thread decides, looked at once after each step, on all ranks together:
    /// what any of them wishes is done, and the clock is that of rank 0.
    fn decide(&self, observer: &dyn Observer) -> Decision {
        let headers = self.setup.headers.as_ref().and_then(BackgroundCheck::failed);
        let own = headers.map_or_else(|| Ok(self.wish(observer)), |error| Err(TrainError::from(error)));
        let wishes = match self.setup.ranks.all_gather(own) {
            Ok(wishes) => wishes,
            Err(error) => return Decision::Stop(error),
        };
        match wishes.into_iter().max().unwrap_or(Wish::GoOn) {
            Wish::GoOn => Decision::GoOn,
            Wish::Save => Decision::Save,
            Wish::Stop(interruption) => {
                let step = self.progress.step;
                let checkpoint = self.run.checkpoint_path(step);
                Decision::Stop(TrainError::Interrupted { step, checkpoint, interruption })
            }
        }
    }

    fn wish(&self, observer: &dyn Observer) -> Wish {
        let is_due = || self.setup.ranks.is_first() && self.saved_at.elapsed() >= self.setup.checkpoint_every;
        match observer.interrupted() {
            Some(interruption) => Wish::Stop(interruption),
            None if is_due() => Wish::Save,
            None => Wish::GoOn,
        }
    }

    /// Writes a checkpoint of this moment; only of weights that are worth going on with.
    fn save(&mut self) -> Result<(), TrainError> {
        // First: what follows is the same on all ranks then.
        check_replicas(&self.setup.ranks, self.learner.model())?;
        self.learner.check_finite().map_err(|error| self.diverged(error, self.progress.step))?;
        self.progress.parameter_steps = self.learner.parameter_steps();
        self.share_corrupt()?;
        self.progress.seconds = self.seconds();
        self.progress.total_steps = self.setup.schedule.total_steps;
        let (learner, metadata, progress) = (&self.learner, self.task.metadata(), &mut self.progress);
        self.run.write(|run| run.record_checkpoint(learner, metadata, progress))?;
        self.saved_at = Instant::now();
        Ok(())
    }

    /// Gives all ranks the files that any of them could not read, of which the limit holds.
    fn share_corrupt(&mut self) -> Result<(), TrainError> {
        let (ranks, loader) = (&self.setup.ranks, &self.setup.loader);
        let known = loader.corrupt();
        if !ranks.is_alone() {
            let found = ranks.all_gather(Ok::<_, TrainError>(known.clone()))?.into_iter().flatten();
            let new: BTreeMap<String, CorruptFile> = found.map(|file| (file.name.clone(), file)).collect();
            let is_new = |file: &CorruptFile| !known.iter().any(|known| known.name == file.name);
            let reported = loader.report_corrupt(new.into_values().filter(is_new).collect());
            meet(ranks, reported.map_err(TrainError::from))?;
        }
        self.progress.corrupt = loader.corrupt();
        Ok(())
    }
}
