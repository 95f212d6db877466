//! Setup of a training: batches of images, learning rate of each step, validation and checkpoint intervals.

use std::time::Duration;

use convnext_data::{BackgroundCheck, Loader, LoaderConfig, OnCorrupt, Source};
use convnext_distributed::Ranks;

use crate::error::TrainError;
use crate::optimization::schedule::Schedule;
use crate::recipe::training::TrainingRecipe;
use crate::run::run_settings::RunSettings;
use crate::training::step_error::StepError;
use crate::training::step_share::GradientSum;

/// Batches that are made ahead.
const QUEUE: usize = 4;

/// Images and schedule of a run, ready to go.
#[derive(Debug)]
pub struct TrainSetup<S> {
    /// Shuffled whole batches; corrupt files are replaced.
    pub loader: Loader<S>,
    /// The learning rate of every step.
    pub schedule: Schedule,
    /// Batches of a step, at least 1.
    pub accumulate: usize,
    /// Steps between two validations, within an epoch or over several; one after the last step comes in any case.
    /// `None` validates at the ends of epochs, as often as that takes no longer than training.
    pub validate_every: Option<usize>,
    /// Comparisons by the monitored metric without a better one after which the training ends: validations, or epochs
    /// where the mean train loss is compared. `None` makes all steps.
    pub patience: Option<usize>,
    /// The longest time between two checkpoints.
    pub checkpoint_every: Duration,
    /// The look at the files of a very large data set that goes on while it is trained on.
    pub headers: Option<BackgroundCheck>,
    /// The ranks that share the batches of a step.
    pub ranks: Ranks,
    /// Order in which their gradients are added up.
    pub sum: GradientSum,
}

impl<S: Source> TrainSetup<S> {
    /// Makes the batches of a training and its schedule. `recipe` becomes what is really done: its batch
    /// is no larger than the data, its epochs are those of [`RunSettings::length`].
    ///
    /// # Errors
    /// [`TrainError::Data`] when batches cannot be made, [`TrainError::Config`] when warm-up or milestones do not fit
    /// into the training.
    pub(crate) fn prepare(
        source: S,
        recipe: &mut TrainingRecipe,
        settings: &RunSettings,
    ) -> Result<Self, TrainError> {
        recipe.batch_size = recipe.batch_size.min(source.dataset().len());
        let config = LoaderConfig {
            batch_size: recipe.batch_size,
            threads: settings.threads,
            queue: QUEUE,
            shuffle: true,
            drop_last: true,
            on_corrupt: if settings.strict { OnCorrupt::Fail } else { OnCorrupt::Replace },
            cache: settings.cache.clone(),
            seed: settings.seed,
        };
        let loader = Loader::new(source, config)?;
        let batches = loader.batches_per_epoch();
        if recipe.accumulate == 0 || recipe.accumulate > batches {
            return Err(StepError::Accumulate { accumulate: recipe.accumulate, batches }.into());
        }
        let steps_per_epoch = batches / recipe.accumulate;
        *recipe = recipe.rescaled(steps_per_epoch, settings.length);
        recipe.check_length(steps_per_epoch)?;
        let schedule = recipe.schedule(steps_per_epoch);
        let (accumulate, patience) = (recipe.accumulate, settings.patience);
        let checkpoint_every = settings.checkpoint_every;
        let validate_every = recipe.validation_interval(steps_per_epoch);
        let (ranks, sum) = (settings.ranks.clone(), settings.sum);
        Ok(Self {
            loader,
            schedule,
            accumulate,
            validate_every,
            patience,
            checkpoint_every,
            headers: None,
            ranks,
            sum,
        })
    }

    /// Steps of an epoch.
    pub(crate) fn steps_per_epoch(&self) -> usize {
        // A step has at least one batch and an epoch at least one step, or the run would never end.
        (self.loader.batches_per_epoch() / self.accumulate.max(1)).max(1)
    }

    /// Epochs of the whole run, the last one perhaps in part.
    pub(crate) fn total_epochs(&self) -> u64 {
        self.schedule.total_steps.div_ceil(self.steps_per_epoch()) as u64
    }
}
