//! Mask R-CNN on a ConvNeXt (paper appendix A.3; docs/facts.md, "E. Detection"): the backbone, a LayerNorm on each stage, a
//! feature pyramid, a region proposal network, and a head each for the boxes and the masks of regions. Without a mask head
//! it is Faster R-CNN.
//!
//! Notation: N images, C_i channels of stage i, H_l x W_l the maps of level l of the pyramid, W the head width, R regions, K
//! classes.

pub(crate) mod box_head;
pub(crate) mod feature_pyramid;
pub(crate) mod initialisation;
pub(crate) mod mask_head;
pub(crate) mod roi_extractor;
pub(crate) mod rpn_head;

use burn::prelude::*;
use convnext_core::{MaskRcnnConfig, ModelConfig, PYRAMID_LEVELS, STAGES, Seed};
use convnext_nn::{Activations, Backbone, DropPath, FeatureMaps, LayerNorm, ModelError, Precision, Scope};

use crate::mask_rcnn::box_head::BoxHead;
use crate::mask_rcnn::feature_pyramid::FeaturePyramid;
use crate::mask_rcnn::mask_head::MaskHead;
use crate::mask_rcnn::rpn_head::RpnHead;

/// A detection network: boxes of objects, their classes, and their masks.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use convnext_core::{BOX_MAP_SIDE, MaskRcnnConfig, ModelConfig, Seed, find_model};
/// use convnext_detect::{MaskRcnn, extract};
/// use convnext_nn::{DropPath, Region};
///
/// let device = Device::flex();
/// let backbone = ModelConfig { classes: 3, ..find_model("micro")?.config() };
/// let head = MaskRcnnConfig { head_width: 8, box_width: 16, ..MaskRcnnConfig::PAPER };
/// let model = MaskRcnn::new(&backbone, &head, Seed(0), &device)?;
/// let pyramid = model.pyramid(Tensor::zeros([1, 3, 64, 96], &device), &DropPath::none())?;
/// assert_eq!(model.rpn_head.forward(&pyramid[0]).objectness.dims(), [16 * 24, 3]);
/// let regions = [Region { image: 0, bounds: [8.0, 8.0, 40.0, 60.0] }];
/// let found = model.box_head.forward(&extract(&pyramid, &regions, [BOX_MAP_SIDE; 2], head.rules));
/// assert_eq!((found.scores.dims(), found.deltas.dims()), ([1, 4], [1, 12]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct MaskRcnn {
    /// Stem and stages.
    pub backbone: Backbone,
    /// LayerNorm of the output of each stage, `norm0` to `norm3`; none where the configuration has none.
    pub stage_norms: Vec<LayerNorm>,
    /// From the four stages to the five levels of the pyramid.
    pub neck: FeaturePyramid,
    /// From a level to scores and boxes of its anchors.
    pub rpn_head: RpnHead,
    /// From regions to classes and boxes.
    pub box_head: BoxHead,
    /// From regions to masks; absent where the configuration has none.
    pub mask_head: Option<MaskHead>,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    head: MaskRcnnConfig,
}

impl MaskRcnn {
    /// A network with freshly initialised parameters as in MMDetection, each drawn at its first use.
    ///
    /// # Errors
    /// [`ModelError::Config`] when a setting is out of its range, there are no classes, or the stem's stride is not 4.
    pub fn new(
        config: &ModelConfig,
        head: &MaskRcnnConfig,
        seed: Seed,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        head.validate_with(config)?;
        let scope = Scope::root(seed, device);
        let norms = if head.stage_norms { STAGES } else { 0 };
        let norm = |stage: usize| LayerNorm::new(config.widths[stage], &scope.at(format!("norm{stage}")));
        let heads = scope.at("roi_head");
        let mask_head = || MaskHead::new(head.head_width, config.classes, &heads.at("mask_head"));
        Ok(Self {
            backbone: Backbone::new(config, &scope),
            stage_norms: (0..norms).map(norm).collect(),
            neck: FeaturePyramid::new(&config.widths, head.head_width, &scope.at("neck")),
            rpn_head: RpnHead::new(head.head_width, &scope.at("rpn_head")),
            box_head: BoxHead::new(head, config.classes, &heads.at("bbox_head")),
            mask_head: head.masks.then(mask_head),
            config: config.clone(),
            head: *head,
        })
    }

    /// The configuration of the backbone, with the number of classes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The configuration of pyramid and heads.
    pub fn head(&self) -> &MaskRcnnConfig {
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
            neck: self.neck.with_precision(precision),
            rpn_head: self.rpn_head.with_precision(precision),
            box_head: self.box_head.with_precision(precision),
            mask_head: self.mask_head.map(|head| head.with_precision(precision)),
            ..self
        }
    }

    /// The levels of the pyramid, P2 to P6. Images whose sides are multiples of 32 pixels lose none at their borders; to
    /// pad them is the caller's.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: rows `[N H_l W_l, W]`
    ///
    /// # Errors
    /// [`ModelError`] when the images are too small or have other channels than the model, or the factors of drop path do
    /// not fit the batch.
    pub fn pyramid(
        &self,
        images: Tensor<4>,
        drop_path: &DropPath,
    ) -> Result<[FeatureMaps; PYRAMID_LEVELS], ModelError> {
        Ok(self.levels(self.backbone.forward_maps(&self.config, images, drop_path)?))
    }

    /// As [`Self::pyramid`] with a backbone that does not learn: it runs without a graph and drops nothing.
    ///
    /// # Errors
    /// As [`Self::pyramid`].
    pub fn pyramid_frozen(&self, images: Tensor<4>) -> Result<[FeatureMaps; PYRAMID_LEVELS], ModelError> {
        let maps = self.backbone.valid().forward_maps(&self.config, images, &DropPath::none())?;
        Ok(self.levels(maps.map(|maps| maps.with_rows(Tensor::from_inner(maps.rows.clone())))))
    }

    /// The levels of the pyramid from the maps of the four stages.
    fn levels(&self, maps: [FeatureMaps; STAGES]) -> [FeatureMaps; PYRAMID_LEVELS] {
        let mut norms = self.stage_norms.iter();
        let stages = maps.map(|maps| match norms.next() {
            None => maps,
            Some(norm) => maps.with_rows(norm.forward(maps.rows.clone())),
        });
        self.neck.forward(&stages)
    }
}
