//! Pre-training without labels: FCMAE on a folder of images (paper section 3.1).

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use convnext_core::{
    ConfigError, DecoderConfig, FcmaeConfig, FcmaeObjective, ImageSize, Mask, ModelConfig, PatchGrid,
    Preprocessing, Seed, WeightMetadata, counted, usable_kept_count,
};
use convnext_data::{Dataset, Decoding, ImageBatch, ImageSource};
use convnext_nn::Fcmae;
use serde::Serialize;

use crate::analysis::feature_watch::FeatureWatch;
use crate::error::TrainError;
use crate::memory::MemoryEstimate;
use crate::recipe::pretrain_recipe::PretrainRecipe;
use crate::recipe::training::TrainingRecipe;
use crate::recipe::writing::in_toml;
use crate::run::run_settings::RunSettings;
use crate::run::summary::Summary;
use crate::tasks::reconstruction::{Reconstruction, reconstruct};
use crate::tasks::shown_batch::save_batch;
use crate::training::block_checks::{check_batch_norm, check_encoder};
use crate::training::job::Job;
use crate::training::losses::Loss;
use crate::training::monitored_metric::MonitoredMetric;
use crate::training::observer::Observer;
use crate::training::run_job::{Trained, plan_training, run_training};
use crate::training::task::{Task, batch_images};
use crate::training::training_plan::TrainingPlan;
use crate::training::validation_result::ValidationResult;

/// Everything that decides a pre-training.
#[derive(Debug, Clone, Serialize)]
pub struct PretrainJob {
    /// Settings of the run, such as its folder and its seed; labels of the data are ignored.
    #[serde(flatten)]
    pub run: RunSettings,
    /// The autoencoder.
    pub model: FcmaeConfig,
    /// Training recipe, with the objective.
    pub recipe: PretrainRecipe,
    /// Measure feature distance, dead and saturated maps at each validation. Recorded when on.
    #[serde(skip_serializing_if = "is_off")]
    pub watch_features: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_off(value: &bool) -> bool {
    !value
}

/// Result of a pre-training.
#[derive(Debug, Clone, PartialEq)]
pub struct Pretrained {
    /// The weight file: encoder and decoder.
    pub weights: PathBuf,
    /// Summary of the run.
    pub summary: Summary,
}

/// Images whose reconstructions are shown.
const SHOWN: usize = 8;

/// Runs a pre-training on these images and writes encoder and decoder to `weights.safetensors` in the run folder. Does
/// nothing for a run that goes on and is finished.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn pretrain(
    job: &PretrainJob,
    dataset: Dataset,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Pretrained, TrainError> {
    let Trained { weights, summary } =
        run_training(OnImages { job: job.clone(), images: dataset }, device, observer)?;
    Ok(Pretrained { weights, summary })
}

/// Plans a pre-training on these images and times a few of its steps; writes nothing.
///
/// # Errors
/// As [`plan_training`].
pub fn plan_pretraining(
    job: &PretrainJob,
    dataset: Dataset,
    device: &Device,
) -> Result<TrainingPlan, TrainError> {
    plan_training(OnImages { job: job.clone(), images: dataset }, device)
}

/// A pre-training and its images.
#[derive(Debug, Clone, Serialize)]
struct OnImages {
    #[serde(flatten)]
    job: PretrainJob,
    #[serde(skip)]
    images: Dataset,
}

impl OnImages {
    fn grid(&self) -> Result<PatchGrid, TrainError> {
        let ImageSize { height, width } = self.job.recipe.input.image_size;
        Ok(PatchGrid::of_image(&self.job.model.encoder, height, width)?)
    }

    /// Patches that are kept of each image.
    fn kept(&self) -> Result<usize, TrainError> {
        Ok(usable_kept_count(self.grid()?.patches(), self.job.recipe.masking.objective().mask_ratio)?)
    }
}

impl Job for OnImages {
    type Task = Pretraining;

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
        &self.images
    }

    fn input(&self) -> (ImageSize, usize) {
        (self.job.recipe.input.image_size, self.job.model.encoder.input_channels)
    }

    fn backbone(&self) -> Option<&ModelConfig> {
        Some(&self.job.model.encoder)
    }

    fn decoder(&self) -> Option<&DecoderConfig> {
        Some(&self.job.model.decoder)
    }

    fn check(&self) -> Result<(), TrainError> {
        let PretrainJob { run, model, recipe, .. } = &self.job;
        model.validate()?;
        check_encoder(model.encoder_kind, run.activations)?;
        self.input().0.validate()?;
        recipe.masking.objective().validate()?;
        let sites = if model.encoder_kind.mixes_patches() { self.grid()?.patches() } else { self.kept()? };
        check_batch_norm(&model.encoder, recipe.training.batch_size.min(self.images.len()), sites)?;
        self.kept().map(drop)
    }

