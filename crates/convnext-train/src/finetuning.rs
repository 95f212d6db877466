//! Supervised training: from pre-trained weights (fine-tuning) or from scratch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use convnext_core::{ModelConfig, Seed, WeightKind, WeightMetadata};
use convnext_data::{
    Batch, LabelMix, LabelledData, Loader, OnCorrupt, Transform, crop_for_evaluation, open_labelled,
};
use convnext_nn::{ConvNext, DropPath};
use serde::Serialize;

use crate::evaluation::evaluate_batches;
use crate::run_folder::{Opened, weights_of};
use crate::run_settings::{Resolved, said};
use crate::{
    FinetuneRecipe, Goal, LayerDecay, Learner, Measured, MemoryNeed, Mistake, Observer, ParameterRules,
    Reading, RunFolder, RunSettings, Summary, Targets, Task, TrainError, batch_images, in_lines, in_toml,
    start_from, train,
};

/// Everything that decides a supervised training.
#[derive(Debug, Clone, Serialize)]
pub struct FinetuneJob {
    /// Where, and under which seed.
    #[serde(flatten)]
    pub run: RunSettings,
    /// Which of the images are learned from, and which are measured on.
    #[serde(flatten)]
    pub labels: LabelChoice,
    /// Which part of the model learns.
    #[serde(skip_serializing_if = "Freeze::is_nothing")]
    pub freeze: Freeze,
    /// The backbone; its number of classes is set from the data.
    pub model: ModelConfig,
    /// How to train it.
    pub recipe: FinetuneRecipe,
}

/// Which images of a folder or archive are learned from, and as what.
#[derive(Debug, Clone, Serialize)]
pub struct LabelChoice {
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

impl Default for LabelChoice {
    /// All images, under the names of their folders; a fifth of each class is held out where there is no validation.
    fn default() -> Self {
        Self { file: None, validation_fraction: 0.2, per_class: None, fraction: None }
    }
}

impl LabelChoice {
    /// Opens the images of a folder or archive. The seed decides what is random about the choice.
    ///
    /// # Errors
    /// [`TrainError::Data`] when the folder cannot be used so.
    pub fn open(&self, path: &Path, seed: Seed) -> Result<LabelledData, TrainError> {
        let mut data = open_labelled(path, self.file.as_deref(), self.validation_fraction, seed)?;
        if let Some(count) = self.per_class {
            data.train = data.train.choose_per_class(count, seed)?;
        }
        if let Some(fraction) = self.fraction {
            data.train = data.train.choose_fraction(fraction, seed)?;
        }
        Ok(data)
    }
}

/// Which part of a model keeps the values that it starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freeze {
    /// None: everything learns.
    #[default]
    Nothing,
    /// All but the final norm and the head learn nothing: a linear probe.
    Encoder,
}

