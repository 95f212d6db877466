//! The one training loop, generic over what is learnt.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use convnext_data::Batch;

use crate::{AdamW, EpochReport, Lesson, Observer, RunFolder, StepReport, TrainError, TrainingRecipe};

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
/// measured for the last time: a broken validation image must not cost the weights.
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
    let Lesson { loader, schedule } = lesson;
    let mut optimizer = AdamW::new(recipe);
    let mut last = EpochReport { epoch: 0, step: 0, train_loss: f64::NAN, validation: BTreeMap::new() };
    let mut step = 0;
    let mut trained_images = 0;
    for epoch in 0.. {
        let mut losses = 0.0;
        let first_step = step;
        let mut clock = Instant::now();
        for batch in loader.epoch(epoch).take(schedule.total_steps - step) {
            let batch = batch?;
            let images = batch.len();
            let learning_rate = schedule.learning_rate(step);
            let loss = task.loss(&model, &batch)?;
            let value = loss.clone().into_scalar::<f32>();
            step += 1;
            trained_images += images;
            if !value.is_finite() {
                return Err(TrainError::Diverged { step, what: format!("the loss ({value})") });
            }
            model = optimizer.step(model, &loss.backward(), learning_rate);
            losses += f64::from(value);
            let report = StepReport {
                step,
                total_steps: schedule.total_steps,
                epoch,
                loss: value,
                learning_rate,
                images_per_second: images as f64 / clock.elapsed().as_secs_f64(),
            };
            clock = Instant::now();
            run.record(&report)?;
            observer.step(&report);
        }
        let finished = step >= schedule.total_steps;
        if finished {
            task.save(&model, &run.weights()).map_err(|error| diverged(error, step))?;
        }
        let mut validation = BTreeMap::new();
        if finished || trained_images >= task.validation_images() {
            validation = task.validate(&model.valid()).map_err(|error| diverged(error, step))?;
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