    fn memory(&self) -> Result<MemoryEstimate, ConfigError> {
        let PretrainJob { run, model, recipe, .. } = &self.job;
        MemoryEstimate::of_pretraining(model, recipe, run.activations, run.precision)
    }

    fn source(&self, preprocessing: &Preprocessing) -> Result<ImageSource, TrainError> {
        let transform = self.job.recipe.augmentation.transform(preprocessing, self.input().0);
        self.job.run.images(&self.images, transform, None)
    }

    fn model(&self, device: &Device) -> Result<Fcmae, TrainError> {
        let PretrainJob { run, model, .. } = &self.job;
        let model = Fcmae::new(model, run.seed, device)?;
        Ok(model.with_activations(run.activations).with_precision(run.precision))
    }

    fn task(&self, preprocessing: Preprocessing, device: &Device) -> Result<Pretraining, TrainError> {
        let PretrainJob { run, model, recipe, watch_features } = &self.job;
        let (images, objective) = (self.images.len(), recipe.masking.objective());
        let shown = SHOWN.min(images);
        Ok(Pretraining {
            grid: self.grid()?,
            objective,
            seed: run.seed,
            device: device.clone(),
            shown: (0..shown).map(|number| number * images / shown).collect(),
            watch: watch_features.then(|| {
                let reading = (run.orientation, run.threads);
                FeatureWatch::new(&self.images, preprocessing.clone(), reading, run.seed)
            }),
            dataset: self.images.clone(),
            decoding: Decoding::of(&preprocessing, run.orientation),
            metadata: WeightMetadata::of_fcmae(model, objective, preprocessing).with_recipe(in_toml(recipe)?),
        })
    }

    fn announcement(&self, steps: &str) -> String {
        let PretrainJob { model, recipe, .. } = &self.job;
        // Both were checked before.
        let (kept, patches) = (self.kept().unwrap_or(0), self.grid().map_or(0, |grid| grid.patches()));
        format!(
            "pre-training {} on {} of {}: {kept} of {patches} patches kept, {steps}",
            model.encoder.name,
            counted(self.images.len(), "image", "images"),
            recipe.input.image_size.with_unit()
        )
    }
}

/// Predict the removed patches of each image, under a fresh mask in each epoch.
struct Pretraining {
    grid: PatchGrid,
    objective: FcmaeObjective,
    seed: Seed,
    device: Device,
    dataset: Dataset,
    /// Images whose reconstructions are shown.
    shown: Vec<usize>,
    /// What is measured of the features, if anything.
    watch: Option<FeatureWatch>,
    /// Decoding of the images shown.
    decoding: Decoding,
    metadata: WeightMetadata,
}

impl Task for Pretraining {
    type Model = Fcmae;
    type Source = ImageSource;

    fn loss(&self, model: &Fcmae, mut batch: ImageBatch) -> Result<Loss, TrainError> {
        let ratio = self.objective.mask_ratio;
        let mask = |&sample: &usize| Mask::random(self.grid, ratio, self.seed, batch.epoch, sample as u64);
        let masks = batch.samples.iter().map(mask).collect::<Result<Vec<_>, _>>()?;
        let output = model.forward(batch_images(&mut batch, &self.device), &masks, self.objective)?;
        Ok(Loss::from(output.loss).with_statistics(model.take_statistics()))
    }

    fn show_batch(&self, batch: &ImageBatch, image_folder: &Path) -> Result<(), TrainError> {
        save_batch(batch, &self.metadata.preprocessing, image_folder)
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.shown.len() + self.watch.as_ref().map_or(0, FeatureWatch::len)
    }

    /// Measures the features, if they are watched; shows the same reconstructions under the same masks each time.
    fn validate(&self, model: &Fcmae, image_folder: Option<&Path>) -> Result<ValidationResult, TrainError> {
        let backbone = (&model.encoder, &model.config().encoder);
        let metrics = self.watch.as_ref().map(|watch| watch.metrics(backbone)).transpose()?;
        let measured = ValidationResult::new(Reconstruction::KIND, metrics.unwrap_or_default(), &());
        let Some(folder) = image_folder else { return Ok(measured) };
        for (number, &sample) in (1..).zip(&self.shown) {
            // A file that cannot be read was reported when it was trained on.
            let preprocessing = &self.metadata.preprocessing;
            let Ok(image) = self.dataset.image(sample, &self.decoding) else { continue };
            let mask = Mask::random(self.grid, self.objective.mask_ratio, self.seed, 0, sample as u64)?;
            let shown = reconstruct(model, self.objective, preprocessing, &image, &mask, &self.device)?;
            shown.panels.save_png(&folder.join(format!("reconstruction-{number:02}.png")))?;
        }
        Ok(measured)
    }

    fn monitored_metric(&self) -> MonitoredMetric {
        MonitoredMetric::TrainLoss
    }
}
