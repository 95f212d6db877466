//! A segmentation training and its data.

use std::collections::HashSet;
use std::path::PathBuf;

use burn::tensor::Device;
use convnext_core::{
    ConfigError, Geometry, ImageSize, Interpolation, Kind, ModelConfig, Preprocessing, ResponseNorm, STAGES,
    SegmentationTask, WeightMetadata, counted,
};
use convnext_data::{DataError, Dataset, SegmentationData, SegmentationSet, class_colours};
use convnext_train::{
    Freeze, FrozenStages, Job, LayerDecay, MemoryEstimate, Observer, ParameterRules, RunSettings,
    SharedLoader, Summary, TrainError, Trained, TrainingPlan, TrainingRecipe, are_same_classes, in_toml,
    plan_training, run_training,
};
use serde::Serialize;

use crate::batch_of_ranks::batch_of_ranks;
use crate::evaluation_source::EvaluationSource;
use crate::input_size::check_image;
use crate::loss::SegmentationLoss;
use crate::memory::memory;
use crate::segment_job::SegmentJob;
use crate::source::SegmentationSource;
use crate::task::SegmentTask;
use crate::upernet::UperNet;

/// Result of a segmentation training.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmented {
    /// The weight file.
    pub weights: PathBuf,
    /// Summary of the run, with the finished network's results on the validation images.
    pub summary: Summary,
    /// `true` if the validation images were held out of the training part: to measure on the same ones again, `evaluate`
    /// needs the same fraction and seed.
    pub held_out: bool,
}

/// Trains a segmentation network and writes it to `weights.safetensors` in the run folder.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn train_segmentation(
    job: &SegmentJob,
    data: SegmentationData,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Segmented, TrainError> {
    let held_out = data.held_out;
    let Trained { weights, summary } = run_training(OnMasks::new(job, data), device, observer)?;
    Ok(Segmented { weights, summary, held_out })
}

/// Plans a segmentation training and times a few of its steps; writes nothing.
///
/// # Errors
/// As [`plan_training`].
pub fn plan_segmentation(
    job: &SegmentJob,
    data: SegmentationData,
    device: &Device,
) -> Result<TrainingPlan, TrainError> {
    plan_training(OnMasks::new(job, data), device)
}

/// A segmentation training and its images.
#[derive(Debug, Clone, Serialize)]
struct OnMasks {
    /// The kind of task.
    task: &'static str,
    /// With as many classes as the data has.
    #[serde(flatten)]
    job: SegmentJob,
    /// Of the training images with their masks.
    masks_checksum: u32,
    /// Of the validation images with theirs.
    validation_masks_checksum: u32,
    #[serde(skip)]
    data: SegmentationData,
}

impl OnMasks {
    fn new(job: &SegmentJob, data: SegmentationData) -> Self {
        let model = ModelConfig { classes: data.classes.len(), ..job.model.clone() };
        let [masks_checksum, validation_masks_checksum] =
            [&data.train, &data.validation].map(SegmentationSet::fingerprint);
        let (task, job) = (SegmentationTask::KIND, SegmentJob { model, ..job.clone() });
        Self { task, job, masks_checksum, validation_masks_checksum, data }
    }

    fn is_from_weights(&self) -> bool {
        self.job.run.is_from_weights()
    }

    fn metadata(&self) -> SegmentationTask {
        let SegmentationData { classes, numbers, palette, .. } = self.data.clone();
        SegmentationTask { classes, numbers, palette, head: self.job.head }
    }

    /// The geometry of images that are measured on: their own size, or fitted in the proportions that they have.
    fn geometry(&self) -> Geometry {
        self.job.recipe.inference.resize.geometry(1)
    }

    /// Checks that the network can be measured on every validation image.
    fn check_validation(&self) -> Result<(), TrainError> {
        let SegmentJob { model, recipe, .. } = &self.job;
        let options = recipe.inference_options();
        options.validate_for(model)?;
        let images = &self.data.validation;
        let mut checked = HashSet::new();
        for index in 0..images.len() {
            let size = images.mask_size(index);
            if checked.insert(size) {
                let named = (|| images.images().name(index), size);
                check_image(named, (model, self.geometry()), &options.scales).map_err(DataError::from)?;
            }
        }
        Ok(())
    }

    /// Refuses to synchronise batch norms of rounds in which some ranks have no micro-batch, and beside those of a backbone,
    /// which each rank has by itself.
    fn check_synchronised(&self) -> Result<(), TrainError> {
        let Some(ranks) = self.job.sync_batch_norm else { return Ok(()) };
        if self.job.model.response_norm == Some(ResponseNorm::Bn) && !self.freezes_encoder() {
            let (what, found) = ("--response-norm", "bn with --sync-batch-norm".to_owned());
            let expected = "another one, because only the batch norms of the heads are synchronised";
            return Err(ConfigError::OutOfRange { what, found, expected }.into());
        }
        let micro_batches = self.training().accumulate;
        if micro_batches.is_multiple_of(ranks.max(1)) {
            return Ok(());
        }
        let found = format!("{micro_batches} on {ranks} ranks");
        let expected = "a multiple of the ranks, all of which --sync-batch-norm needs in each round";
        Err(ConfigError::OutOfRange { what: "--accumulate", found, expected }.into())
    }

