//! Time of a training, from a few of its steps that are made and thrown away.

use std::fmt;
use std::iter::Take;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::Device;
use convnext_core::{Preprocessing, counted};
use convnext_data::{Batch, EpochBatches, Loader, Source};

use crate::error::TrainError;
use crate::optimization::schedule::Schedule;
use crate::recipe::training::TrainingRecipe;
use crate::run::train_setup::TrainSetup;
use crate::training::job::{Job, SourceOf};
use crate::training::learner::Learner;
use crate::training::monitored_metric::MonitoredMetric;
use crate::training::pace::Pace;
use crate::training::scratch_run::ScratchRun;
use crate::training::task::Task;
use crate::words::duration_in_words;

/// Batches of a timed step: of longer steps the others take as long.
const MAX_BATCHES: usize = 4;

/// Seconds that a validation may take to be made; that of a longer one is estimated.
const MAX_VALIDATION: f64 = 20.0;

/// Share of a budget that is left to what is not timed, such as logs, and to steps that take longer than those that were.
/// Checkpoints that take less are not mentioned.
const MARGIN: f64 = 0.1;

/// Share of the whole time below which validations are not mentioned.
const WORTH_A_WORD: f64 = 0.01;

/// Time of the steps of a training, of its validations and of its files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepTiming {
    /// Seconds of an optimiser step, with the reading of its images.
    pub step_seconds: f64,
    /// Images a second within the steps.
    pub images_per_second: f64,
    /// Seconds of a validation with the files that it leaves, of the average of the weights as well where there is one:
    /// measured or, where that takes long, estimated from forward passes; 0 where nothing is measured.
    pub validation_seconds: f64,
    /// Steps between two validations.
    pub validation_interval: usize,
    /// Seconds of a checkpoint, measured in the system's temporary folder.
    pub checkpoint_seconds: f64,
    /// Steps between two checkpoints, those before validations aside: an epoch, or what the clock asks for if that is
    /// less.
    pub checkpoint_interval: usize,
    /// Seconds of the weights at the end, and of their average where there is one.
    pub weights_seconds: f64,
}

impl StepTiming {
    /// Builds the job's model, makes a few steps of it on its own images, validates and saves it, and forgets all that.
    /// Nothing stays on the disk, unless the loader has a folder as its cache.
    ///
    /// # Errors
    /// Those of a step: [`TrainError::Data`] for images that cannot be used, [`TrainError::NotFinite`] for a loss.
    pub(crate) fn measure<J: Job>(
        job: &J,
        setup: &TrainSetup<SourceOf<J>>,
        preprocessing: &Preprocessing,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let task = job.task(preprocessing.clone(), device)?;
        let model = job.model(&device.clone().autodiff())?;
        let mut learner = Learner::new(model, job.training(), job.rules());
        let accumulate = setup.accumulate.clamp(1, MAX_BATCHES);
        let steps = pace_of_steps(&task, &mut learner, setup, accumulate)?;
        let TrainingRecipe { batch_size, ema, .. } = *job.training();
        let passes = if ema.is_some() { 2.0 } else { 1.0 };
        // Now, because their clock goes on.
        let step_seconds = steps.seconds_of(setup.accumulate.max(1)).unwrap_or_default() / accumulate as f64;
        let images_per_second = steps.images_per_second();
        let scratch = ScratchRun::open();
        let validation = time_validation(&task, &learner, setup, scratch.as_ref())?;
        let files = scratch.map(|scratch| scratch.time_files(&task, &learner)).unwrap_or_default();
        let has_best = validation > 0.0 && task.monitored_metric() != MonitoredMetric::TrainLoss;
        Ok(Self {
            step_seconds,
            images_per_second,
            validation_seconds: passes * validation + if has_best { files.weights } else { 0.0 },
            validation_interval: validation_interval(setup, batch_size, task.validation_images()),
            checkpoint_seconds: files.checkpoint,
            checkpoint_interval: checkpoint_interval(setup, step_seconds),
            weights_seconds: passes * files.weights,
        })
    }

    /// Seconds of a training of so many steps, with its validations, checkpoints and weights.
    pub fn seconds_of(&self, steps: usize) -> f64 {
        steps as f64 * self.step_seconds
            + self.validations(steps) as f64 * self.validation_seconds
            + self.checkpoints(steps) as f64 * self.checkpoint_seconds
            + self.weights_seconds
    }

    /// Validations of a training of so many steps; one comes after the last step in any case.
    pub fn validations(&self, steps: usize) -> usize {
        steps.div_ceil(self.validation_interval.max(1))
    }

