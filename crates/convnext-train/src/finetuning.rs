//! Supervised training: from pre-trained weights (fine-tuning) or from scratch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use convnext_core::{ModelConfig, Preprocessing, Seed, WeightKind, WeightMetadata};
use convnext_data::{Batch, Dataset, LabelledData, Transform, open_labelled};
use convnext_nn::{ConvNext, DropPath};
use serde::Serialize;

use crate::{
    EpochReport, FinetuneRecipe, LayerDecay, Observer, Reading, RunFolder, RunSettings, Task, TrainError,
    batch_images, evaluate, save_weights, smoothed_cross_entropy, start_from, train,
};

/// Everything that decides a supervised training.
#[derive(Debug, Clone, Serialize)]
pub struct FinetuneJob {
    /// Where, and under which seed; the data is images in folders of classes.
    #[serde(flatten)]
    pub run: RunSettings,
    /// Share of each class that becomes validation when the data has no such part.
    pub validation_fraction: f64,
    /// Use only so many labelled images of each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_per_class: Option<usize>,
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
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn finetune(
    job: &FinetuneJob,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Finetuned, TrainError> {
    let settings = &job.run;
    let mut recipe = job.recipe.clone();
    let size = recipe.regularization.image_size;
    let LabelledData { train: mut train_data, validation, held_out } =
        open_labelled(&settings.data, job.validation_fraction, settings.seed)?;
    let classes = train_data.classes().clone();
    if let Some(count) = job.labels_per_class {
        train_data = train_data.choose_per_class(count, settings.seed)?;
    }
    let images = train_data.len();
    let config = classifier_config(job, classes.len());
    config.stage_sizes(size, size)?;
    let transform = Transform::Train(recipe.augmentation.transform(size));
    let mut lesson = settings.prepare(train_data, transform, &config, &mut recipe.training)?;
    let mut model = ConvNext::new(&config, settings.seed, &device.clone().autodiff())?;
    if let Some(path) = &settings.init {
        model = start_from(model, path, &classes)?;
        lesson.layer_decay =
            recipe.layer_decay.map(|layers| LayerDecay::new(layers.count, layers.rate, &config));
    }

    let resolved = FinetuneJob { recipe: recipe.clone(), model: config.clone(), ..job.clone() };
    let mut run = RunFolder::create(&settings.out, &resolved)?;
    observer.start(&format!(
        "training {} {} on {images} images of {} classes ({} for validation), {size} px: {} steps of {} images",
        config.name,
        if settings.init.is_some() { "from weights" } else { "from scratch" },
        classes.len(),
        validation.len(),
        lesson.schedule.total_steps,
        recipe.training.batch_size,
    ));
    let task = Classification {
        rates: config.drop_path_rates(),
        smoothing: recipe.regularization.label_smoothing,
        seed: settings.seed,
        device: device.clone(),
        validation,
        reading: Reading {
            batch_size: recipe.training.batch_size,
            threads: settings.threads,
            orientation: settings.orientation,
        },
        metadata: WeightMetadata {
            kind: WeightKind::Classifier { model: config },
            preprocessing: Preprocessing::for_size(size),
            classes,
        },
    };
    let last = train(&task, model, &lesson, &recipe.training, &mut run, observer)?.last;
    Ok(Finetuned { weights: run.weights(), last, held_out })
}

/// The classifier that a job trains: its backbone, with classes from the data and the rest from the
/// recipe.
fn classifier_config(job: &FinetuneJob, classes: usize) -> ModelConfig {
    let rules = &job.recipe.regularization;
    ModelConfig {
        classes,
        drop_path: rules.drop_path,
        head_init_scale: if job.run.init.is_some() {
            rules.head_init_weights
        } else {
            rules.head_init_scratch
        },
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
