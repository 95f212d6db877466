//! Layer-wise learning-rate decay: early layers learn more slowly.
//!
//! The counts of blocks and of groups are the paper's (appendix A.2; facts D2). Those by layers and by stages are
//! `get_num_layer_layer_wise` and `get_num_layer_stage_wise` of V1's detection and segmentation, which came from BEiT
//! and which OpenMMLab took over (facts E and F):
//! [`layer_decay_optimizer_constructor.py`](https://github.com/facebookresearch/ConvNeXt/blob/dc7823d8a2ecc554fcd57ff6cdb7748011bcdedd/object_detection/mmcv_custom/layer_decay_optimizer_constructor.py)
//! (MIT). What differs: a third stage that is too long for the count ends in its last layer, where theirs would
//! learn faster than the head.

use serde::{Deserialize, Serialize};

use convnext_core::{ModelConfig, STAGES};

use crate::optimization::backbone_part::BackbonePart;

/// Layer count of layer-wise learning rate decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerCount {
    /// Every block is a layer: the paper's default.
    Single,
    /// Three blocks of the third stage are a layer, 12 layers in all: the paper's choice for Base and
    /// Large, made for 3-3-27-3 blocks.
    Group,
    /// As groups, with so many layers in all: 12 for a third stage of 27 blocks, 6 for one of 9 or fewer.
    LayerWise(usize),
    /// Every stage is a layer, all downsamplings are the first one, and heads learn as if there were so many: 12 or 6.
    StageWise(usize),
}

/// Layers of the grouped count.
const GROUPS: usize = 12;
/// Blocks of the third stage in one group.
const GROUP: usize = 3;

impl LayerCount {
    /// The fewest layers that [`Self::LayerWise`] and [`Self::StageWise`] can tell apart: one for each stage.
    pub const FEWEST: usize = STAGES;

    /// Number of layers below the head.
    fn layers(self, depths: [usize; STAGES]) -> usize {
        match self {
            Self::Single => depths.iter().sum(),
            Self::Group => GROUPS,
            Self::LayerWise(layers) | Self::StageWise(layers) => layers,
        }
    }
}

/// The factor on the learning rate of every parameter above and in a backbone.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerDecay {
    count: LayerCount,
    rate: f64,
    depths: [usize; STAGES],
}

impl LayerDecay {
    /// Each layer's rate is `rate` times that of the layer after it; 1 turns the decay off.
    pub fn new(count: LayerCount, rate: f64, model: &ModelConfig) -> Self {
        Self { count, rate, depths: model.depths }
    }

    /// The factor of a parameter: `rate^(layers + 1 - id)`, so 1 for final norms, norms of the outputs and heads.
    pub fn scale(&self, name: &str) -> f64 {
        self.rate.powi((self.layers() + 1 - self.layer_id(name)) as i32)
    }

    /// Number of layers below the head.
    fn layers(&self) -> usize {
        self.count.layers(self.depths)
    }

    /// The layer of a parameter: 0 or 1 for the stem, `layers + 1` for what is no stem, downsampling or block.
    fn layer_id(&self, name: &str) -> usize {
        let id = match BackbonePart::of(name) {
            BackbonePart::Downsampling { stage } => self.downsampling_id(stage),
            BackbonePart::Block { stage, block } => self.block_id(stage, block),
            BackbonePart::Outside => return self.layers() + 1,
        };
        id.min(self.layers())
    }

    fn downsampling_id(&self, stage: usize) -> usize {
        match self.count {
            LayerCount::Single => self.depths.iter().take(stage).sum::<usize>() + 1,
            LayerCount::Group | LayerCount::LayerWise(_) => {
                [0, 2, GROUP, self.layers()][stage.min(STAGES - 1)]
            }
            LayerCount::StageWise(_) => 0,
        }
    }

