//! Pre-training without labels: FCMAE on a folder of images (paper section 3.1).

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use convnext_core::{
    ClassNames, FcmaeConfig, FcmaeObjective, Mask, PatchGrid, Seed, WeightKind, WeightMetadata,
    usable_kept_count,
};
use convnext_data::{Batch, Dataset, Decoding, Transform};
use convnext_nn::Fcmae;
use serde::Serialize;

use crate::run_folder::{Opened, weights_of};
use crate::run_settings::{Resolved, said};
use crate::{
    Goal, Learner, Measured, MemoryNeed, Observer, ParameterRules, PretrainRecipe, RunFolder, RunSettings,
    Summary, Task, TrainError, batch_images, in_lines, in_toml, reconstruct, start_from, train,
};

/// Everything that decides a pre-training.
#[derive(Debug, Clone, Serialize)]
pub struct PretrainJob {
    /// Where, and under which seed; labels of the data are ignored.
    #[serde(flatten)]
    pub run: RunSettings,
    /// The autoencoder.
    pub model: FcmaeConfig,
    /// How to train it, and for what.
    pub recipe: PretrainRecipe,
}

/// What a pre-training made.
#[derive(Debug, Clone, PartialEq)]
pub struct Pretrained {
    /// The weight file: encoder and decoder.
    pub weights: PathBuf,
    /// What is known of the run.
    pub summary: Summary,
}

/// Pictures whose reconstructions are shown.
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
    let PretrainJob { run: settings, model: config, recipe } = job;
    let mut recipe = recipe.clone();
    config.validate()?;
    let objective = recipe.masking.objective();
    objective.validate()?;
    let size = recipe.masking.image_size;
    let grid = PatchGrid::of_image(&config.encoder, size, size)?;
    let kept = usable_kept_count(grid.patches(), objective.mask_ratio)?;
    let need = |recipe: &PretrainRecipe| {
        MemoryNeed::of_pretraining(config, recipe, settings.memory, settings.precision)
    };
    let of_batch = |batch| need(&recipe.with_batch(batch));
    if let Some(batch) = settings.find_batch(device, dataset.len(), of_batch)? {
        recipe = recipe.with_batch(batch);
    }
    let (preprocessing, why) = settings.preprocessing(size, config.encoder.input_channels, &dataset)?;
    let transform = Transform::Train(recipe.augmentation.transform(&preprocessing));
    let mut lesson = settings.prepare(dataset.clone(), transform, None, &mut recipe.training)?;
    need(&recipe)?.check(device)?;
    lesson.headers = settings.check_headers(&[("training", &dataset)], config.encoder.input_channels)?;

    let resolved = PretrainJob { recipe: recipe.clone(), ..job.clone() };
    let resolved = Resolved::new(resolved, preprocessing.clone(), &dataset);
    let mut run = match RunFolder::open(&settings.out, &resolved, settings.go_on)? {
        Opened::Unfinished(run) => run,
        Opened::Finished(summary) => {
            observer.start("the run is already finished");
            return Ok(Pretrained { weights: weights_of(&settings.out), summary });
        }
    };
    let mut model = Fcmae::new(config, settings.seed, &device.clone().autodiff())?;
    if let Some(path) = &settings.init {
        model = start_from(model, path, &ClassNames::default())?;
    }
    observer.start(&format!(
        "pre-training {} on {} images of {size} px: {kept} of {} patches kept, {} steps of {} images{}{}",
        config.encoder.name,
        dataset.len(),
        grid.patches(),
        lesson.schedule.total_steps,
        recipe.training.batch_size * recipe.training.accumulate,
        in_lines(&recipe.reasons),
        in_lines(&said(why)),
    ));
    let task = Pretraining {
        grid,
        objective,
        seed: settings.seed,
        device: device.clone(),
        shown: (0..SHOWN.min(dataset.len())).map(|i| i * dataset.len() / SHOWN.min(dataset.len())).collect(),
        dataset,
        decoding: Decoding::of(&preprocessing, settings.orientation),
        metadata: WeightMetadata {
            kind: WeightKind::Fcmae { fcmae: config.clone(), objective },
            preprocessing,
            classes: ClassNames::default(),
            recipe: in_toml(&recipe)?,
        },
    };
    let model = model.with_memory(settings.memory).with_precision(settings.precision);
    let learner = Learner::new(model, &recipe.training, ParameterRules::of_recipe(&recipe.training));
    let summary = train(&task, learner, &lesson, &mut run, observer)?;
    Ok(Pretrained { weights: run.weights(), summary })
}

/// Predict the removed patches of each image, under a fresh mask at each visit.
struct Pretraining {
    grid: PatchGrid,
    objective: FcmaeObjective,
    seed: Seed,
    device: Device,
    dataset: Dataset,
    /// Images whose reconstructions are shown.
    shown: Vec<usize>,
    /// How these are read.
    decoding: Decoding,
    metadata: WeightMetadata,
}

impl Task for Pretraining {
    type Model = Fcmae;

    fn loss(&self, model: &Fcmae, mut batch: Batch) -> Result<Tensor<1>, TrainError> {
        let ratio = self.objective.mask_ratio;
        let mask = |&sample: &usize| Mask::random(self.grid, ratio, self.seed, batch.epoch, sample as u64);
        let masks = batch.samples.iter().map(mask).collect::<Result<Vec<_>, _>>()?;
        Ok(model.forward(batch_images(&mut batch, &self.device), &masks, self.objective)?.loss)
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.shown.len()
    }

    /// Measures nothing; shows the same reconstructions under the same masks each time.
    fn validate(&self, model: &Fcmae, pictures: Option<&Path>) -> Result<Measured, TrainError> {
        let Some(folder) = pictures else { return Ok(Measured::default()) };
        for (number, &sample) in (1..).zip(&self.shown) {
            // A file that cannot be read was reported when it was trained on.
            let preprocessing = &self.metadata.preprocessing;
            let Ok(picture) = self.dataset.picture(sample, &self.decoding) else { continue };
            let mask = Mask::random(self.grid, self.objective.mask_ratio, self.seed, 0, sample as u64)?;
            let shown = reconstruct(model, self.objective, preprocessing, &picture, &mask, &self.device)?;
            shown.picture.save_png(&folder.join(format!("reconstruction-{number:02}.png")))?;
        }
        Ok(Measured::default())
    }

    fn goal(&self) -> Goal {
        Goal::TrainLoss
    }
}
