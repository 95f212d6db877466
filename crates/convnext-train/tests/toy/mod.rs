//! A task that knows nothing of images with classes: two views of each image under one size that is drawn for the
//! batch, a layer with batch norm, which counts its batches, and a copy of it that follows slowly.

// Each test binary uses its own part.
#![allow(dead_code)]

pub(crate) mod runs;

use burn::module::{Module, Param, ParamId};
use burn::prelude::*;
use convnext_core::{
    ClassNames, ConfigError, ImageSize, ModelConfig, Preprocessing, Purpose, WeightMetadata, find_model,
    imagenet_mean, imagenet_std,
};
use convnext_data::{
    Batch, BatchContext, DataError, Dataset, Decoding, ImageReader, Orientation, SampleContext, Source,
    TrainCrop, TrainTransform,
};
use convnext_nn::{Counter, ModelState, tensor_values};
use convnext_train::{
    BatchOf, Direction, Job, Loss, MemoryEstimate, Metric, MonitoredMetric, Observed, RunSettings, Task,
    TrainError, TrainingRecipe, ValidationResult,
};
use rand::RngExt;
use serde::Serialize;

/// Outputs of the layer.
const OUTPUTS: usize = 4;

/// How fast running statistics and the copy follow.
const MOMENTUM: f64 = 0.1;

/// Where the counter starts: f32 and f64 cannot tell the next number from it.
pub(crate) const SEEN: i64 = 1 << 53;

/// Two views of each image.
#[derive(Debug, Clone)]
pub(crate) struct TwoViews {
    pub(crate) dataset: Dataset,
    decoding: Decoding,
}

/// The mean colour of each view, `[views, images, 3]`, and the size that they had.
#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) values: [Vec<f32>; 2],
    pub(crate) size: usize,
}

impl Batch for Views {
    fn len(&self) -> usize {
        self.values[0].len() / 3
    }
}

impl TwoViews {
    pub(crate) fn new(dataset: Dataset) -> Self {
        Self { dataset, decoding: transform(8).decoding(Orientation::Honour) }
    }
}

fn transform(image_size: usize) -> TrainTransform {
    let crop = TrainCrop::RandomResized { scale: [0.3, 1.0], ratio: [0.75, 1.25] };
    TrainTransform::plain(image_size, crop, imagenet_mean(3), imagenet_std(3))
}

impl Source for TwoViews {
    /// The side of the views.
    type Draw = usize;
    type Sample = [Vec<f32>; 2];
    type Batch = Views;

    fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    fn draw(&self, place: BatchContext) -> usize {
        place.stream(Purpose::Batch).random_range(4..9)
    }

    fn load(
        &self,
        visit: SampleContext,
        side: &usize,
        images: &ImageReader,
    ) -> Result<[Vec<f32>; 2], DataError> {
        let image = images.image(visit.sample)?;
        let mut rng = visit.stream(Purpose::Augmentation);
        Ok([(); 2].map(|()| transform(*side).apply(&image, &mut rng)))
    }

    fn collate(&self, _place: BatchContext, side: usize, samples: Vec<(usize, [Vec<f32>; 2])>) -> Views {
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        let colours = |view: usize| {
            let images = samples.iter().map(|(_, views)| &views[view]);
            images.flat_map(|image| image.chunks(side * side).map(mean).collect::<Vec<_>>()).collect()
        };
        Views { values: [colours(0), colours(1)], size: side }
    }
}

/// A layer, the running means and variances of its outputs, how many batches these are of, and the copy that follows.
#[derive(Module, Debug)]
pub(crate) struct Toy {
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) mean: ModelState<Param<Tensor<1>>>,
    pub(crate) variance: ModelState<Param<Tensor<1>>>,
    pub(crate) num_batches_tracked: Counter,
    pub(crate) copy: ModelState<Param<Tensor<2>>>,
}

impl Toy {
    pub(crate) fn new(device: &Device) -> Self {
        let weight = || {
            let values = (0..3 * OUTPUTS).map(|place| (place as f32 * 0.7).sin()).collect();
            Tensor::<2>::from_data(TensorData::new::<f32, _>(values, [3, OUTPUTS]), device)
        };
        let param = |tensor: Tensor<1>| Param::initialized(ParamId::new(), tensor);
        Self {
            weight: Param::initialized(ParamId::new(), weight().require_grad()),
            mean: ModelState::new(param(Tensor::zeros([OUTPUTS], device))),
            variance: ModelState::new(param(Tensor::ones([OUTPUTS], device))),
            num_batches_tracked: Counter::new(SEEN),
            copy: ModelState::new(Param::initialized(ParamId::new(), weight())),
        }
    }
}

/// Learns that both views of an image are alike.
pub(crate) struct Agreement {
    pub(crate) device: Device,
    pub(crate) metadata: WeightMetadata,
    /// Whether the loss breaks in its second part.
    pub(crate) broken: bool,
    /// How many images a validation is said to look at; 0 measures nothing.
    pub(crate) validation_images: usize,
    pub(crate) goal: MonitoredMetric,
}

