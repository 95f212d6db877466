//! Supervised training: from pre-trained weights (fine-tuning) or from scratch.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use convnext_core::{
    ClassificationTask, ConfigError, ImageSize, Kind, ModelConfig, Preprocessing, STAGES, Seed, TaskMetadata,
    WeightMetadata, counted,
};
use convnext_data::{Dataset, HELD_OUT, ImageSource, LabelledData, open_labelled, open_labelled_read_only};
use convnext_nn::ConvNext;
use serde::Serialize;

use crate::error::TrainError;
use crate::memory::MemoryEstimate;
use crate::optimization::frozen_stages::FrozenStages;
use crate::optimization::layer_decay::LayerDecay;
use crate::optimization::parameter_rules::ParameterRules;
use crate::recipe::finetune_recipe::FinetuneRecipe;
use crate::recipe::training::TrainingRecipe;
use crate::recipe::writing::in_toml;
use crate::run::run_settings::RunSettings;
use crate::run::summary::Summary;
use crate::tasks::supervision::{Freeze, Supervised, Supervision};
use crate::training::block_checks::check_batch_norm;
use crate::training::job::Job;
use crate::training::observer::Observer;
use crate::training::run_job::{Trained, plan_training, run_training};
use crate::training::training_plan::TrainingPlan;
use crate::weights::are_same_classes;

/// Everything that decides a supervised training.
#[derive(Debug, Clone, Serialize)]
pub struct FinetuneJob {
    /// Settings of the run, such as its folder and its seed.
    #[serde(flatten)]
    pub run: RunSettings,
    /// Subset of the images to train on, and that to validate on.
    #[serde(flatten)]
    pub labels: LabelSubset,
    /// Frozen part of the model.
    #[serde(skip_serializing_if = "Freeze::is_nothing")]
    pub freeze: Freeze,
    /// The backbone; its number of classes is set from the data.
    pub model: ModelConfig,
    /// Training recipe.
    pub recipe: FinetuneRecipe,
}

/// Labelled subset of a folder or archive to train on, and the source of its labels.
#[derive(Debug, Clone, Serialize)]
pub struct LabelSubset {
    /// A CSV file of labels; `None` takes the folders as classes.
    #[serde(rename = "labels", skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Share of each class that becomes validation when the data has no such part.
    pub validation_fraction: f64,
    /// Use only so many labelled images of each class.
    #[serde(rename = "labels_per_class", skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
    /// Use only this share of the labelled images of each class.
    #[serde(rename = "label_fraction", skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
}

impl Default for LabelSubset {
    /// All images, under the names of their folders; a fifth of each class is held out where there is no validation.
    fn default() -> Self {
        Self { file: None, validation_fraction: HELD_OUT, per_class: None, fraction: None }
    }
}

impl LabelSubset {
    /// Opens the images of a folder or archive. The seed decides what is random about the choice.
    ///
    /// # Errors
    /// [`TrainError::Data`] when the folder cannot be used so.
    pub fn open(&self, path: &Path, seed: Seed) -> Result<LabelledData, TrainError> {
        self.choose(open_labelled(path, self.file.as_deref(), self.validation_fraction, seed)?, seed)
    }

    /// Opens the images as [`Self::open`] does, and writes nothing beside them, such as the list of the members of shards.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_read_only(&self, path: &Path, seed: Seed) -> Result<LabelledData, TrainError> {
        let file = self.file.as_deref();
        self.choose(open_labelled_read_only(path, file, self.validation_fraction, seed)?, seed)
    }

    /// The images that are trained on, of all of the training part.
    fn choose(&self, mut data: LabelledData, seed: Seed) -> Result<LabelledData, TrainError> {
        if let Some(count) = self.per_class {
            data.train = data.train.choose_per_class(count, seed)?;
        }
        if let Some(fraction) = self.fraction {
            data.train = data.train.choose_fraction(fraction, seed)?;
        }
        Ok(data)
    }
}

/// Result of a supervised training.
#[derive(Debug, Clone, PartialEq)]
pub struct Finetuned {
    /// The weight file.
    pub weights: PathBuf,
    /// Summary of the run, with the finished classifier's results on the validation images.
    pub summary: Summary,
    /// `true` if the validation images were held out of the training part: to measure on the same ones
    /// again, `evaluate` needs the same fraction and seed.
    pub held_out: bool,
}

/// Trains a network on what [`LabelSubset::open`] opened, or another data set that the supervision understands, and writes
/// it to `weights.safetensors` in the run folder.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn finetune<S: Supervision>(
    job: &FinetuneJob,
    data: LabelledData,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Finetuned, TrainError> {
    let held_out = data.held_out;
    let Trained { weights, summary } = run_training(OnImages::<S>::new(job, data)?, device, observer)?;
    Ok(Finetuned { weights, summary, held_out })
}

/// Plans a supervised training and times a few of its steps; writes nothing.
///
/// # Errors
/// As [`plan_training`].
pub fn plan_finetuning<S: Supervision>(
    job: &FinetuneJob,
    data: LabelledData,
    device: &Device,
) -> Result<TrainingPlan, TrainError> {
    plan_training(OnImages::<S>::new(job, data)?, device)
}

