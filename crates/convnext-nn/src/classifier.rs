//! The ConvNeXt classifier: backbone, mean over the sites, LayerNorm, linear head.

use burn::prelude::*;
use convnext_core::{ModelConfig, STAGES, Seed};
use convnext_kernels::Precision;

use crate::backbone::Backbone;
use crate::drop_path::DropPath;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::layers::{LayerNorm, Linear};
use crate::ops::block_plan::Activations;
use crate::parameters::Scope;

/// The layer whose features, averaged over the sites, are an image's embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmbeddingLayer {
    /// After the first stage.
    Stage1,
    /// After the second stage.
    Stage2,
    /// After the third stage.
    Stage3,
    /// After the last stage.
    Stage4,
    /// The head's input: after the last stage and, in a classifier, after the final norm.
    #[default]
    Pooled,
}

/// A ConvNeXt V1 or V2 image classifier.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use convnext_core::{Seed, find_model};
/// use convnext_nn::{ConvNext, DropPath};
///
/// let device = Device::flex();
/// let config = find_model("micro")?.config();
/// let model = ConvNext::new(&config, Seed(0), &device)?;
/// let logits = model.forward(Tensor::zeros([1, 3, 64, 64], &device), &DropPath::none())?;
/// assert_eq!(logits.dims(), [1, 1000]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct ConvNext {
    /// Stem and stages.
    pub backbone: Backbone,
    /// LayerNorm of the pooled features; absent when there is no head.
    pub norm: Option<LayerNorm>,
    /// The head, weight `[classes, C_3]`; absent when the configuration has 0 classes.
    pub head: Option<Linear>,
    #[module(skip)]
    config: ModelConfig,
}

impl ConvNext {
    /// Builds a model with freshly initialised parameters ("A6. Initialisation" in `docs/facts.md`), each
    /// drawn at its first use.
    ///
    /// # Errors
    /// [`ModelError::Config`] when a setting is out of its range.
    pub fn new(config: &ModelConfig, seed: Seed, device: &Device) -> Result<Self, ModelError> {
        Self::with_head_init(config, 1.0, seed, device)
    }

    /// [`Self::new`] with an initial scale of the head, such as timm's 0.001 for fine-tuning.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_head_init(
        config: &ModelConfig,
        head_init: f64,
        seed: Seed,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let scope = Scope::root(seed, device);
        let has_head = config.classes > 0;
        let head = || Linear::new(config.last_width(), config.classes, head_init, &scope.at("head"));
        Ok(Self {
            backbone: Backbone::new(config, &scope),
            norm: has_head.then(|| LayerNorm::new(config.last_width(), &scope.at("norm"))),
            head: has_head.then(head),
            config: config.clone(),
        })
    }

    /// The configuration that this model was built from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The same model with this setting of the blocks' saved activations.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        Self { backbone: self.backbone.with_activations(activations), ..self }
    }

    /// The same model with this precision of all linear layers on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        let head = self.head.map(|head| head.with_precision(precision));
        Self { backbone: self.backbone.with_precision(precision), head, ..self }
    }

    /// The logits of a batch; the pooled features of the last stage when there is no head.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[N, classes]`, or `[N, C_3]` without head
    ///
    /// # Errors
    /// [`ModelError`] when the images are too small or have other channels than the model.
    pub fn forward(&self, images: Tensor<4>, drop_path: &DropPath) -> Result<Tensor<2>, ModelError> {
        Ok(self.classify(self.pooled(images, drop_path)?))
    }

    /// The features of the last stage, averaged over the sites of each image.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[N, C_3]`
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn pooled(&self, images: Tensor<4>, drop_path: &DropPath) -> Result<Tensor<2>, ModelError> {
        let count = images.dims()[0];
        let [.., rows] = self.stage_rows(images, drop_path)?;
        Ok(mean_over_sites(rows, count))
    }

    /// One embedding per image, for image similarity.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[N, C]` with the channels of the layer
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn embedding(&self, images: Tensor<4>, layer: EmbeddingLayer) -> Result<Tensor<2>, ModelError> {
        let count = images.dims()[0];
        let [first, second, third, fourth] = self.stage_rows(images, &DropPath::none())?;
        let rows = match layer {
            EmbeddingLayer::Stage1 => first,
            EmbeddingLayer::Stage2 => second,
            EmbeddingLayer::Stage3 => third,
            EmbeddingLayer::Stage4 | EmbeddingLayer::Pooled => fourth,
        };
        let pooled = mean_over_sites(rows, count);
        Ok(match (layer, &self.norm) {
            (EmbeddingLayer::Pooled, Some(norm)) => norm.forward(pooled),
            _ => pooled,
        })
    }

    /// The logits of pooled features: LayerNorm and head; the features themselves when there is no head.
    ///
    /// # Shapes
    /// - pooled: `[N, C_3]`
    /// - output: `[N, classes]`
    pub fn classify(&self, pooled: Tensor<2>) -> Tensor<2> {
        match (&self.norm, &self.head) {
            (Some(norm), Some(head)) => head.forward(norm.forward(pooled)),
            _ => pooled,
        }
    }

    /// The feature maps of the four stages, as for detection or segmentation heads.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[N, C_i, height / (stride 2^i), width / (stride 2^i)]`, floored, for i = 0 to 3
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn features(
        &self,
        images: Tensor<4>,
        drop_path: &DropPath,
    ) -> Result<[Tensor<4>; STAGES], ModelError> {
        Ok(self.backbone.forward_maps(&self.config, images, drop_path)?.map(FeatureMaps::into_tensor))
    }

    fn stage_rows(&self, images: Tensor<4>, drop_path: &DropPath) -> Result<[Tensor<2>; STAGES], ModelError> {
        Ok(self.backbone.forward_maps(&self.config, images, drop_path)?.map(|maps| maps.rows))
    }
}

/// The mean of the rows of each image.
///
/// # Shapes
/// - rows: `[images * sites, C]`
/// - output: `[images, C]`
fn mean_over_sites(rows: Tensor<2>, images: usize) -> Tensor<2> {
    let [count, channels] = rows.dims();
    rows.reshape([images, count / images, channels]).mean_dim(1).reshape([images, channels])
}
