//! Exact cost of a detection network, by formula (docs/facts.md, "E. Detection"; the rule is that of `mmcv_cost.rs`).

use crate::config::ModelConfig;
use crate::cost::Cost;
use crate::error::ConfigError;
use crate::image_size::ImageSize;
use crate::large_counts::sum;
use crate::mask_rcnn::{
    BOX_DELTAS, MASK_CONVOLUTIONS, MASK_MAP_SIDE, MaskRcnnConfig, PLACE_ANCHORS, PYRAMID_LEVELS,
};
use crate::mmcv_cost::BackboneCost;

/// Proposals for which MMDetection 2 counts the box head.
const BOX_REGIONS: u64 = 1000;

/// Proposals for which it counts the mask head.
const MASK_REGIONS: u64 = 100;

/// Multiply-adds, and mmcv's other operations: biases of convolutions, and ReLUs that are layers.
#[derive(Clone, Copy)]
struct Operations {
    macs: u64,
    rest: u64,
}

impl MaskRcnnConfig {
    /// The cost of Mask R-CNN on a backbone, for one image with 1000 proposals, of which 100 go through the mask head. FLOPs
    /// are those of the paper's Table 6.
    ///
    /// # Errors
    /// [`ConfigError::ImageTooSmall`] when the last stage would have no site, and
    /// [`ConfigError::OutOfRange`] when the backbone itself is not sound.
    pub fn cost(&self, backbone: &ModelConfig, size: ImageSize) -> Result<Cost, ConfigError> {
        let trunk = BackboneCost::of(backbone, size)?;
        let tensors = self.tensors(backbone).into_iter();
        let parameters: u64 = tensors.map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
        let places = level_places(&trunk);
        let classes = backbone.classes as u64;
        let mut parts = vec![
            self.pyramid_operations(backbone, &places),
            self.proposal_operations(places.iter().sum()),
            self.box_operations(classes),
        ];
        parts.extend(self.masks.then(|| self.mask_operations(classes)));
        let macs = sum(parts.iter().map(|part| part.macs));
        let rest = sum(parts.iter().map(|part| part.rest));
        Ok(Cost {
            parameters: trunk.cost.parameters + parameters,
            macs: sum([trunk.cost.macs, macs]),
            flops: sum([trunk.cost.flops, macs, rest]),
        })
    }

    /// The 1x1 and the 3x3 convolution of each stage.
    fn pyramid_operations(&self, backbone: &ModelConfig, places: &[u64; PYRAMID_LEVELS]) -> Operations {
        let width = self.head_width as u64;
        let stages = || backbone.widths.iter().map(|&channels| channels as u64).zip(places);
        Operations {
            macs: stages().map(|(channels, places)| (channels + 9 * width) * width * places).sum(),
            rest: stages().map(|(_, places)| 2 * width * places).sum(),
        }
    }

    /// The region proposal network on so many places; its ReLU is a function in MMDetection and does not count.
    fn proposal_operations(&self, places: u64) -> Operations {
        let (width, outputs) = (self.head_width as u64, (PLACE_ANCHORS * (1 + BOX_DELTAS)) as u64);
        Operations { macs: (9 * width + outputs) * width * places, rest: (width + outputs) * places }
    }

    /// The box head; the biases of its linear layers do not count.
    fn box_operations(&self, classes: u64) -> Operations {
        let (inputs, width) = (self.box_inputs() as u64, self.box_width as u64);
        let outputs = classes + 1 + classes * BOX_DELTAS as u64;
        Operations { macs: BOX_REGIONS * (inputs + width + outputs) * width, rest: BOX_REGIONS * 2 * width }
    }

    /// The mask head, of whose transposed convolution the multiply-adds count at its inputs.
    fn mask_operations(&self, classes: u64) -> Operations {
        let width = self.head_width as u64;
        let places = (MASK_MAP_SIDE * MASK_MAP_SIDE) as u64;
        let (fine, layers) = (4 * places, MASK_CONVOLUTIONS as u64);
        let upsampling = 4 * width * width * places;
        Operations {
            macs: MASK_REGIONS * (layers * 9 * width * width * places + upsampling + width * classes * fine),
            rest: MASK_REGIONS * (2 * width * (layers * places + fine) + classes * fine),
        }
    }
}

/// Places of each level: those of the stages, and every second row and column of the last one.
fn level_places(trunk: &BackboneCost) -> [u64; PYRAMID_LEVELS] {
    let [s2, s3, s4, s5] = trunk.sites();
    let [.., [rows, columns]] = trunk.sizes;
    [s2, s3, s4, s5, (rows.div_ceil(2) * columns.div_ceil(2)) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;

    fn cost(model: &str, head: MaskRcnnConfig) -> Cost {
        let backbone = ModelConfig { classes: 80, ..find_model(model).unwrap().config() };
        head.cost(&backbone, ImageSize { height: 1280, width: 800 }).unwrap()
    }

    /// Table 6 of this paper, and of ConvNeXt (arXiv 2201.03545) for V1, to the digit; the decimals are those of mmcv's rule.
    #[test]
    fn flops_are_the_papers() {
        for (model, published, counted) in [
            ("base", 486.0, 485.58),
            ("large", 875.0, 875.48),
            ("huge", 2525.0, 2524.61),
            ("v1-tiny", 262.0, 262.11),
            ("v1-small", 348.0, 348.4),
        ] {
            let billions = cost(model, MaskRcnnConfig::PAPER).flops as f64 / 1e9;
            assert_eq!(billions.round(), published, "{model}");
            assert!((billions - counted).abs() < 0.05, "{model}: {billions}");
        }
    }

    /// docs/facts.md, "E. Detection": multiply-adds of the parts.
    #[test]
    fn multiply_adds_of_the_parts_are_exact() {
        let base = cost("base", MaskRcnnConfig::PAPER);
        let parts = 313.34 + 54.07 + 50.62 + 14.30 + 52.99;
        assert!((base.macs as f64 / 1e9 - parts).abs() < 0.03, "{base:?}");
        let boxes_alone = cost("base", MaskRcnnConfig { masks: false, ..MaskRcnnConfig::PAPER });
        assert_eq!(base.macs - boxes_alone.macs, 52_985_856_000);
        assert_eq!(base.parameters - boxes_alone.parameters, 2_643_280);
    }

    /// What the default widths of small backbones are chosen by.
    #[test]
    fn heads_of_small_backbones_cost_about_what_the_backbone_does() {
        let model = ModelConfig { classes: 80, ..find_model("atto").unwrap().config() };
        let trunk = BackboneCost::of(&model, ImageSize { height: 1280, width: 800 }).unwrap().cost.macs;
        let heads = |head| (cost("atto", head).macs - trunk) as f64 / 1e9;
        let found =
            [trunk as f64 / 1e9, heads(MaskRcnnConfig::of_backbone(&model)), heads(MaskRcnnConfig::PAPER)];
        assert_eq!(found.map(f64::round), [11.0, 11.0, 169.0]);
    }
}