/// A supervised training and its images.
#[derive(Debug, Clone, Serialize)]
struct OnImages<S> {
    /// The kind of task; `None` for classification, of which runs never said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'static str>,
    /// With as many classes as the labels have.
    #[serde(flatten)]
    job: FinetuneJob,
    #[serde(skip)]
    data: LabelledData,
    #[serde(skip)]
    supervision: S,
}

impl<S: Supervision> OnImages<S> {
    fn new(job: &FinetuneJob, data: LabelledData) -> Result<Self, TrainError> {
        let supervision = S::new(&data, &job.recipe)?;
        let config = ModelConfig { classes: supervision.metadata().class_names().len(), ..job.model.clone() };
        let task = Some(S::Metadata::KIND).filter(|&kind| kind != ClassificationTask::KIND);
        Ok(Self { task, job: FinetuneJob { model: config, ..job.clone() }, data, supervision })
    }
}

impl<S: Supervision> Job for OnImages<S> {
    type Task = Supervised<S>;

    fn settings(&self) -> &RunSettings {
        &self.job.run
    }

    fn training(&self) -> &TrainingRecipe {
        &self.job.recipe.training
    }

    fn training_mut(&mut self) -> &mut TrainingRecipe {
        &mut self.job.recipe.training
    }

    fn reasons(&self) -> &[String] {
        &self.job.recipe.reasons
    }

    fn images(&self) -> &Dataset {
        &self.data.train
    }

    fn validation(&self) -> Option<&Dataset> {
        Some(&self.data.validation)
    }

    fn input(&self) -> (ImageSize, usize) {
        (self.job.recipe.input.image_size, self.job.model.input_channels)
    }

    fn backbone(&self) -> Option<&ModelConfig> {
        Some(&self.job.model)
    }

    fn freezes_encoder(&self) -> bool {
        self.job.freeze == Freeze::Encoder
    }

    fn keeps_head(&self, of_weights: &WeightMetadata) -> bool {
        let classes = self.supervision.metadata().class_names();
        let task = of_weights.task_as::<S::Metadata>();
        task.is_ok_and(|task| are_same_classes(&task.class_names(), &classes))
    }

    fn check(&self) -> Result<(), TrainError> {
        let (size, _) = self.input();
        size.validate()?;
        let [.., last] = self.job.model.stage_sizes(size.height, size.width)?;
        if !self.freezes_encoder() {
            let batch_size = self.training().batch_size.min(self.data.train.len());
            check_batch_norm(&self.job.model, batch_size, last[0] * last[1])?;
        }
        self.job.recipe.validate_ranges(self.job.run.is_from_weights())
    }

    fn memory(&self) -> Result<MemoryEstimate, ConfigError> {
        let FinetuneJob { run, model, recipe, .. } = &self.job;
        match self.freezes_encoder() {
            true => MemoryEstimate::of_linear_probe(model, recipe),
            false => MemoryEstimate::of_finetuning(model, recipe, run.activations, run.precision),
        }
    }

    fn source(&self, preprocessing: &Preprocessing) -> Result<ImageSource, TrainError> {
        let FinetuneJob { run, recipe, .. } = &self.job;
        let transform = recipe.augmentation.transform(preprocessing, self.input().0);
        run.images(&self.data.train, transform, recipe.mixing.mixing())
    }

    fn model(&self, device: &Device) -> Result<ConvNext, TrainError> {
        let FinetuneJob { run, model, recipe, .. } = &self.job;
        let model =
            ConvNext::with_head_init(model, recipe.head_init(run.is_from_weights()), run.seed, device)?;
        Ok(model.with_activations(run.activations).with_precision(run.precision))
    }

    fn rules(&self) -> ParameterRules {
        let FinetuneJob { run, model, recipe, .. } = &self.job;
        let layers = recipe.layer_decay(run.is_from_weights());
        let layers = layers.map(|layers| LayerDecay::new(layers.count, layers.rate, model));
        let frozen = if self.freezes_encoder() { STAGES } else { 0 };
        ParameterRules::of_recipe(&recipe.training).with_layer_decay(layers).with_frozen(FrozenStages(frozen))
    }

    fn task(&self, preprocessing: Preprocessing, device: &Device) -> Result<Supervised<S>, TrainError> {
        let FinetuneJob { run, model, recipe, freeze, .. } = &self.job;
        let validation = &self.data.validation;
        let reading = run.validation_reading(recipe.training.batch_size);
        Ok(Supervised {
            supervision: self.supervision.clone(),
            freeze: *freeze,
            rates: model.drop_path_rates(recipe.regularization.drop_path),
            seed: run.seed,
            device: device.clone(),
            validation: match validation.is_empty() {
                true => None,
                false => Some(reading.seeded_loader(validation, &preprocessing, run.seed)?),
            },
            metadata: WeightMetadata::new(model, &self.supervision.metadata(), preprocessing)
                .with_recipe(in_toml(recipe)?),
        })
    }

    fn announcement(&self, steps: &str) -> String {
        let (size, _) = self.input();
        format!(
            "training {} {} on {} of {} ({} for validation), {}: {steps}",
            self.job.model.name,
            if self.job.run.init.is_some() { "from weights" } else { "from scratch" },
            counted(self.data.train.len(), "image", "images"),
            counted(self.job.model.classes, "class", "classes"),
            self.data.validation.len(),
            size.with_unit(),
        )
    }
}