    /// Checkpoints of a training of so many steps, or a few more: one at each end of an epoch, one before each validation
    /// within one, and those that the clock asks for.
    pub fn checkpoints(&self, steps: usize) -> usize {
        let interval = self.checkpoint_interval.max(1);
        let within = !self.validation_interval.is_multiple_of(interval);
        steps.div_ceil(interval) + if within { self.validations(steps) } else { 0 }
    }

    /// The most steps that fit into a time, with a margin for what is not timed.
    ///
    /// # Errors
    /// [`TrainError::Budget`] when not even one does.
    pub(crate) fn steps_within(&self, budget: Duration) -> Result<usize, TrainError> {
        let seconds = budget.as_secs_f64() * (1.0 - MARGIN);
        let bound = (seconds / self.step_seconds.max(f64::MIN_POSITIVE)) as usize;
        let (mut fits, mut too_many) = (0, bound.saturating_add(1));
        while too_many - fits > 1 {
            let middle = fits.midpoint(too_many);
            if self.seconds_of(middle) <= seconds { fits = middle } else { too_many = middle }
        }
        if fits == 0 {
            let [budget, needed] =
                [budget.as_secs_f64(), self.seconds_of(1) / (1.0 - MARGIN)].map(duration_in_words);
            return Err(TrainError::Budget { budget, needed });
        }
        Ok(fits)
    }

    /// Such as `480 steps at 2.4 s (13.3 img/s), 3 validations of 12 s each`, and checkpoints where they take long.
    pub(crate) fn of_steps(&self, steps: usize) -> String {
        let whole = self.seconds_of(steps);
        let in_words = |count: usize, noun: &str, seconds: f64, least: f64| {
            if count as f64 * seconds < least * whole {
                return String::new();
            }
            format!(", {} of {} each", counted(count, noun, &format!("{noun}s")), duration_in_words(seconds))
        };
        let [validations, checkpoints] = [self.validations(steps), self.checkpoints(steps)];
        let validations = in_words(validations, "validation", self.validation_seconds, WORTH_A_WORD);
        let checkpoints = in_words(checkpoints, "checkpoint", self.checkpoint_seconds, MARGIN);
        format!("{} at {self}{validations}{checkpoints}", counted(steps, "step", "steps"))
    }
}

impl fmt::Display for StepTiming {
    /// Such as `2.4 s (13.3 img/s)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({:.1} img/s)", duration_in_words(self.step_seconds), self.images_per_second)
    }
}

/// Makes steps of so many batches.
fn pace_of_steps<T: Task>(
    task: &T,
    learner: &mut Learner<T::Model>,
    setup: &TrainSetup<T::Source>,
    accumulate: usize,
) -> Result<Pace, TrainError> {
    let Schedule { total_steps, .. } = setup.schedule;
    let mut step = 0;
    pace_of(&setup.loader, accumulate, |batches| {
        // There may be fewer steps than are timed.
        let number = step.min(total_steps.saturating_sub(1));
        step += 1;
        learner.replace(|model| task.before_step(model, number, total_steps));
        let (rate, batches) = (setup.schedule.learning_rate(number), batches.map(|batch| Ok(batch?)));
        let output = learner.step(rate, batches, |model, batch| task.loss(model, batch))?;
        Ok(output.images)
    })
}

/// Seconds of a validation: of one that is made, or where that takes long, of forward passes through as many training
/// images. Its files go into `scratch`.
fn time_validation<T: Task>(
    task: &T,
    learner: &Learner<T::Model>,
    setup: &TrainSetup<T::Source>,
    scratch: Option<&ScratchRun>,
) -> Result<f64, TrainError> {
    let images = task.validation_images();
    if images == 0 {
        return Ok(0.0);
    }
    let forwards = pace_of_forwards(task, learner, setup)?;
    let estimate = images as f64 / forwards.images_per_second().max(f64::MIN_POSITIVE);
    let folder = scratch.map(ScratchRun::images).transpose()?;
    // A task without metrics only shows images.
    let shows_nothing = folder.is_none() && task.monitored_metric() == MonitoredMetric::TrainLoss;
    if estimate > MAX_VALIDATION || shows_nothing {
        return Ok(estimate);
    }
    let clock = Instant::now();
    let measured = task.validate(&learner.model().valid(), folder.as_deref())?;
    if let Some(scratch) = scratch.filter(|_| !measured.is_nothing()) {
        scratch.record_evaluation(&measured)?;
    }
    Ok(clock.elapsed().as_secs_f64())
}

