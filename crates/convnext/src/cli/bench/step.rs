//! The step that the bench times, in each mode, on random images.

use std::iter::once;

use anyhow::bail;
use burn::tensor::Device;
use convnext::core::{
    ConfigError, Cost, EncoderKind, FcmaeConfig, FcmaeObjective, ImageSize, Mask, PatchGrid, Seed,
    pretraining_macs,
};
use convnext::data::ImageBatch;
use convnext::detect::SIDE_MULTIPLE;
use convnext::distributed::Ranks;
use convnext::nn::{ConvNext, DropPath, Fcmae, has_kernels};
use convnext::train::{PretrainRecipe, Targets, TrainError, batch_images};

use super::arguments::{BenchArguments, Mode, Scope, Sites};
use super::detection::{detection_inference, detection_training};
use super::segmentation::{segmentation_inference, segmentation_training};
use super::subject::{FORWARD_AND_BACKWARD, LEARNING_RATE, Parts, Subject};
use crate::cli::activations::ActivationsName;
use crate::cli::machine::Machine;
use crate::cli::shared::SharedMachine;
use crate::cli::values::GradientSumName;

impl Subject {
    pub(super) fn new(
        arguments: &BenchArguments,
        shared: &SharedMachine,
        ranks: Ranks,
    ) -> anyhow::Result<Self> {
        check(arguments)?;
        let mode = arguments.mode;
        if !ranks.is_alone() && (mode.is_inference() || arguments.scope == Scope::Encoder) {
            bail!(
                "{} ranks share the steps of trainings; start inference and --scope encoder alone",
                ranks.size()
            );
        }
        let Machine { device, precision, .. } = &shared.machine;
        let backbone = arguments.backbone();
        let recipe = PretrainRecipe::load("plain", &[])?.training;
        // The step gets the images as they are, without a copy; what is left of the batch are its labels.
        let mut batch = random_batch(arguments.batch_size, arguments.image_size, backbone.classes);
        let images = batch_images(&mut batch, device);
        let parts =
            Parts { arguments, backbone, recipe, batch, images, device, precision: *precision, ranks };
        match (arguments.mode, arguments.scope) {
            (Mode::Infer, _) => parts.inference(),
            (Mode::Train, _) => parts.supervised(),
            (Mode::Pretrain, Scope::Encoder) => parts.encoder(),
            (Mode::Pretrain, Scope::Step) => parts.pretraining(),
            (Mode::SegmentInfer, _) => segmentation_inference(parts),
            (Mode::SegmentTrain, _) => segmentation_training(parts),
            (Mode::DetectInfer, _) => detection_inference(parts),
            (Mode::DetectTrain, _) => detection_training(parts),
        }
    }
}

/// Refuses what the mode has not.
fn check(arguments: &BenchArguments) -> anyhow::Result<()> {
    let BenchArguments { mode, encoder, scope, activations, sum, head_width, image_size, .. } = *arguments;
    if head_width.is_some() && !mode.is_segmentation() && !mode.is_detection() {
        bail!("--head-width is for --mode segment-* and detect-*; the other modes have no such heads");
    }
    if arguments.box_width.is_some() && !mode.is_detection() {
        bail!("--box-width is for --mode detect-infer and detect-train; the other modes have no box head");
    }
    if arguments.regions.is_some() && mode != Mode::DetectTrain {
        bail!("--regions is for --mode detect-train; the other modes sample none");
    }
    if mode.is_detection() && (image_size.height % SIDE_MULTIPLE, image_size.width % SIDE_MULTIPLE) != (0, 0)
    {
        bail!(
            "--image-size is {image_size}, but sides in --mode detect-* must be multiples of {SIDE_MULTIPLE}"
        );
    }
    if scope == Scope::Encoder && mode != Mode::Pretrain {
        bail!("--scope encoder is for --mode pretrain; leave it out");
    }
    if encoder != Sites::Sparse && mode != Mode::Pretrain {
        bail!("--encoder is for --mode pretrain; the other modes compute all sites anyhow");
    }
    if arguments.decoder.is_given() && (mode, scope) != (Mode::Pretrain, Scope::Step) {
        bail!(
            "--decoder, its depth, width and heads are for whole steps of --mode pretrain; nothing else has a decoder"
        );
    }
    if activations != ActivationsName::Save && mode.is_inference() {
        bail!(
            "--activations is for --mode train, pretrain, segment-train and detect-train; inference saves nothing"
        );
    }
    if sum != GradientSumName::Ordered && (mode.is_inference() || scope == Scope::Encoder) {
        bail!(
            "--sum is for whole steps of --mode train, pretrain, segment-train and detect-train; nothing else adds up gradients"
        );
    }
    if let Some(norm) = arguments.backbone().alternative().filter(|&norm| !has_kernels(Some(norm)))
        && activations != ActivationsName::Save
    {
        bail!("--activations has no effect on blocks with {}; leave it out", norm.in_words());
    }
    Ok(())
}

