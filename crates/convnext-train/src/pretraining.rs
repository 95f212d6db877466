//! Pre-training without labels: FCMAE on a folder of images (paper section 3.1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use convnext_core::{
    ClassNames, FcmaeConfig, Mask, PatchGrid, Preprocessing, Seed, WeightKind, WeightMetadata,
    usable_kept_count,
};
use convnext_data::{Batch, Transform, open_unlabelled};
use convnext_nn::Fcmae;
use serde::Serialize;

use crate::{
    Observer, PretrainRecipe, RunFolder, RunSettings, Task, TrainError, batch_images, save_weights,
    start_from, train,
};

/// Everything that decides a pre-training.
#[derive(Debug, Clone, Serialize)]
pub struct PretrainJob {
    /// Where, and under which seed; labels of the data are ignored.
    #[serde(flatten)]
    pub run: RunSettings,
    /// The autoencoder.
    pub model: FcmaeConfig,
    /// How to train it.
    pub recipe: PretrainRecipe,
}

/// Runs a pre-training and writes encoder and decoder to `weights.safetensors` in the run folder,
/// whose path it returns.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn pretrain(
    job: &PretrainJob,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<PathBuf, TrainError> {
    let PretrainJob { run: settings, model: config, recipe } = job;
    let mut recipe = recipe.clone();
    config.validate()?;
    let size = recipe.masking.image_size;
    let grid = PatchGrid::of_image(&config.encoder, size, size)?;
    let kept = usable_kept_count(grid.patches(), config.mask_ratio)?;
    let dataset = open_unlabelled(&settings.data)?;
    let images = dataset.len();
    let transform = Transform::Train(recipe.augmentation.transform(size));
    let lesson = settings.prepare(dataset, transform, &config.encoder, &mut recipe.training)?;
    let mut model = Fcmae::new(config, settings.seed, &device.clone().autodiff())?;
    if let Some(path) = &settings.init {
        model = start_from(model, path, &ClassNames::default())?;
    }

    let mut run = RunFolder::create(&settings.out, &PretrainJob { recipe: recipe.clone(), ..job.clone() })?;
    observer.start(&format!(
        "pre-training {} on {images} images of {size} px: {kept} of {} patches kept, {} steps of {} images",
        config.encoder.name,
        grid.patches(),
        lesson.schedule.total_steps,
        recipe.training.batch_size,
    ));
    let task = Pretraining {
        grid,
        mask_ratio: config.mask_ratio,
        seed: settings.seed,
        device: device.clone(),
        metadata: WeightMetadata {
            kind: WeightKind::Fcmae { fcmae: config.clone() },
            preprocessing: Preprocessing::for_size(size),
            classes: ClassNames::default(),
        },
    };
    train(&task, model, &lesson, &recipe.training, &mut run, observer)?;
    Ok(run.weights())
}

/// Predict the removed patches of each image, under a fresh mask at each visit.
struct Pretraining {
    grid: PatchGrid,
    mask_ratio: f64,
    seed: Seed,
    device: Device,
    metadata: WeightMetadata,
}

impl Task for Pretraining {
    type Model = Fcmae;

    fn loss(&self, model: &Fcmae, batch: &Batch) -> Result<Tensor<1>, TrainError> {
        let mask =
            |&sample: &usize| Mask::random(self.grid, self.mask_ratio, self.seed, batch.epoch, sample as u64);
        let masks = batch.samples.iter().map(mask).collect::<Result<Vec<_>, _>>()?;
        Ok(model.forward(batch_images(batch, &self.device), &masks)?.loss)
    }

    fn save(&self, model: &Fcmae, path: &Path) -> Result<(), TrainError> {
        save_weights(path, model, &self.metadata)
    }

    fn validation_images(&self) -> usize {
        0
    }

    fn validate(&self, _model: &Fcmae) -> Result<BTreeMap<String, f64>, TrainError> {
        Ok(BTreeMap::new())
    }
}
