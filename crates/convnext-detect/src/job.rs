//! A detection training and its data.

use std::path::PathBuf;

use burn::tensor::Device;
use convnext_core::{
    ConfigError, DetectionTask, Geometry, ImageSize, Interpolation, Kind, MaskRcnnConfig, ModelConfig,
    Preprocessing, STAGES, WeightMetadata,
};
use convnext_data::{DataError, Dataset, DetectionData, TileOptions};
use convnext_train::{
    Freeze, FrozenStages, Job, LayerDecay, MemoryEstimate, Observer, ParameterRules, RunSettings,
    SharedLoader, Summary, TrainError, Trained, TrainingPlan, TrainingRecipe, are_same_classes,
    check_batch_norm, in_toml, plan_training, run_training,
};
use serde::Serialize;

use crate::announcement::announcement;
use crate::detect_job::DetectJob;
use crate::evaluation_source::DetectionEvaluationSource;
use crate::mask_rcnn::MaskRcnn;
use crate::memory::memory;
use crate::padding::SIDE_MULTIPLE;
use crate::source::DetectionSource;
use crate::task::DetectTask;
use crate::training_loss::RegionChoice;
use crate::weights::refuse_other_detector;

/// Result of a detection training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedDetector {
    /// The weight file.
    pub weights: PathBuf,
    /// Summary of the run, with the finished network's results on the validation images.
    pub summary: Summary,
    /// `true` if the validation images were held out of the training part: to measure on the same ones again, `evaluate`
    /// needs the same fraction and seed.
    pub held_out: bool,
}

/// Trains a detector and writes it to `weights.safetensors` in the run folder.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn train_detection(
    job: &DetectJob,
    data: DetectionData,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<TrainedDetector, TrainError> {
    let held_out = data.held_out;
    let Trained { weights, summary } = run_training(OnObjects::new(job, data)?, device, observer)?;
    Ok(TrainedDetector { weights, summary, held_out })
}

/// Plans a detection training and times a few of its steps; writes nothing.
///
/// # Errors
/// As [`plan_training`].
pub fn plan_detection(
    job: &DetectJob,
    data: DetectionData,
    device: &Device,
) -> Result<TrainingPlan, TrainError> {
    plan_training(OnObjects::new(job, data)?, device)
}

/// A detection training and its images.
#[derive(Debug, Clone, Serialize)]
struct OnObjects {
    /// The kind of task.
    task: &'static str,
    /// With as many classes as the data has, and masks only if the data has them.
    #[serde(flatten)]
    job: DetectJob,
    /// Of the training images with their objects.
    objects_checksum: u32,
    /// Of the validation images with theirs.
    validation_objects_checksum: u32,
    #[serde(skip)]
    data: DetectionData,
    /// Number of images to learn from, of which the data may have tiles.
    #[serde(skip)]
    images: usize,
}

impl OnObjects {
    fn new(job: &DetectJob, mut data: DetectionData) -> Result<Self, TrainError> {
        let images = data.train.len();
        if let Some(side) = job.recipe.augmentation.tile {
            data.train = data.train.tiled(TileOptions::of_size(side))?;
        }
        let model = ModelConfig { classes: data.classes.len(), ..job.model.clone() };
        let head = MaskRcnnConfig { masks: job.head.masks && data.train.has_masks(), ..job.head };
        let objects_checksum = data.train.fingerprint();
        let validation_objects_checksum = data.validation.fingerprint();
        let job = DetectJob { model, head, ..job.clone() };
        let task = DetectionTask::KIND;
        Ok(Self { task, job, objects_checksum, validation_objects_checksum, data, images })
    }

    /// Number of objects to learn from.
    fn objects(&self) -> u64 {
        self.data.train.objects_per_class().iter().sum()
    }

    fn is_from_weights(&self) -> bool {
        self.job.run.is_from_weights()
    }

    /// The validation images, one for all epochs.
    fn validation_loader(
        &self,
        preprocessing: &Preprocessing,
    ) -> Result<Option<SharedLoader<DetectionEvaluationSource>>, TrainError> {
        let reading = self.job.run.validation_reading(1);
        let validation = &self.data.validation;
        match validation.is_empty() {
            true => Ok(None),
            false => {
                let preprocessing = preprocessing.clone();
                DetectionEvaluationSource::loader(validation.clone(), preprocessing, &reading).map(Some)
            }
        }
    }
}

