//! Configuration of the detection network Mask R-CNN (docs/facts.md, "E. Detection"; paper appendix A.3).

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::detector_rules::DetectorRules;
use crate::error::ConfigError;
use crate::limits::{CHANNELS_RANGE, MAX_CHANNELS, STAGES};
use crate::tensors::TensorShape;

/// Levels of the feature pyramid, P2 to P6: one for each stage, and the last one subsampled.
pub const PYRAMID_LEVELS: usize = STAGES + 1;

/// Pixels between neighbouring places of each level of the pyramid. The backbone's stem has the first one.
pub const PYRAMID_STRIDES: [usize; PYRAMID_LEVELS] = [4, 8, 16, 32, 64];

/// Anchors at each place of a level.
pub const PLACE_ANCHORS: usize = 3;

/// Height and width of the maps that are cut out of the pyramid for the box head.
pub const BOX_MAP_SIDE: usize = 7;

/// Height and width of the maps that are cut out of the pyramid for the mask head, whose masks have twice as many.
pub const MASK_MAP_SIDE: usize = 14;

/// 3x3 convolutions of the mask head.
pub const MASK_CONVOLUTIONS: usize = 4;

/// Values that describe a box in relation to another: shifts of its centre, and logarithms of the factors of its sides.
pub const BOX_DELTAS: usize = 4;

/// Mask R-CNN around a backbone: a feature pyramid over its four stages, a region proposal network, and a head each for the
/// boxes and the masks of regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskRcnnConfig {
    /// Channels of the pyramid, of the region proposal network and of the mask head; 256 in the paper.
    pub head_width: usize,
    /// Features of both hidden layers of the box head; 1024 in the paper.
    pub box_width: usize,
    /// `true` with a mask head; without one the network is Faster R-CNN and finds boxes alone.
    pub masks: bool,
    /// `true` with a LayerNorm on the output of each stage, as in MMDetection; torchvision has none.
    #[serde(default = "has_stage_norms", skip_serializing_if = "has_usual_norms")]
    pub stage_norms: bool,
    /// What it does beside its weights.
    #[serde(default, skip_serializing_if = "DetectorRules::are_usual")]
    pub rules: DetectorRules,
}

/// The value where files say none.
const fn has_stage_norms() -> bool {
    true
}

/// `true` for the value that files need not say.
fn has_usual_norms(stage_norms: &bool) -> bool {
    *stage_norms == has_stage_norms()
}

impl MaskRcnnConfig {
    /// The paper's, for every size of the backbone.
    pub const PAPER: Self = Self {
        head_width: 256,
        box_width: 1024,
        masks: true,
        stage_norms: has_stage_norms(),
        rules: DetectorRules::MmDetection,
    };

    /// The default for a backbone: the paper's from Tiny on. Below, those widths would cost many times what the backbone
    /// does, 15 times for Atto, so there is a quarter of each, as of UperNet's: at 1280 x 800 pixels 11 billion
    /// multiply-adds beside Atto's 11.
    pub fn of_backbone(backbone: &ModelConfig) -> Self {
        match backbone.last_width() {
            768.. => Self::PAPER,
            _ => Self { head_width: 64, box_width: 256, ..Self::PAPER },
        }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (what, found) in [("head width", self.head_width), ("box width", self.box_width)] {
            if !(1..=MAX_CHANNELS).contains(&found) {
                let (found, expected) = (found.to_string(), CHANNELS_RANGE);
                return Err(ConfigError::OutOfRange { what, found, expected });
            }
        }
        Ok(())
    }

    /// Checks the values, and a backbone for them.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] when a value is out of its range, there are no classes, or the stem has another stride than
    /// that of the pyramid.
    pub fn validate_with(&self, backbone: &ModelConfig) -> Result<(), ConfigError> {
        self.validate()?;
        let refuse = |what, found: usize, expected| {
            Err(ConfigError::OutOfRange { what, found: found.to_string(), expected })
        };
        match (backbone.classes, backbone.stem_stride) {
            (0, _) => refuse("classes of a detector", 0, "at least 1"),
            (_, stride) if stride != PYRAMID_STRIDES[0] => refuse("stem stride of a detector", stride, "4"),
            _ => Ok(()),
        }
    }

    /// Features that the box head gets of a region.
    pub fn box_inputs(&self) -> usize {
        self.head_width * BOX_MAP_SIDE * BOX_MAP_SIDE
    }

    /// Name and shape of every tensor besides the backbone's: MMDetection's names without the prefix `backbone.`. The
    /// background is the last class of `fc_cls`.
    pub fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        let (width, hidden, classes) = (self.head_width, self.box_width, backbone.classes);
        let mut tensors = Vec::new();
        if self.stage_norms {
            for (stage, &channels) in backbone.widths.iter().enumerate() {
                tensors.extend(layer(format!("norm{stage}"), vec![channels], channels));
            }
        }
        for (stage, &channels) in backbone.widths.iter().enumerate() {
            tensors.extend(convolution(&format!("neck.lateral_convs.{stage}.conv"), [width, channels, 1]));
        }
        for stage in 0..STAGES {
            tensors.extend(convolution(&format!("neck.fpn_convs.{stage}.conv"), [width, width, 3]));
        }
        tensors.extend(convolution("rpn_head.rpn_conv", [width, width, 3]));
        tensors.extend(convolution("rpn_head.rpn_cls", [PLACE_ANCHORS, width, 1]));
        tensors.extend(convolution("rpn_head.rpn_reg", [PLACE_ANCHORS * BOX_DELTAS, width, 1]));
        for (name, outputs, inputs) in [
            ("shared_fcs.0", hidden, self.box_inputs()),
            ("shared_fcs.1", hidden, hidden),
            ("fc_cls", classes + 1, hidden),
            ("fc_reg", classes * BOX_DELTAS, hidden),
        ] {
            tensors.extend(layer(format!("roi_head.bbox_head.{name}"), vec![outputs, inputs], outputs));
        }
        if self.masks {
            for index in 0..MASK_CONVOLUTIONS {
                let name = format!("roi_head.mask_head.convs.{index}.conv");
                tensors.extend(convolution(&name, [width, width, 3]));
            }
            tensors.extend(convolution("roi_head.mask_head.upsample", [width, width, 2]));
            tensors.extend(convolution("roi_head.mask_head.conv_logits", [classes, width, 1]));
        }
        tensors
    }
}

