//! UperNet on a ConvNeXt (paper appendix A.4; docs/facts.md, "F. Segmentation"): the backbone, a LayerNorm on each stage, the
//! decode head, and an auxiliary head for training.
//!
//! Notation: N images, C_i channels of stage i, H_i x W_i its maps, K classes.

pub(crate) mod auxiliary_head;
pub(crate) mod classifier;
pub(crate) mod decode_head;
mod pyramid_pooling;

use burn::prelude::*;
use convnext_core::{ConfigError, ModelConfig, STAGES, Seed, UperNetConfig};
use convnext_nn::{
    Activations, Backbone, DropPath, FeatureMaps, LayerNorm, ModelError, NormStatistics, Precision, Scope,
    SharedBatch,
};
use convnext_train::Observed;

use crate::head_dropout::HeadDropout;
use crate::upernet::auxiliary_head::{AUXILIARY_STAGE, AuxiliaryHead};
use crate::upernet::decode_head::DecodeHead;

/// A segmentation network: a class for every pixel.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use convnext_core::{ModelConfig, Seed, UperNetConfig, find_model};
/// use convnext_segment::UperNet;
///
/// let device = Device::flex();
/// let backbone = ModelConfig { classes: 11, ..find_model("micro")?.config() };
/// let head = UperNetConfig { head_width: 16, auxiliary_width: None };
/// let model = UperNet::new(&backbone, &head, Seed(0), &device)?;
/// let logits = model.forward(Tensor::zeros([1, 3, 64, 96], &device))?;
/// assert_eq!((logits.size(), logits.channels()), ([16, 24], 11));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct UperNet {
    /// Stem and stages.
    pub backbone: Backbone,
    /// LayerNorm of the output of each stage, `norm0` to `norm3`.
    pub stage_norms: Vec<LayerNorm>,
    /// From the four stages to logits.
    pub decode_head: DecodeHead,
    /// From the third stage to logits; absent where the configuration has none.
    pub auxiliary_head: Option<AuxiliaryHead>,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    head: UperNetConfig,
    /// The batch that processes have parts of, where their batch norms are synchronised.
    #[module(skip)]
    shared_batch: Option<SharedBatch>,
}

/// What training gets of a batch.
#[derive(Debug)]
pub struct TrainingLogits {
    /// Logits of the decode head at the size of the first stage, rows `[N H_0 W_0, K]`.
    pub logits: FeatureMaps,
    /// Logits of the auxiliary head at the size of the third stage, rows `[N H_2 W_2, K]`.
    pub auxiliary: Option<FeatureMaps>,
    /// The statistics of the batch norms and one count for each, to be folded into the model after the step.
    pub observed: Vec<Observed>,
}

impl UperNet {
    /// A network with freshly initialised parameters as in mmsegmentation, each drawn at its first use.
    ///
    /// # Errors
    /// [`ModelError::Config`] when a setting is out of its range, or there are no classes.
    pub fn new(
        config: &ModelConfig,
        head: &UperNetConfig,
        seed: Seed,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        head.validate()?;
        if config.classes == 0 {
            let (what, found, expected) = ("classes of a segmentation", "0".to_owned(), "at least 1");
            return Err(ConfigError::OutOfRange { what, found, expected }.into());
        }
        let scope = Scope::root(seed, device);
        let norm = |stage: usize| LayerNorm::new(config.widths[stage], &scope.at(format!("norm{stage}")));
        let auxiliary = |width| AuxiliaryHead::new(config, width, &scope.at("auxiliary_head"));
        Ok(Self {
            backbone: Backbone::new(config, &scope),
            stage_norms: (0..STAGES).map(norm).collect(),
            decode_head: DecodeHead::new(config, head.head_width, &scope.at("decode_head")),
            auxiliary_head: head.auxiliary_width.map(auxiliary),
            config: config.clone(),
            head: *head,
            shared_batch: None,
        })
    }