impl Job for OnObjects {
    type Task = DetectTask;

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
        self.data.train.images()
    }

    fn validation(&self) -> Option<&Dataset> {
        Some(self.data.validation.images())
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

    /// Weights without names are taken to be of the data's classes if there are as many, as evaluation does.
    fn keeps_head(&self, of_weights: &WeightMetadata) -> bool {
        let Ok(task) = of_weights.task_as::<DetectionTask>() else { return false };
        match task.classes.is_empty() {
            true => of_weights.class_count() == self.data.classes.len(),
            false => are_same_classes(&task.classes, &self.data.classes),
        }
    }

    /// Of weights with other classes all but the layers that tell classes apart goes on learning.
    fn head_parts(&self) -> &[&str] {
        &[
            "head.",
            "norm.",
            "roi_head.bbox_head.fc_cls.",
            "roi_head.bbox_head.fc_reg.",
            "roi_head.mask_head.conv_logits.",
        ]
    }

    fn fresh_parts(&self) -> &[&str] {
        &["norm0.", "norm1.", "norm2.", "norm3.", "neck.", "rpn_head.", "roi_head."]
    }

    fn check(&self) -> Result<(), TrainError> {
        self.job.run.init.as_deref().map_or(Ok(()), refuse_other_detector)?;
        let (size, _) = self.input();
        size.validate()?;
        let [.., last] = self.job.model.stage_sizes(size.height, size.width)?;
        if !self.freezes_encoder() {
            let batch_size = self.training().batch_size.min(self.data.train.len());
            check_batch_norm(&self.job.model, batch_size, last[0] * last[1])?;
        }
        self.job.head.validate_with(&self.job.model)?;
        if self.objects() == 0 {
            // What was decided about annotations may say why.
            let said = self.data.decisions.iter().map(|decision| format!("\n  objects: {decision}"));
            let expected = format!("at least 1{}", said.collect::<String>());
            let (what, found) = ("number of objects to train on", "0".to_owned());
            return Err(DataError::OutOfRange { what, found, expected }.into());
        }
        let copy_paste = self.job.recipe.augmentation.copy_paste;
        if copy_paste > 0.0 && !self.job.head.masks {
            let (what, found, expected) = ("copy_paste", copy_paste.to_string(), "0 for data without masks");
            return Err(ConfigError::OutOfRange { what, found, expected }.into());
        }
        self.job.recipe.validate_ranges()
    }

    fn memory(&self) -> Result<MemoryEstimate, ConfigError> {
        memory(&self.job)
    }

    /// Images fitted in the proportions that they have, bilinearly, and padded.
    fn preprocessing(&self, found: Preprocessing) -> Preprocessing {
        let geometry: Geometry = self.job.recipe.resize().geometry(SIDE_MULTIPLE);
        Preprocessing { geometry, interpolation: Interpolation::Bilinear, ..found }
    }

    fn source(&self, preprocessing: &Preprocessing) -> Result<DetectionSource, TrainError> {
        let augmentation = &self.job.recipe.augmentation;
        let transforms = (augmentation.transform(self.input().0), augmentation.copy_paste());
        Ok(DetectionSource::training(self.data.train.clone(), transforms, preprocessing.clone())?)
    }

    fn model(&self, device: &Device) -> Result<MaskRcnn, TrainError> {
        let DetectJob { run, model, head, .. } = &self.job;
        let model = MaskRcnn::new(model, head, run.seed, device)?;
        Ok(model.with_activations(run.activations).with_precision(run.precision))
    }

    fn rules(&self) -> ParameterRules {
        let DetectJob { model, recipe, .. } = &self.job;
        let layers = recipe.layer_decay(self.is_from_weights());
        let layers = layers.map(|layers| LayerDecay::new(layers.count, layers.rate, model));
        let rules = ParameterRules::of_recipe(&recipe.training).with_layer_decay(layers);
        let frozen = if self.freezes_encoder() { STAGES } else { 0 };
        rules.with_frozen(FrozenStages(frozen))
    }

    fn task(&self, preprocessing: Preprocessing, device: &Device) -> Result<DetectTask, TrainError> {
        let DetectJob { run, model, recipe, head, freeze, .. } = &self.job;
        let classes = self.data.classes.clone();
        let of_weights = DetectionTask { classes, head: *head };
        Ok(DetectTask {
            regions: RegionChoice { recipe: recipe.regions, seed: run.seed },
            freeze: *freeze,
            drop_path: model.drop_path_rates(recipe.regularization.drop_path),
            device: device.clone(),
            validation: self.validation_loader(&preprocessing)?,
            options: recipe.options(),
            metadata: WeightMetadata::new(model, &of_weights, preprocessing).with_recipe(in_toml(recipe)?),
        })
    }

    fn announcement(&self, steps: &str) -> String {
        announcement(&self.job, &self.data, self.images, steps)
    }
}