    fn block_id(&self, stage: usize, block: usize) -> usize {
        match (self.count, stage) {
            (LayerCount::Single, _) => self.depths.iter().take(stage).sum::<usize>() + block + 1,
            (LayerCount::StageWise(_), _) | (_, 0 | 1) => stage + 1,
            (_, 2) => GROUP + block / GROUP,
            _ => self.layers(),
        }
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::find_model;

    use super::*;

    fn decay(count: LayerCount, model: &str) -> LayerDecay {
        LayerDecay::new(count, 0.9, &find_model(model).unwrap().config())
    }

    /// Ids of: stem, first and last block of stage 0, downsampling 1, ... , last block of stage 3, head.
    fn ids(decay: &LayerDecay) -> Vec<usize> {
        let mut ids = Vec::new();
        for (stage, depth) in decay.depths.into_iter().enumerate() {
            ids.push(decay.layer_id(&format!("downsample_layers.{stage}.0.weight")));
            ids.push(decay.layer_id(&format!("stages.{stage}.0.dwconv.weight")));
            ids.push(decay.layer_id(&format!("stages.{stage}.{}.grn.gamma", depth - 1)));
        }
        ids.push(decay.layer_id("norm.weight"));
        ids.push(decay.layer_id("head.bias"));
        ids
    }

    #[test]
    fn single_ids_are_those_of_the_release() {
        for (model, expected) in [
            ("atto", [1, 1, 2, 3, 3, 4, 5, 5, 10, 11, 11, 12, 13, 13]),
            ("nano", [1, 1, 2, 3, 3, 4, 5, 5, 12, 13, 13, 14, 15, 15]),
            ("tiny", [1, 1, 3, 4, 4, 6, 7, 7, 15, 16, 16, 18, 19, 19]),
            ("huge", [1, 1, 3, 4, 4, 6, 7, 7, 33, 34, 34, 36, 37, 37]),
        ] {
            assert_eq!(ids(&decay(LayerCount::Single, model)), expected, "{model}");
        }
    }

    #[test]
    fn grouped_ids_are_those_of_the_release() {
        let base = decay(LayerCount::Group, "base");
        assert_eq!(ids(&base), [0, 1, 1, 2, 2, 2, 3, 3, 11, 12, 12, 12, 13, 13]);
        assert_eq!(base.layer_id("stages.2.14.norm.weight"), 7);
    }

    #[test]
    fn layer_wise_ids_are_those_of_mmdet() {
        for (model, layers, expected) in [
            ("base", 12, [0, 1, 1, 2, 2, 2, 3, 3, 11, 12, 12, 12, 13, 13]),
            ("tiny", 6, [0, 1, 1, 2, 2, 2, 3, 3, 5, 6, 6, 6, 7, 7]),
            ("atto", 6, [0, 1, 1, 2, 2, 2, 3, 3, 4, 6, 6, 6, 7, 7]),
        ] {
            let decay = decay(LayerCount::LayerWise(layers), model);
            assert_eq!(ids(&decay), expected, "{model}");
            assert_eq!(decay.layer_id("backbone.stages.2.4.grn.beta"), 4, "{model}");
            assert_eq!(decay.layer_id("backbone.downsample_layers.3.1.bias"), layers, "{model}");
            assert_eq!(decay.layer_id("backbone.norm2.weight"), layers + 1, "{model}");
            assert_eq!(decay.layer_id("neck.lateral_convs.0.conv.weight"), layers + 1, "{model}");
        }
        assert_eq!(decay(LayerCount::LayerWise(12), "base").layer_id("backbone.stages.2.14.norm.weight"), 7);
    }

    #[test]
    fn stage_wise_ids_are_those_of_mmseg() {
        for (model, layers, expected) in [
            ("base", 12, [0, 1, 1, 0, 2, 2, 0, 3, 3, 0, 4, 4, 13, 13]),
            ("tiny", 6, [0, 1, 1, 0, 2, 2, 0, 3, 3, 0, 4, 4, 7, 7]),
        ] {
            let decay = decay(LayerCount::StageWise(layers), model);
            assert_eq!(ids(&decay), expected, "{model}");
            assert_eq!(decay.layer_id("backbone.stages.2.8.pwconv1.weight"), 3, "{model}");
            assert_eq!(decay.layer_id("decode_head.conv_seg.weight"), layers + 1, "{model}");
        }
    }

    #[test]
    fn a_third_stage_that_is_too_long_learns_no_faster_than_the_last() {
        let short = decay(LayerCount::LayerWise(6), "base");
        assert_eq!(ids(&short), [0, 1, 1, 2, 2, 2, 3, 3, 6, 6, 6, 6, 7, 7]);
        assert!((short.scale("stages.2.26.dwconv.weight") - 0.9).abs() < 1e-12);
    }

    #[test]
    fn counts_are_read_and_written() {
        #[derive(Serialize, Deserialize)]
        struct Counted {
            count: LayerCount,
        }
        for (text, count) in [
            ("count = \"single\"\n", LayerCount::Single),
            ("count = \"group\"\n", LayerCount::Group),
            ("[count]\nlayer_wise = 6\n", LayerCount::LayerWise(6)),
            ("[count]\nstage_wise = 12\n", LayerCount::StageWise(12)),
        ] {
            assert_eq!(toml::from_str::<Counted>(text).unwrap().count, count);
            assert_eq!(toml::to_string(&Counted { count }).unwrap(), text);
        }
    }

    #[test]
    fn scales_follow_from_the_ids() {
        let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 5e-3, "{found}");
        close(decay(LayerCount::Single, "atto").scale("downsample_layers.0.0.weight"), 0.282);
        close(decay(LayerCount::Single, "tiny").scale("downsample_layers.0.0.weight"), 0.150);
        let base = find_model("base").unwrap().config();
        let group = LayerDecay::new(LayerCount::Group, 0.6, &base);
        close(group.scale("downsample_layers.0.1.bias"), 1.306e-3);
        assert_eq!(group.scale("head.weight"), 1.0);
        // 0.95^13, 0.95^(13 - 7), 0.95^1.
        let layer_wise = LayerDecay::new(LayerCount::LayerWise(12), 0.95, &base);
        close(layer_wise.scale("backbone.downsample_layers.0.0.weight"), 0.5133);
        close(layer_wise.scale("backbone.stages.2.14.dwconv.weight"), 0.7351);
        close(layer_wise.scale("backbone.stages.3.0.dwconv.weight"), 0.95);
        assert_eq!(layer_wise.scale("backbone.norm0.weight"), 1.0);
        // 0.9^13 and 0.9^9: with 12 layers even the last stage learns slowly.
        let stage_wise = LayerDecay::new(LayerCount::StageWise(12), 0.9, &base);
        close(stage_wise.scale("backbone.downsample_layers.3.0.weight"), 0.2542);
        close(stage_wise.scale("backbone.stages.3.2.dwconv.weight"), 0.3874);
    }
}