    /// The configuration of the backbone, with the number of classes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The configuration of the heads.
    pub fn head(&self) -> &UperNetConfig {
        &self.head
    }

    /// The same network with this setting of the blocks' saved activations.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        Self { backbone: self.backbone.with_activations(activations), ..self }
    }

    /// The same network with this precision of all linear layers and convolutions on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self {
            backbone: self.backbone.with_precision(precision),
            decode_head: self.decode_head.with_precision(precision),
            auxiliary_head: self.auxiliary_head.map(|head| head.with_precision(precision)),
            ..self
        }
    }

    /// The same network, whose heads are trained by the statistics of a batch that processes have parts of.
    #[must_use]
    pub fn with_shared_batch(self, batch: SharedBatch) -> Self {
        Self { shared_batch: Some(batch), ..self }
    }

    /// The logits at the size of the first stage, by running statistics; to resize them to pixels is the caller's
    /// ([`convnext_nn::resize_bilinear`]).
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: rows `[N H_0 W_0, K]`
    ///
    /// # Errors
    /// [`ModelError`] when the images are too small or have other channels than the model.
    pub fn forward(&self, images: Tensor<4>) -> Result<FeatureMaps, ModelError> {
        let maps = self.backbone.forward_maps(&self.config, images, &DropPath::none())?;
        let stages = self.normalized(maps);
        self.decode_head.forward(&stages, None, &mut NormStatistics::Running)
    }

    /// The logits of both heads by the statistics of this batch.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    ///
    /// # Errors
    /// As [`Self::forward`]; [`ModelError::OneValue`] when the batch is a single image,
    /// [`ModelError::DropPath`] and [`ModelError::ChannelFactors`] when the factors do not fit the batch.
    pub fn forward_training(
        &self,
        images: Tensor<4>,
        drop_path: &DropPath,
        dropout: &HeadDropout,
    ) -> Result<TrainingLogits, ModelError> {
        self.forward_heads(self.backbone.forward_maps(&self.config, images, drop_path)?, dropout)
    }

    /// As [`Self::forward_training`] with a backbone that does not learn: it runs without a graph and drops nothing.
    ///
    /// # Errors
    /// As [`Self::forward_training`].
    pub fn forward_training_frozen(
        &self,
        images: Tensor<4>,
        dropout: &HeadDropout,
    ) -> Result<TrainingLogits, ModelError> {
        let maps = self.backbone.valid().forward_maps(&self.config, images, &DropPath::none())?;
        self.forward_heads(maps.map(|maps| maps.with_rows(Tensor::from_inner(maps.rows.clone()))), dropout)
    }

    /// The logits of both heads by the statistics of this batch, from the maps of the backbone.
    fn forward_heads(
        &self,
        maps: [FeatureMaps; STAGES],
        dropout: &HeadDropout,
    ) -> Result<TrainingLogits, ModelError> {
        let stages = self.normalized(maps);
        let mut statistics = NormStatistics::of_batch(self.shared_batch.clone());
        let logits = self.decode_head.forward(&stages, dropout.of_decode_head(), &mut statistics)?;
        let auxiliary = match &self.auxiliary_head {
            None => None,
            Some(head) => {
                let maps = &stages[AUXILIARY_STAGE];
                Some(head.forward(maps, dropout.of_auxiliary_head(), &mut statistics)?)
            }
        };
        let all = self.backbone.take_statistics().into_iter().chain(statistics.gathered());
        let observed = all.flat_map(Observed::of_batch_norm).collect();
        Ok(TrainingLogits { logits, auxiliary, observed })
    }

    /// The maps of the four stages, each normalised.
    fn normalized(&self, maps: [FeatureMaps; STAGES]) -> [FeatureMaps; STAGES] {
        let mut norms = self.stage_norms.iter();
        maps.map(|maps| match norms.next() {
            None => maps,
            Some(norm) => maps.with_rows(norm.forward(maps.rows.clone())),
        })
    }
}