/// Goes forward through single batches.
fn pace_of_forwards<T: Task>(
    task: &T,
    learner: &Learner<T::Model>,
    setup: &TrainSetup<T::Source>,
) -> Result<Pace, TrainError> {
    pace_of(&setup.loader, 1, |mut batches| {
        let Some(batch) = batches.next().transpose()? else { return Ok(0) };
        let images = batch.len();
        // Read back, because a device may put off what nobody asks for.
        task.loss(learner.model(), batch)?.values().map(|_| images)
    })
}

/// Calls `step` on so many batches at a time, in one epoch after the other, until its pace is known; it tells how many
/// images it used.
fn pace_of<S: Source>(
    loader: &Loader<S>,
    batches_per_step: usize,
    mut step: impl FnMut(Take<&mut EpochBatches<S>>) -> Result<usize, TrainError>,
) -> Result<Pace, TrainError> {
    let steps_per_epoch = (loader.batches_per_epoch() / batches_per_step).max(1);
    let mut pace = Pace::default();
    for epoch in 0.. {
        let mut batches = loader.epoch(epoch);
        for _ in 0..steps_per_epoch {
            pace.step(step(batches.by_ref().take(batches_per_step))?);
            if pace.is_known() {
                return Ok(pace);
            }
        }
    }
    Ok(pace)
}

/// Steps between two validations: as the recipe says, or at the first end of an epoch at which as many images were
/// trained on as are measured.
fn validation_interval<S: Source>(setup: &TrainSetup<S>, batch_size: usize, images: usize) -> usize {
    let steps_per_epoch = setup.steps_per_epoch();
    let of_epoch = (steps_per_epoch * setup.accumulate.max(1) * batch_size).max(1);
    setup.validate_every.unwrap_or_else(|| steps_per_epoch * images.div_ceil(of_epoch).max(1))
}

/// Steps between two checkpoints at the ends of epochs, or after the longest time between two.
fn checkpoint_interval<S: Source>(setup: &TrainSetup<S>, step_seconds: f64) -> usize {
    let by_clock = setup.checkpoint_every.as_secs_f64() / step_seconds.max(f64::MIN_POSITIVE);
    setup.steps_per_epoch().min(by_clock.ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: StepTiming = StepTiming {
        step_seconds: 2.0,
        images_per_second: 16.0,
        validation_seconds: 5.0,
        validation_interval: 10,
        checkpoint_seconds: 0.5,
        checkpoint_interval: 5,
        weights_seconds: 0.25,
    };

    #[test]
    fn a_duration_counts_every_validation() {
        let unsaved = StepTiming { checkpoint_seconds: 0.0, weights_seconds: 0.0, ..TIMING };
        assert_eq!(unsaved.seconds_of(20), 50.0);
        assert_eq!(unsaved.seconds_of(21), 57.0);
        assert_eq!(TIMING.of_steps(21), "21 steps at 2.0 s (16.0 img/s), 3 validations of 5.0 s each");
        let unmeasured = StepTiming { validation_seconds: 0.0, ..unsaved };
        assert_eq!(unmeasured.of_steps(1), "1 step at 2.0 s (16.0 img/s)");
    }

    #[test]
    fn a_duration_counts_every_checkpoint_and_the_weights() {
        assert_eq!(TIMING.seconds_of(20), 50.0 + 4.0 * 0.5 + 0.25);
        assert_eq!(TIMING.seconds_of(21), 57.0 + 5.0 * 0.5 + 0.25);
        let within = StepTiming { validation_interval: 4, ..TIMING };
        assert_eq!(within.checkpoints(20), 4 + 5);
        let slow = StepTiming { checkpoint_seconds: 9.0, validation_seconds: 0.0, ..TIMING };
        assert_eq!(slow.of_steps(10), "10 steps at 2.0 s (16.0 img/s), 2 checkpoints of 9.0 s each");
    }

    #[test]
    fn a_budget_holds_as_many_steps_as_fit() {
        for seconds in [9, 60, 61, 500] {
            let steps = TIMING.steps_within(Duration::from_secs(seconds)).unwrap();
            let within = seconds as f64 * (1.0 - MARGIN);
            assert!(TIMING.seconds_of(steps) <= within && TIMING.seconds_of(steps + 1) > within, "{steps}");
        }
        let error = TIMING.steps_within(Duration::from_secs(7)).unwrap_err().to_string();
        assert!(error.contains("--budget 7.0 s") && error.contains("about 8.6 s"), "{error}");
    }
}