impl Freeze {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// What a supervised training made.
#[derive(Debug, Clone, PartialEq)]
pub struct Finetuned {
    /// The weight file.
    pub weights: PathBuf,
    /// What is known of the run, with the finished classifier's results on the validation images.
    pub summary: Summary,
    /// Whether the validation images were held out of the training part: to measure on the same ones
    /// again, `evaluate` needs the same fraction and seed.
    pub held_out: bool,
}

/// Trains a classifier on what [`LabelChoice::open`] opened and writes it to `weights.safetensors` in the run folder.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn finetune(
    job: &FinetuneJob,
    data: LabelledData,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Finetuned, TrainError> {
    let settings = &job.run;
    let mut recipe = job.recipe.clone();
    let size = recipe.regularization.image_size;
    let LabelledData { train: train_data, validation, held_out, .. } = data;
    let classes = train_data.classes().clone();
    let config = ModelConfig { classes: classes.len(), ..job.model.clone() };
    config.stage_sizes(size, size)?;
    recipe.validate(settings.start())?;
    let need = |recipe: &FinetuneRecipe| {
        MemoryNeed::of_finetuning(&config, recipe, settings.memory, settings.precision)
    };
    let of_batch = |batch| need(&recipe.with_batch(batch));
    if let Some(batch) = settings.find_batch(device, train_data.len(), of_batch)? {
        recipe = recipe.with_batch(batch);
    }
    let (preprocessing, why) = settings.preprocessing(size, config.input_channels, &train_data)?;
    let transform = Transform::Train(recipe.augmentation.transform(&preprocessing));
    let mut lesson =
        settings.prepare(train_data.clone(), transform, recipe.mixing.mixing(), &mut recipe.training)?;
    let layer_decay = recipe
        .layer_decay(settings.start())
        .map(|layers| LayerDecay::new(layers.count, layers.rate, &config));
    need(&recipe)?.check(device)?;
    let parts = [("training", &train_data), ("validation", &validation)];
    lesson.headers = settings.check_headers(&parts, config.input_channels)?;

    let resolved = FinetuneJob { recipe: recipe.clone(), model: config.clone(), ..job.clone() };
    let resolved = Resolved::new(resolved, preprocessing.clone(), &train_data).measured_on(&validation);
    let mut run = match RunFolder::open(&settings.out, &resolved, settings.go_on)? {
        Opened::Unfinished(run) => run,
        Opened::Finished(summary) => {
            observer.start("the run is already finished");
            return Ok(Finetuned { weights: weights_of(&settings.out), summary, held_out });
        }
    };
    let head_init = recipe.head_init(settings.start());
    let mut model = ConvNext::with_head_init(&config, head_init, settings.seed, &device.clone().autodiff())?;
    if let Some(path) = &settings.init {
        model = start_from(model, path, &classes)?;
    }
    observer.start(&format!(
        "training {} {} on {} images of {} classes ({} for validation), {size} px: {} steps of {} images{}{}",
        config.name,
        if settings.init.is_some() { "from weights" } else { "from scratch" },
        train_data.len(),
        classes.len(),
        validation.len(),
        lesson.schedule.total_steps,
        recipe.training.batch_size * recipe.training.accumulate,
        in_lines(&recipe.reasons),
        in_lines(&said(why)),
    ));
    let reading = Reading {
        batch_size: recipe.training.batch_size,
        threads: settings.threads,
        orientation: settings.orientation,
        on_corrupt: if settings.strict { OnCorrupt::Fail } else { OnCorrupt::SkipFew },
    };
    let task = Classification {
        class_weights: recipe.regularization.class_weights.of(&train_data.labels_per_class()),
        freeze: job.freeze,
        rates: config.drop_path_rates(recipe.regularization.drop_path),
        smoothing: recipe.regularization.label_smoothing,
        seed: settings.seed,
        device: device.clone(),
        validation: match validation.is_empty() {
            true => None,
            false => Some(reading.loader(&validation, &preprocessing)?),
        },
        metadata: WeightMetadata {
            preprocessing,
            kind: WeightKind::Classifier { model: config },
            classes,
            recipe: in_toml(&recipe)?,
        },
    };
    let model = model.with_memory(settings.memory).with_precision(settings.precision);
    let rules = ParameterRules::of_recipe(&recipe.training).with_layer_decay(layer_decay);
    let learner = Learner::new(model, &recipe.training, rules);
    let summary = train(&task, learner, &lesson, &mut run, observer)?;
    Ok(Finetuned { weights: run.weights(), summary, held_out })
}

/// Tell the classes of images apart.
struct Classification {
    class_weights: Vec<f32>,
    freeze: Freeze,
    rates: Vec<f64>,
    smoothing: f64,
    seed: Seed,
    device: Device,
    /// One loader for all epochs, so that it tells of a file once; `None` without images.
    validation: Option<Loader>,
    metadata: WeightMetadata,
}

impl Task for Classification {
    type Model = ConvNext;

    fn loss(&self, model: &ConvNext, mut batch: Batch) -> Result<Tensor<1>, TrainError> {
        let drop_path = DropPath::draw(&self.rates, self.seed, batch.epoch, &batch.samples);
        let images = batch_images(&mut batch, &self.device);
        let logits = match self.freeze {
            Freeze::Nothing => model.forward(images, &drop_path)?,
            // Without a graph: what does not learn needs no backward, and drops nothing.
            Freeze::Encoder => {
                model.classify(Tensor::from_inner(model.valid().pooled(images, &DropPath::none())?))
            }
        };
        let labels: Vec<usize> = batch.labels.iter().flatten().copied().collect();
        let targets = Targets::new(&labels, &self.class_weights, self.smoothing);
        let targets = match batch.mix {
            None => targets,
            Some(LabelMix { own_weight }) => targets.mixed(own_weight),
        };
        Ok(targets.cross_entropy(logits))
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.validation.as_ref().map_or(0, Loader::samples)
    }

    /// Accuracies and loss on the validation images; shows the worst mistakes.
    fn validate(&self, model: &ConvNext, pictures: Option<&Path>) -> Result<Measured, TrainError> {
        let Some(validation) = &self.validation else { return Ok(Measured::default()) };
        let mut result = evaluate_batches(model, &self.metadata.classes, validation, |_| {})?;
        if let Some(folder) = pictures {
            self.show(&mut result.mistakes, validation, folder)?;
        }
        let mut values = BTreeMap::from([
            ("validation_loss".to_owned(), result.loss),
            ("validation_top1".to_owned(), result.top1),
            ("validation_top5".to_owned(), result.top5),
        ]);
        if !result.left_out.is_empty() {
            values.insert("validation_left_out".to_owned(), result.left_out.len() as f64);
        }
        Ok(Measured { values, details: serde_json::to_value(&result).unwrap_or_default() })
    }

    fn goal(&self) -> Goal {
        Goal::Greatest("validation_top1")
    }
}

impl Classification {
    /// Writes what the model saw of each image into a folder.
    fn show(&self, mistakes: &mut [Mistake], images: &Loader, folder: &Path) -> Result<(), TrainError> {
        let parent = folder.file_name().unwrap_or_default().to_string_lossy();
        for (number, mistake) in (1..).zip(mistakes) {
            let name = format!("mistake-{number:02}.png");
            let preprocessing = &self.metadata.preprocessing;
            let picture = images.dataset().picture(mistake.sample, images.decoding())?;
            crop_for_evaluation(&picture, preprocessing).save_png(&folder.join(&name))?;
            mistake.picture = Some(format!("{parent}/{name}"));
        }
        Ok(())
    }
}