impl Agreement {
    pub(crate) fn new(device: Device) -> Self {
        let model = ModelConfig { classes: 0, ..find_model("micro").unwrap().config() };
        let preprocessing = Preprocessing::for_size(32, 3);
        let metadata = WeightMetadata::of_classifier(&model, ClassNames::default(), preprocessing);
        Self { device, metadata, broken: false, validation_images: 0, goal: MonitoredMetric::TrainLoss }
    }
}

impl Task for Agreement {
    type Model = Toy;
    type Source = TwoViews;

    fn loss(&self, model: &Toy, batch: BatchOf<Self>) -> Result<Loss, TrainError> {
        let images = batch.len();
        let [first, second] =
            batch.values.map(|view| Tensor::<2>::from_data(TensorData::new(view, [images, 3]), &self.device));
        let outputs = first.matmul(model.weight.val());
        let (mean, variance) = (outputs.clone().mean_dim(0), outputs.clone().var_bias(0));
        let normal = (outputs - mean.clone()) / (variance.clone() + 1e-5).sqrt();
        // The copy is judged by what all batches so far had.
        let [old_mean, old_variance] =
            [&model.mean, &model.variance].map(|state| state.get().val().reshape([1, OUTPUTS]));
        let target = (second.matmul(model.copy.get().val()) - old_mean) / (old_variance + 1e-5).sqrt();
        let agreement = (normal.clone() - target).powf_scalar(2.0).mean();
        let size = (normal.abs().mean() - 0.5).powf_scalar(2.0);
        let size = if self.broken { size * f64::NAN } else { size };
        let mut loss = Loss::sum(vec![("agreement", agreement), ("size", size)]);
        let observed = |name: &str, values: Tensor<2>| Observed::Statistic {
            name: name.to_owned(),
            values: values.inner().reshape([OUTPUTS]),
            momentum: MOMENTUM,
        };
        let batch = Observed::Count { name: "num_batches_tracked".to_owned(), by: 1 };
        loss.observed = vec![observed("mean", mean), observed("variance", variance), batch];
        Ok(loss)
    }

    fn before_step(&self, mut model: Toy, step: usize, total_steps: usize) -> Toy {
        assert!(step < total_steps, "step {step} of {total_steps}");
        let [copy, weight] = [model.copy.get(), &model.weight].map(|parameter| parameter.val().inner());
        let moved = Tensor::from_inner(copy * (1.0 - MOMENTUM) + weight * MOMENTUM);
        model.copy = ModelState::new(Param::initialized(model.copy.get().id, moved));
        model
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.validation_images
    }

    /// How far the copy is from the layer.
    fn validate(
        &self,
        model: &Toy,
        _images: Option<&std::path::Path>,
    ) -> Result<ValidationResult, TrainError> {
        if self.validation_images == 0 {
            return Ok(ValidationResult::default());
        }
        let [weight, copy] = [&model.weight, model.copy.get()].map(|layer| tensor_values(layer.val()));
        let distance = weight.iter().zip(copy).map(|(one, other)| f64::from((one - other).abs())).sum();
        let metrics = vec![Metric::new("distance", Some(distance), Direction::LowerIsBetter)];
        Ok(ValidationResult::new("agreement", metrics, &()))
    }

    fn monitored_metric(&self) -> MonitoredMetric {
        self.goal
    }
}

/// A training of [`Agreement`] from a folder of images to a finished run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AgreementJob {
    #[serde(flatten)]
    pub(crate) settings: RunSettings,
    pub(crate) training: TrainingRecipe,
    #[serde(skip)]
    pub(crate) images: Dataset,
    /// What may start fresh.
    #[serde(skip)]
    pub(crate) fresh: Vec<&'static str>,
}

impl Job for AgreementJob {
    type Task = Agreement;

    fn settings(&self) -> &RunSettings {
        &self.settings
    }

    fn training(&self) -> &TrainingRecipe {
        &self.training
    }

    fn training_mut(&mut self) -> &mut TrainingRecipe {
        &mut self.training
    }

    fn reasons(&self) -> &[String] {
        &[]
    }

    fn images(&self) -> &Dataset {
        &self.images
    }

    fn fresh_parts(&self) -> &[&str] {
        &self.fresh
    }

    fn input(&self) -> (ImageSize, usize) {
        (8.into(), 3)
    }

    fn check(&self) -> Result<(), TrainError> {
        Ok(())
    }

    fn memory(&self) -> Result<MemoryEstimate, ConfigError> {
        Ok(MemoryEstimate { bytes: 1 << 20 })
    }

    fn source(&self, _preprocessing: &Preprocessing) -> Result<TwoViews, TrainError> {
        Ok(TwoViews::new(self.images.clone()))
    }

    fn model(&self, device: &Device) -> Result<Toy, TrainError> {
        Ok(Toy::new(device))
    }

    fn task(&self, _preprocessing: Preprocessing, device: &Device) -> Result<Agreement, TrainError> {
        Ok(Agreement::new(device.clone().autodiff()))
    }

    fn announcement(&self, steps: &str) -> String {
        format!("two views of {} images: {steps}", self.images.len())
    }
}
