//! The step that the bench times, in each mode, on random images.

use std::iter::once;

use anyhow::bail;
use burn::tensor::Device;
use convnext::core::{
    ConfigError, Cost, EncoderKind, FcmaeConfig, FcmaeObjective, ImageSize, Mask, ModelConfig, PatchGrid,
    Seed, pretraining_macs,
};
use convnext::data::ImageBatch;
use convnext::nn::{ConvNext, DropPath, Fcmae, Precision};
use convnext::train::{Learner, ParameterRules, PretrainRecipe, Targets, TrainError, batch_images};

use super::arguments::{BenchArguments, Mode, Scope, Sites};
use crate::cli::values::ActivationsName;

/// So small that nothing diverges, however many steps are timed.
const LEARNING_RATE: f64 = 1e-6;

/// A step, and its multiply-adds for each image.
pub(super) struct Subject {
    /// Does it once.
    pub(super) step: Box<dyn FnMut() -> anyhow::Result<()>>,
    /// Of all that the step does.
    pub(super) macs: f64,
}

/// Of what is timed, a backward pass costs twice as much as the forward pass.
const FORWARD_AND_BACKWARD: f64 = 3.0;

impl Subject {
    pub(super) fn new(
        arguments: &BenchArguments,
        plain: &Device,
        precision: Precision,
    ) -> anyhow::Result<Self> {
        let BenchArguments { mode, model, batch_size, image_size: size, encoder, scope, .. } = *arguments;
        if scope == Scope::Encoder && mode != Mode::Pretrain {
            bail!("--scope encoder is for --mode pretrain; leave it out");
        }
        if encoder == Sites::Dense && mode != Mode::Pretrain {
            bail!("--encoder dense is for --mode pretrain; the other modes compute all sites anyhow");
        }
        if arguments.activations != ActivationsName::Save && mode == Mode::Infer {
            bail!("--activations is for --mode train and pretrain; inference saves nothing");
        }
        let backbone = ModelConfig { stem_stride: arguments.stem_stride, ..model.config() };
        let tracking = plain.clone().autodiff();
        let activations = arguments.activations.into();
        let recipe = PretrainRecipe::load("plain", &[])?.training;
        // The step gets the images as they are, without a copy; what is left of the batch are its labels.
        let mut batch = random_batch(batch_size, size, backbone.classes);
        let images = batch_images(&mut batch, plain);
        if mode != Mode::Pretrain {
            let macs = Cost::of(&backbone, size.height, size.width)?.macs as f64;
            let build = |device| {
                let model = ConvNext::new(&backbone, Seed(0), device)?;
                Ok::<_, TrainError>(model.with_activations(activations).with_precision(precision))
            };
            if mode == Mode::Infer {
                let model = build(plain)?;
                let step = move || {
                    model.forward(images.clone(), &DropPath::none())?;
                    Ok(())
                };
                return Ok(Self { step: Box::new(step), macs });
            }
            let mut learner = Learner::new(build(&tracking)?, &recipe, ParameterRules::of_recipe(&recipe));
            let class_weights = vec![1.0; backbone.classes];
            let step = move || {
                learner.step(LEARNING_RATE, once(Ok(batch.clone())), |model, batch| {
                    let logits = model.forward(images.clone(), &DropPath::none())?;
                    let labels: Vec<usize> = batch.labels.iter().flatten().copied().collect();
                    Ok(Targets::new(&labels, &class_weights, 0.1).cross_entropy(logits).into())
                })?;
                Ok(())
            };
            return Ok(Self { step: Box::new(step), macs: FORWARD_AND_BACKWARD * macs });
        }
        let mut config = FcmaeConfig::new(backbone);
        if encoder == Sites::Dense {
            config.encoder_kind = EncoderKind::Leaky;
        }
        let objective = FcmaeObjective::default();
        let grid = PatchGrid::of_image(&config.encoder, size.height, size.width)?;
        let [of_encoder, of_decoder] =
            pretraining_macs(&config, objective.mask_ratio, size)?.map(|macs| macs as f64);
        let model =
            Fcmae::new(&config, Seed(0), &tracking)?.with_activations(activations).with_precision(precision);
        let mut number = 0;
        let mut masks = move || -> Result<Vec<Mask>, ConfigError> {
            number += 1;
            (0..batch_size as u64)
                .map(|image| Mask::random(grid, objective.mask_ratio, Seed(0), number, image))
                .collect()
        };
        if scope == Scope::Encoder {
            let step = move || {
                model.encode(images.clone(), &masks()?)?.sum().backward();
                Ok(())
            };
            return Ok(Self { step: Box::new(step), macs: FORWARD_AND_BACKWARD * of_encoder });
        }
        let mut learner = Learner::new(model, &recipe, ParameterRules::of_recipe(&recipe));
        let step = move || {
            let masks = masks()?;
            learner.step(LEARNING_RATE, once(Ok(batch.clone())), |model, _| {
                Ok(model.forward(images.clone(), &masks, objective)?.loss.into())
            })?;
            Ok(())
        };
        Ok(Self { step: Box::new(step), macs: FORWARD_AND_BACKWARD * (of_encoder + of_decoder) })
    }
}

/// Images without pattern, the same every time.
fn random_batch(count: usize, size: ImageSize, classes: usize) -> ImageBatch {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 22) as f32 - 2.0
    };
    ImageBatch {
        images: (0..count * 3 * size.pixels()).map(|_| next()).collect(),
        channels: 3,
        height: size.height,
        width: size.width,
        labels: (0..count).map(|image| Some(image % classes.max(1))).collect(),
        samples: (0..count).collect(),
        epoch: 0,
        mix: None,
    }
}