    /// The validation images, one for all epochs.
    fn validation_loader(
        &self,
        preprocessing: &Preprocessing,
    ) -> Result<Option<SharedLoader<EvaluationSource>>, TrainError> {
        let reading = self.job.run.validation_reading(1);
        let validation = &self.data.validation;
        match validation.is_empty() {
            true => Ok(None),
            false => EvaluationSource::loader(validation.clone(), preprocessing.clone(), &reading).map(Some),
        }
    }
}

impl Job for OnMasks {
    type Task = SegmentTask;

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

    fn keeps_head(&self, of_weights: &WeightMetadata) -> bool {
        // As `evaluate` does: by name, or by number where nothing names the classes of the data.
        let by_number = self.data.train.is_unnamed() && of_weights.class_count() == self.data.classes.len();
        let task = of_weights.task_as::<SegmentationTask>();
        task.is_ok_and(|task| by_number || are_same_classes(&task.classes, &self.data.classes))
    }

    /// Of weights with other classes all but the layers that tell classes apart goes on learning.
    fn head_parts(&self) -> &[&str] {
        &["head.", "norm.", "decode_head.conv_seg.", "auxiliary_head.conv_seg."]
    }

    fn fresh_parts(&self) -> &[&str] {
        &["norm0.", "norm1.", "norm2.", "norm3.", "decode_head.", "auxiliary_head."]
    }

    fn check(&self) -> Result<(), TrainError> {
        let (size, _) = self.input();
        size.validate()?;
        self.job.model.stage_sizes(size.height, size.width)?;
        self.job.head.validate()?;
        let batch_size = self.job.recipe.training.batch_size.min(self.data.train.len());
        if batch_size < 2 {
            let (what, found) = ("batch size of a segmentation", batch_size.to_string());
            let expected = "at least 2, because batch norms of single values have no statistics";
            return Err(ConfigError::OutOfRange { what, found, expected }.into());
        }
        self.check_synchronised()?;
        self.job.recipe.validate_ranges()?;
        self.check_validation()
    }

    fn memory(&self) -> Result<MemoryEstimate, ConfigError> {
        memory(&self.job)
    }

    /// Images of their own size or fitted, bilinearly.
    fn preprocessing(&self, found: Preprocessing) -> Preprocessing {
        Preprocessing { geometry: self.geometry(), interpolation: Interpolation::Bilinear, ..found }
    }

    fn source(&self, preprocessing: &Preprocessing) -> Result<SegmentationSource, TrainError> {
        let transform = self.job.recipe.augmentation.transform(self.input().0);
        Ok(SegmentationSource::training(self.data.train.clone(), transform, preprocessing.clone())?)
    }

    fn model(&self, device: &Device) -> Result<UperNet, TrainError> {
        let SegmentJob { run, model, head, sync_batch_norm, .. } = &self.job;
        let mut model = UperNet::new(model, head, run.seed, device)?;
        if sync_batch_norm.is_some() && !run.ranks.is_alone() {
            model = model.with_shared_batch(batch_of_ranks(&run.ranks));
        }
        Ok(model.with_activations(run.activations).with_precision(run.precision))
    }

    fn rules(&self) -> ParameterRules {
        let SegmentJob { model, recipe, .. } = &self.job;
        let layers = recipe.layer_decay(self.is_from_weights());
        let layers = layers.map(|layers| LayerDecay::new(layers.count, layers.rate, model));
        let rules = ParameterRules::of_recipe(&recipe.training).with_layer_decay(layers);
        let frozen = if self.freezes_encoder() { STAGES } else { 0 };
        rules.with_frozen(FrozenStages(frozen))
    }

    fn task(&self, preprocessing: Preprocessing, device: &Device) -> Result<SegmentTask, TrainError> {
        let SegmentJob { run, model, recipe, head, freeze, .. } = &self.job;
        Ok(SegmentTask {
            freeze: *freeze,
            is_synchronised: self.job.sync_batch_norm.is_some(),
            loss: SegmentationLoss::new(recipe.loss, &self.data.train.pixels_per_class()),
            head: *head,
            drop_path: model.drop_path_rates(recipe.regularization.drop_path),
            head_dropout: recipe.regularization.head_dropout,
            seed: run.seed,
            device: device.clone(),
            validation: self.validation_loader(&preprocessing)?,
            inference: recipe.inference_options(),
            metadata: WeightMetadata::new(model, &self.metadata(), preprocessing)
                .with_recipe(in_toml(recipe)?),
            colours: class_colours(&self.data.palette, model.classes),
        })
    }

    fn announcement(&self, steps: &str) -> String {
        let (size, _) = self.input();
        let decisions: String =
            self.data.decisions.iter().map(|decision| format!("\n  masks: {decision}")).collect();
        format!(
            "training {} with UperNet of {} channels {} to segment {} of {} ({} for validation), crops of {}: \
             {steps}{decisions}",
            self.job.model.name,
            self.job.head.head_width,
            if self.is_from_weights() { "from weights" } else { "from scratch" },
            counted(self.data.train.len(), "image", "images"),
            counted(self.job.model.classes, "class", "classes"),
            self.data.validation.len(),
            size.with_unit(),
        )
    }
}
