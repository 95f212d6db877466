//! Pre-training without labels: FCMAE on a folder of images (paper section 3.1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use convnext_core::{
    ClassNames, FcmaeConfig, Mask, PatchGrid, Preprocessing, Seed, WeightKind, WeightMetadata,
    usable_kept_count,
};
use convnext_data::{Batch, Loader, LoaderConfig, OnCorrupt, Orientation, Transform, open_unlabelled};
use convnext_nn::Fcmae;
use serde::Serialize;

use crate::{
    Length, Observer, PretrainRecipe, RunFolder, Task, TrainError, batch_images, save_weights, start_from,
    train,
};

/// Everything that decides a pre-training.
#[derive(Debug, Clone, Serialize)]
pub struct PretrainJob {
    /// Folder or archive of images; labels are ignored.
    pub data: PathBuf,
    /// Output folder.
    pub out: PathBuf,
    /// Weights to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Seed of every random choice.
    pub seed: Seed,
    /// Threads that read images.
    #[serde(skip)]
    pub threads: usize,
    /// Whether the EXIF orientation of pictures counts.
    pub orientation: Orientation,
    /// How long, if not as the recipe says.
    #[serde(skip)]
    pub length: Option<Length>,
    /// The autoencoder.
    pub model: FcmaeConfig,
    /// How to train it.
    pub recipe: PretrainRecipe,
}

/// Runs a pre-training and writes encoder and decoder to `weights.safetensors` in the run folder,
/// whose path it returns.
///
/// # Errors
/// Any [`TrainError`]; whatever can be found wrong before the first step is found then.
pub fn pretrain(
    job: &PretrainJob,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<PathBuf, TrainError> {
    job.model.validate()?;
    let size = job.recipe.masking.image_size;
    let grid = PatchGrid::of_image(&job.model.encoder, size, size)?;
    let kept = usable_kept_count(grid.patches(), job.model.mask_ratio)?;
    let dataset = open_unlabelled(&job.data)?;
    let model = Fcmae::new(&job.model, job.seed, &device.clone().autodiff())?;
    let model = match &job.init {
        None => model,
        Some(path) => start_from(model, path, &ClassNames::default())?,
    };
    let images = dataset.len();
    let mut recipe = job.recipe.clone();
    recipe.training.batch_size = recipe.training.batch_size.min(images);
    let loader = Loader::new(
        dataset,
        Transform::Train(recipe.augmentation.transform(size)),
        training_loader(recipe.training.batch_size, job.threads, job.orientation, job.seed),
    )?;
    let steps_per_epoch = loader.batches_per_epoch();
    recipe.training = recipe.training.rescaled(steps_per_epoch, job.length);
    let schedule = recipe.training.schedule(steps_per_epoch);

    let mut run = RunFolder::create(&job.out, &PretrainJob { recipe: recipe.clone(), ..job.clone() })?;
    observer.start(&format!(
        "pre-training {} on {images} images of {size} px: {} of {} patches kept, {} steps of {} images",
        job.model.encoder.name,
        kept,
        grid.patches(),
        schedule.total_steps,
        recipe.training.batch_size,
    ));
    let metadata = WeightMetadata {
        kind: WeightKind::Fcmae { fcmae: job.model.clone() },
        preprocessing: Preprocessing::for_size(size),
        classes: ClassNames::default(),
    };
    let mask_ratio = job.model.mask_ratio;
    let task = Pretraining { grid, mask_ratio, seed: job.seed, device: device.clone(), metadata };
    train(&task, model, &loader, &recipe.training, &schedule, &mut run, observer)?;
    Ok(run.weights())
}

/// How every training reads its images: shuffled, whole batches, corrupt files replaced.
pub(crate) fn training_loader(
    batch_size: usize,
    threads: usize,
    orientation: Orientation,
    seed: Seed,
) -> LoaderConfig {
    LoaderConfig {
        batch_size,
        threads,
        queue: 4,
        shuffle: true,
        drop_last: true,
        orientation,
        on_corrupt: OnCorrupt::Replace,
        seed,
    }
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
