//! The one training loop, generic over what is learnt.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use convnext_data::{Batch, DataError};

use crate::{
    AdamW, EpochReport, Lesson, MovingAverage, NamedGradients, Observer, RunFolder, StepReport, TrainError,
    TrainingRecipe,
};

/// What a training run learns: the loss of a batch, and what to measure between epochs.
pub trait Task {
    /// What is trained.
    type Model: Module;

    /// The loss of one batch, `[1]`.
    ///
    /// # Errors
    /// [`TrainError`] when the batch does not fit the model.
    fn loss(&self, model: &Self::Model, batch: &Batch) -> Result<Tensor<1>, TrainError>;

    /// Writes the trained model, with whatever is needed to use it.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] when training has diverged, [`TrainError::Io`] when the file cannot be
    /// written.
    fn save(&self, model: &Self::Model, path: &Path) -> Result<(), TrainError>;

    /// Images that one validation looks at: it is put off until as many images were trained on, so
    /// that validation never takes longer than training.
    fn validation_images(&self) -> usize;

    /// Measures the model after an epoch; `model` does not track gradients. Empty when there is
    /// nothing to measure.
    ///
    /// # Errors
    /// [`TrainError`] when the validation images cannot be used.
    fn validate(&self, model: &Self::Model) -> Result<BTreeMap<String, f64>, TrainError>;
}

/// A trained model and its last measurements.
#[derive(Debug)]
pub struct Trained<M> {
    /// The model, tracking gradients.
    pub model: M,
    /// The last epoch's report.
    pub last: EpochReport,
}

/// Trains `model` for `lesson.schedule.total_steps` steps and saves it in the run folder, before it is
/// measured for the last time: a broken validation image must not cost the weights. With a moving
/// average, that is saved and measured as well.
///
/// # Errors
/// [`TrainError::Diverged`] when a loss is not finite, and whatever the task, the loader and the run
/// folder report.
pub fn train<T: Task>(
    task: &T,
    mut model: T::Model,
    lesson: &Lesson,
    recipe: &TrainingRecipe,
    run: &mut RunFolder,
    observer: &mut dyn Observer,
) -> Result<Trained<T::Model>, TrainError> {
    let Lesson { loader, schedule, layer_decay } = lesson;
    let mut optimizer = AdamW::new(recipe, layer_decay.clone());
    let mut average = recipe.ema.map(|decay| MovingAverage::new(&model, decay));
    // A step has at least one batch and an epoch at least one step, or the run would never end.
    let accumulate = recipe.accumulate.max(1);
    let steps_per_epoch = (loader.batches_per_epoch() / accumulate).max(1);
    let mut last = EpochReport { epoch: 0, step: 0, train_loss: f64::NAN, validation: BTreeMap::new() };
    let mut step = 0;
    let mut trained_images = 0;
    for epoch in 0.. {
        let mut losses = 0.0;
        let first_step = step;
        let mut batches = loader.epoch(epoch);
        for _ in 0..steps_per_epoch.min(schedule.total_steps - step) {
            let clock = Instant::now();
            let learning_rate = schedule.learning_rate(step);
            step += 1;
            let Lap { loss, images, mut gradients } =
                gradients_of_step(task, &model, batches.by_ref().take(accumulate), step)?;
            if let Some(largest) = recipe.clip_norm {
                gradients.clip(largest);
            }
            model = optimizer.step(model, &gradients, learning_rate);
            if let Some(average) = &mut average {
                average.update(&model);
            }
            trained_images += images;
            losses += f64::from(loss);
            let report = StepReport {
                step,
                total_steps: schedule.total_steps,
                epoch,
                loss,
                learning_rate,
                images_per_second: images as f64 / clock.elapsed().as_secs_f64(),
            };
            run.record(&report)?;
            observer.step(&report);
        }
        let averaged = average.as_ref().map(|average| average.apply(model.clone()));
        let finished = step >= schedule.total_steps;
        if finished {
            task.save(&model, &run.weights()).map_err(|error| diverged(error, step))?;
            if let Some(averaged) = &averaged {
                task.save(averaged, &run.averaged_weights()).map_err(|error| diverged(error, step))?;
            }
        }
        let mut validation = BTreeMap::new();
        if finished || trained_images >= task.validation_images() {
            let measure =
                |model: &T::Model| task.validate(&model.valid()).map_err(|error| diverged(error, step));
            validation = measure(&model)?;
            if let Some(averaged) = &averaged {
                validation.extend(
                    measure(averaged)?.into_iter().map(|(name, value)| (format!("ema_{name}"), value)),
                );
            }
            trained_images = 0;
        }
        let train_loss = losses / (step - first_step).max(1) as f64;
        last = EpochReport { epoch, step, train_loss, validation };
        run.record(&last)?;
        run.flush()?;
        observer.epoch(&last);
        if finished {
            break;
        }
    }
    let corrupt = loader.corrupt().len();
    if corrupt > 0 {
        log::warn!(
            "{corrupt} of {} images could not be read and were replaced by others",
            loader.dataset().len()
        );
    }
    Ok(Trained { model, last })
}

/// What the batches of one step say.
struct Lap {
    /// Mean over the batches.
    loss: f32,
    images: usize,
    /// Mean over the batches.
    gradients: NamedGradients,
}

/// Goes forward and backward through the batches of one step.
fn gradients_of_step<T: Task>(
    task: &T,
    model: &T::Model,
    batches: impl Iterator<Item = Result<Batch, DataError>>,
    step: usize,
) -> Result<Lap, TrainError> {
    let mut lap = Lap { loss: 0.0, images: 0, gradients: NamedGradients::default() };
    let mut count = 0;
    for batch in batches {
        let batch = batch?;
        let loss = task.loss(model, &batch)?;
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, what: format!("the loss ({value})") });
        }
        lap.gradients.add(NamedGradients::of(model, &loss.backward()));
        lap.loss += value;
        lap.images += batch.len();
        count += 1;
    }
    if count > 1 {
        lap.loss /= count as f32;
        lap.gradients.scale(1.0 / f64::from(count));
    }
    Ok(lap)
}

/// What is not finite during training is the training's doing and not that of damaged weights.
fn diverged(error: TrainError, step: usize) -> TrainError {
    match error {
        TrainError::NotFinite { what } => TrainError::Diverged { step, what },
        other => other,
    }
}

/// The images of a batch on a device, `[N, channels, height, width]`. Copies the pixels once.
pub fn batch_images(batch: &Batch, device: &Device) -> Tensor<4> {
    let shape = [batch.len(), batch.channels, batch.height, batch.width];
    Tensor::from_data(TensorData::new(batch.images.clone(), shape), device)
}
