//! Supervised training: from pre-trained weights (fine-tuning) or from scratch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use convnext_core::{ModelConfig, Preprocessing, Seed, WeightKind, WeightMetadata};
use convnext_data::{Batch, Dataset, LabelledData, Loader, Orientation, Transform, open_labelled};
use convnext_nn::{ConvNext, DropPath};
use serde::Serialize;

use crate::pretraining::training_loader;
use crate::{
    EpochReport, FinetuneRecipe, Length, Observer, Reading, RunFolder, Task, TrainError, Trained,
    batch_images, evaluate, save_weights, smoothed_cross_entropy, start_from, train,
};

/// Everything that decides a supervised training.
#[derive(Debug, Clone, Serialize)]
pub struct FinetuneJob {
    /// Folder or archive of images in folders of classes.
    pub data: PathBuf,
    /// Output folder.
    pub out: PathBuf,
    /// Weights to start from; `None` trains from scratch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Seed of every random choice.
    pub seed: Seed,
    /// Threads that read images.
    #[serde(skip)]
    pub threads: usize,
    /// Whether the EXIF orientation of pictures counts.
    pub orientation: Orientation,
    /// Share of each class that becomes validation when the data has no such part.
    pub validation_fraction: f64,
    /// Use only so many labelled images of each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_per_class: Option<usize>,
    /// How long, if not as the recipe says.
    #[serde(skip)]
    pub length: Option<Length>,
    /// The backbone; its number of classes, drop path and head are set from data and recipe.
    pub model: ModelConfig,
    /// How to train it.
    pub recipe: FinetuneRecipe,
}

/// What a supervised training made.
#[derive(Debug, Clone, PartialEq)]
pub struct Finetuned {
    /// The weight file.
    pub weights: PathBuf,
    /// The last report, with the finished classifier's results on the validation images.
    pub last: EpochReport,
    /// Whether the validation images were held out of the training part: to measure on the same ones
    /// again, `evaluate` needs the same fraction and seed.
    pub held_out: bool,
}

/// Trains a classifier and writes it to `weights.safetensors` in the run folder.
///
/// # Errors
/// Any [`TrainError`]; whatever can be found wrong before the first step is found then.
pub fn finetune(
    job: &FinetuneJob,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Finetuned, TrainError> {
    let size = job.recipe.regularization.image_size;
    let LabelledData { train: mut train_data, validation, held_out } =
        open_labelled(&job.data, job.validation_fraction, job.seed)?;
    let classes = train_data.classes().clone();
    if let Some(count) = job.labels_per_class {
        train_data = train_data.choose_per_class(count, job.seed)?;
    }
    let config = classifier_config(job, classes.len());
    config.stage_sizes(size, size)?;
    let model = ConvNext::new(&config, job.seed, &device.clone().autodiff())?;
    let model = match &job.init {
        None => model,
        Some(path) => start_from(model, path, &classes)?,
    };
    let images = train_data.len();
    let mut recipe = job.recipe.clone();
    recipe.training.batch_size = recipe.training.batch_size.min(images);
    let loader = Loader::new(
        train_data,
        Transform::Train(recipe.augmentation.transform(size)),
        training_loader(recipe.training.batch_size, job.threads, job.orientation, job.seed),
    )?;
    let steps_per_epoch = loader.batches_per_epoch();
    recipe.training = recipe.training.rescaled(steps_per_epoch, job.length);
    let schedule = recipe.training.schedule(steps_per_epoch);

    let resolved = FinetuneJob { recipe: recipe.clone(), model: config.clone(), ..job.clone() };
    let mut run = RunFolder::create(&job.out, &resolved)?;
    observer.start(&format!(
        "training {} {} on {images} images of {} classes ({} for validation), {size} px: {} steps of {} images",
        config.name,
        if job.init.is_some() { "from weights" } else { "from scratch" },
        classes.len(),
        validation.len(),
        schedule.total_steps,
        recipe.training.batch_size,
    ));
    let preprocessing = Preprocessing::for_size(size);
    let task = Classification {
        rates: config.drop_path_rates(),
        smoothing: recipe.regularization.label_smoothing,
        seed: job.seed,
        device: device.clone(),
        validation,
        reading: Reading {
            batch_size: recipe.training.batch_size,
            threads: job.threads,
            orientation: job.orientation,
        },
        metadata: WeightMetadata { kind: WeightKind::Classifier { model: config }, preprocessing, classes },
    };
    let Trained { last, .. } = train(&task, model, &loader, &recipe.training, &schedule, &mut run, observer)?;
    Ok(Finetuned { weights: run.weights(), last, held_out })
}

/// The classifier that a job trains: its backbone, with classes from the data and the rest from the
/// recipe.
fn classifier_config(job: &FinetuneJob, classes: usize) -> ModelConfig {
    let rules = &job.recipe.regularization;
    ModelConfig {
        classes,
        drop_path: rules.drop_path,
        head_init_scale: if job.init.is_some() { rules.head_init_weights } else { rules.head_init_scratch },
        ..job.model.clone()
    }
}

/// Tell the classes of images apart.
struct Classification {
    rates: Vec<f64>,
    smoothing: f64,
    seed: Seed,
    device: Device,
    validation: Dataset,
    reading: Reading,
    metadata: WeightMetadata,
}

impl Task for Classification {
    type Model = ConvNext;

    fn loss(&self, model: &ConvNext, batch: &Batch) -> Result<Tensor<1>, TrainError> {
        let drop_path = DropPath::draw(&self.rates, self.seed, batch.epoch, &batch.samples);
        let logits = model.forward(batch_images(batch, &self.device), &drop_path)?;
        let labels: Vec<usize> = batch.labels.iter().flatten().copied().collect();
        Ok(smoothed_cross_entropy(logits, &labels, self.smoothing))
    }

    fn save(&self, model: &ConvNext, path: &Path) -> Result<(), TrainError> {
        save_weights(path, model, &self.metadata)
    }

    fn validation_images(&self) -> usize {
        self.validation.len()
    }

    fn validate(&self, model: &ConvNext) -> Result<BTreeMap<String, f64>, TrainError> {
        if self.validation.is_empty() {
            return Ok(BTreeMap::new());
        }
        let result = evaluate(
            model,
            &self.metadata.classes,
            &self.validation,
            &self.metadata.preprocessing,
            &self.reading,
            |_| {},
        )?;
        Ok(BTreeMap::from([
            ("validation_loss".to_owned(), result.loss),
            ("validation_top1".to_owned(), result.top1),
            ("validation_top5".to_owned(), result.top5),
        ]))
    }
}