impl Parts<'_> {
    /// The classifier, and its multiply-adds for each image.
    fn classifier(&self, device: &Device) -> Result<(ConvNext, f64), TrainError> {
        let ImageSize { height, width } = self.arguments.image_size;
        let macs = Cost::of(&self.backbone, height, width)?.macs as f64;
        let model = ConvNext::new(&self.backbone, Seed(0), device)?;
        let model = model.with_activations(self.arguments.activations.into());
        Ok((model.with_precision(self.precision), macs))
    }

    fn inference(self) -> anyhow::Result<Subject> {
        let (model, macs) = self.classifier(self.device)?;
        let step = move || {
            model.forward(self.images.clone(), &DropPath::none())?;
            Ok(())
        };
        Ok(Subject { step: Box::new(step), macs: Some(macs) })
    }

    fn supervised(self) -> anyhow::Result<Subject> {
        let (model, macs) = self.classifier(&self.device.clone().autodiff())?;
        let mut learner = self.learner(model)?;
        let Self { batch, images, backbone, .. } = self;
        let class_weights = vec![1.0; backbone.classes];
        let step = move || {
            learner.step(LEARNING_RATE, once(Ok(batch.clone())), |model, batch| {
                let logits = model.forward(images.clone(), &DropPath::none())?;
                let labels: Vec<usize> = batch.labels.iter().flatten().copied().collect();
                Ok(Targets::new(&labels, &class_weights, 0.1).cross_entropy(logits).into())
            })?;
            Ok(())
        };
        Ok(Subject { step: Box::new(step), macs: Some(FORWARD_AND_BACKWARD * macs) })
    }

    fn encoder(self) -> anyhow::Result<Subject> {
        let Autoencoder { model, mut masks, macs: [of_encoder, _], .. } = self.autoencoder()?;
        let images = self.images;
        let step = move || {
            model.encode(images.clone(), &masks.draw()?)?.sum().backward();
            Ok(())
        };
        Ok(Subject { step: Box::new(step), macs: Some(FORWARD_AND_BACKWARD * of_encoder) })
    }

    fn pretraining(self) -> anyhow::Result<Subject> {
        let Autoencoder { model, mut masks, macs: [of_encoder, of_decoder], objective } =
            self.autoencoder()?;
        let mut learner = self.learner(model)?;
        let Self { batch, images, .. } = self;
        let step = move || {
            let masks = masks.draw()?;
            learner.step(LEARNING_RATE, once(Ok(batch.clone())), |model, _| {
                Ok(model.forward(images.clone(), &masks, objective)?.loss.into())
            })?;
            Ok(())
        };
        Ok(Subject { step: Box::new(step), macs: Some(FORWARD_AND_BACKWARD * (of_encoder + of_decoder)) })
    }

    fn autoencoder(&self) -> anyhow::Result<Autoencoder> {
        let BenchArguments { image_size: size, batch_size, encoder, decoder, activations, .. } =
            *self.arguments;
        let mut config = FcmaeConfig::new(self.backbone.clone());
        config.encoder_kind = match encoder {
            Sites::Sparse => EncoderKind::Sparse,
            Sites::Dense => EncoderKind::Leaky,
            Sites::Tokens => EncoderKind::Tokens,
        };
        config.decoder = decoder.apply(config.decoder, &config.encoder)?;
        activations.warn_of_decoder(config.decoder.kind);
        let objective = FcmaeObjective::default();
        let ratio = objective.mask_ratio;
        let grid = PatchGrid::of_image(&config.encoder, size.height, size.width)?;
        let macs = pretraining_macs(&config, ratio, size)?.map(|macs| macs as f64);
        let model = Fcmae::new(&config, Seed(0), &self.device.clone().autodiff())?;
        let model = model.with_activations(activations.into()).with_precision(self.precision);
        Ok(Autoencoder { model, masks: Masks { grid, ratio, batch_size, drawn: 0 }, macs, objective })
    }
}

/// The autoencoder of a pre-training, and what its steps need.
struct Autoencoder {
    model: Fcmae,
    masks: Masks,
    /// Multiply-adds for each image of a forward pass of the encoder, and of the decoder.
    macs: [f64; 2],
    objective: FcmaeObjective,
}

/// Masks of one batch after the other.
struct Masks {
    grid: PatchGrid,
    ratio: f64,
    batch_size: usize,
    /// Batches that have theirs.
    drawn: u64,
}

impl Masks {
    fn draw(&mut self) -> Result<Vec<Mask>, ConfigError> {
        self.drawn += 1;
        (0..self.batch_size as u64)
            .map(|image| Mask::random(self.grid, self.ratio, Seed(0), self.drawn, image))
            .collect()
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
