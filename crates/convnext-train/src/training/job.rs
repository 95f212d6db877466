//! One training from data to a finished run folder, whatever is learned.

use std::path::PathBuf;

use burn::tensor::Device;
use convnext_core::{ConfigError, ImageSize, Preprocessing, WeightMetadata};
use convnext_data::Dataset;
use serde::Serialize;

use crate::error::TrainError;
use crate::memory::MemoryEstimate;
use crate::optimization::parameter_rules::ParameterRules;
use crate::recipe::{TrainingRecipe, in_lines};
use crate::run::run_folder::{Opened, RunFolder, weights_of};
use crate::run::run_record::RunRecord;
use crate::run::run_settings::{Resolved, RunSettings, said};
use crate::run::summary::Summary;
use crate::run::train_setup::TrainSetup;
use crate::training::learner::Learner;
use crate::training::observer::Observer;
use crate::training::task::Task;
use crate::training::training_loop::train;
use crate::weights::start_from_with;

/// A training task and its data. [`run_training`] asks for one thing after the other and does the rest.
///
/// What it serialises to stands in `config.toml`, and must not change when the run goes on.
pub trait Job: Clone + Serialize {
    /// The task to train.
    type Task: Task;

    /// Settings of the run: its inputs and outputs.
    fn settings(&self) -> &RunSettings;

    /// Optimiser and schedule.
    fn training(&self) -> &TrainingRecipe;

    /// Optimiser and schedule, to be set to what is really done: a smaller batch, another length.
    fn training_mut(&mut self) -> &mut TrainingRecipe;

    /// Why the recipe is as it is, line by line.
    fn reasons(&self) -> &[String];

    /// The images that are learned from.
    fn images(&self) -> &Dataset;

    /// The images that are measured on; `None` or an empty set measures on none.
    fn validation(&self) -> Option<&Dataset> {
        None
    }

    /// Size of the images that the model is trained on, and their channels.
    fn input(&self) -> (ImageSize, usize);

    /// `true` if the head of weights to start from, which say this about themselves, goes on learning; else
    /// it starts fresh.
    fn keeps_head(&self, _of_weights: &WeightMetadata) -> bool {
        false
    }

    /// Prefixes of the names of the head's tensors.
    fn head_parts(&self) -> &[&str] {
        &["head."]
    }

    /// Names, or their beginnings, of the parts of the model that may start fresh where weights to start from do not
    /// have them. The head, and what an autoencoder has besides its encoder, always may.
    fn fresh_parts(&self) -> &[&str] {
        &[]
    }

    /// Checks what can be checked without work.
    ///
    /// # Errors
    /// Any [`TrainError`] about settings that do not fit each other.
    fn check(&self) -> Result<(), TrainError>;

    /// The memory that a step needs.
    ///
    /// # Errors
    /// [`ConfigError`] when the model cannot be.
    fn memory(&self) -> Result<MemoryEstimate, ConfigError>;

    /// Preprocessing of images in evaluation, from what a training on images of its size would store: the
    /// weights and the run say so.
    fn preprocessing(&self, found: Preprocessing) -> Preprocessing {
        found
    }

    /// The source that reads the images.
    ///
    /// # Errors
    /// [`TrainError::Data`] for a setting that makes no sense.
    fn source(&self, preprocessing: &Preprocessing) -> Result<SourceOf<Self>, TrainError>;

    /// A fresh model on a device that tracks gradients.
    ///
    /// # Errors
    /// [`TrainError`] when it cannot be made.
    fn model(&self, device: &Device) -> Result<ModelOf<Self>, TrainError>;

    /// Rule of each parameter: its learning rate scale, weight decay, and whether it is frozen.
    fn rules(&self) -> ParameterRules {
        ParameterRules::of_recipe(self.training())
    }

    /// The task; `device` tracks no gradients.
    ///
    /// # Errors
    /// [`TrainError`] when the images to measure on cannot be used.
    fn task(&self, preprocessing: Preprocessing, device: &Device) -> Result<Self::Task, TrainError>;

    /// One line to show before the first step; `steps` says how many there are.
    fn announcement(&self, steps: &str) -> String;
}

/// Data source of a job's task.
pub type SourceOf<J> = <<J as Job>::Task as Task>::Source;

/// Model that a job trains.
pub type ModelOf<J> = <<J as Job>::Task as Task>::Model;

/// Result of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The weight file.
    pub weights: PathBuf,
    /// Summary of the run, with the last validation.
    pub summary: Summary,
}

/// Trains and leaves a run folder with weights. Does nothing for a run that goes on and is finished.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn run_training<J: Job>(
    mut job: J,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainError> {
    let settings = job.settings().clone();
    job.check()?;
    let of_batch = |batch| with_batch(&job, batch).memory();
    if let Some(batch) = settings.find_batch(device, job.images().len(), of_batch)? {
        job = with_batch(&job, batch);
    }
    let (image_size, channels) = job.input();
    let (found, why) = settings.preprocessing(image_size, channels, job.images())?;
    let preprocessing = job.preprocessing(found);
    let source = job.source(&preprocessing)?;
    let mut setup = TrainSetup::prepare(source, job.training_mut(), &settings)?;
    job.memory()?.check(device)?;
    let parts: Vec<(&str, &Dataset)> =
        [("training", job.images())].into_iter().chain(job.validation().map(|v| ("validation", v))).collect();
    setup.headers = settings.check_headers(&parts, channels)?;

    let resolved = Resolved::new(&job, preprocessing.clone(), job.images()).measured_on(job.validation());
    let mut run = match RunFolder::open(&settings.out, &resolved, settings.resume)? {
        Opened::Unfinished(run) => run,
        Opened::Finished(summary) => {
            observer.start("the run is already finished");
            return Ok(Trained { weights: weights_of(&settings.out), summary });
        }
    };
    run.record_run(&record(&job, setup.schedule.total_steps, device))?;
    let mut model = job.model(&device.clone().autodiff())?;
    if let Some(path) = &settings.init {
        let head = |metadata: &WeightMetadata| match job.keeps_head(metadata) {
            true => &[][..],
            false => job.head_parts(),
        };
        model = start_from_with(model, path, &head, job.fresh_parts())?;
    }
    let TrainingRecipe { batch_size, accumulate, .. } = job.training();
    let steps = format!("{} steps of {} images", setup.schedule.total_steps, batch_size * accumulate);
    let announcement = job.announcement(&steps);
    observer.start(&format!("{announcement}{}{}", in_lines(job.reasons()), in_lines(&said(why))));
    let task = job.task(preprocessing, device)?;
    let learner = Learner::new(model, job.training(), job.rules());
    let summary = train(&task, learner, &setup, &mut run, observer)?;
    Ok(Trained { weights: run.weights(), summary })
}

/// The facts of a job that begins now.
fn record<J: Job>(job: &J, total_steps: usize, device: &Device) -> RunRecord {
    let validation = job.validation().map_or(0, Dataset::len);
    RunRecord::new(job.settings(), device, [total_steps, job.images().len(), validation])
}

/// The job with another batch size.
fn with_batch<J: Job>(job: &J, batch_size: usize) -> J {
    let mut job = job.clone();
    job.training_mut().batch_size = batch_size;
    job
}