/// A convolution with a bias, of `[outputs, inputs, side of the kernel]`.
fn convolution(name: &str, [outputs, inputs, side]: [usize; 3]) -> [TensorShape; 2] {
    layer(name.to_owned(), vec![outputs, inputs, side, side], outputs)
}

/// A weight, and a bias for each output.
fn layer(name: String, weight: Vec<usize>, outputs: usize) -> [TensorShape; 2] {
    [(format!("{name}.weight"), weight), (format!("{name}.bias"), vec![outputs])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;
    use crate::tensors::backbone_tensors;

    fn parameters(tensors: impl IntoIterator<Item = TensorShape>) -> usize {
        tensors.into_iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Table 6 and docs/facts.md, "E. Detection": millions of parameters with COCO's 80 classes, and those of the parts.
    #[test]
    fn parameters_are_those_of_the_paper() {
        for (name, millions) in [("tiny", 48.14), ("base", 108.09), ("large", 217.07), ("huge", 678.73)] {
            let model = ModelConfig { classes: 80, ..find_model(name).unwrap().config() };
            let head = MaskRcnnConfig::of_backbone(&model);
            let values = parameters(backbone_tensors("", &model)) + parameters(head.tensors(&model));
            assert_eq!((values as f64 / 1e4).round() / 100.0, millions, "{name}");
        }
        let base = ModelConfig { classes: 80, ..find_model("base").unwrap().config() };
        let of_part = |prefix: &str| {
            let tensors = MaskRcnnConfig::PAPER.tensors(&base).into_iter();
            parameters(tensors.filter(|(name, _)| name.starts_with(prefix)))
        };
        let parts = ["neck.", "rpn_head.", "roi_head.bbox_head.", "roi_head.mask_head."].map(of_part);
        assert_eq!(parts, [2_852_864, 593_935, 14_306_705, 2_643_280]);
    }

    /// docs/facts.md, "E. Detection": mmdet's network has 42 tensors besides the backbone and its norms.
    #[test]
    fn there_are_as_many_tensors_as_in_mmdetection() {
        let model = ModelConfig { classes: 3, ..find_model("atto").unwrap().config() };
        let head = MaskRcnnConfig::of_backbone(&model);
        let of_norms = 2 * STAGES;
        assert_eq!(head.tensors(&model).len() - of_norms, 42);
        let boxes_alone = MaskRcnnConfig { masks: false, ..head };
        assert_eq!(boxes_alone.tensors(&model).len() - of_norms, 42 - 12);
        assert_eq!(MaskRcnnConfig { stage_norms: false, ..head }.tensors(&model).len(), 42);
    }

    /// Files that were written before there were other rules, and all with the usual ones, are the same.
    #[test]
    fn files_say_only_what_is_not_usual() {
        let usual = r#"{"head_width":256,"box_width":1024,"masks":true}"#;
        assert_eq!(serde_json::to_string(&MaskRcnnConfig::PAPER).unwrap(), usual);
        assert_eq!(serde_json::from_str::<MaskRcnnConfig>(usual).unwrap(), MaskRcnnConfig::PAPER);
        let rules = DetectorRules::Torchvision;
        let other = MaskRcnnConfig { stage_norms: false, rules, ..MaskRcnnConfig::PAPER };
        let text = serde_json::to_string(&other).unwrap();
        assert!(text.ends_with(r#""stage_norms":false,"rules":"torchvision"}"#), "{text}");
        assert_eq!(serde_json::from_str::<MaskRcnnConfig>(&text).unwrap(), other);
    }

    #[test]
    fn values_and_backbones_out_of_range_are_refused() {
        let model = ModelConfig { classes: 3, ..find_model("atto").unwrap().config() };
        let head = MaskRcnnConfig::of_backbone(&model);
        let message =
            |head: MaskRcnnConfig, model: &ModelConfig| head.validate_with(model).unwrap_err().to_string();
        assert_eq!(head.validate_with(&model), Ok(()));
        assert!(message(MaskRcnnConfig { head_width: 0, ..head }, &model).starts_with("head width is 0"));
        assert!(
            message(MaskRcnnConfig { box_width: 65_537, ..head }, &model).starts_with("box width is 65537")
        );
        assert!(message(head, &ModelConfig { classes: 0, ..model.clone() }).contains("at least 1"));
        let fine = ModelConfig { stem_stride: 2, ..model };
        assert_eq!(message(head, &fine), "stem stride of a detector is 2, but must be 4");
    }
}
