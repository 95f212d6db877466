//! Layer-wise learning-rate decay (paper appendix A.2; facts D2): early layers learn more slowly.

use serde::{Deserialize, Serialize};

use convnext_core::{ModelConfig, STAGES};

/// How layers are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerCount {
    /// Every block is a layer: the paper's default.
    Single,
    /// Three blocks of the third stage are a layer, 12 layers in all: the paper's choice for Base and
    /// Large, made for 3-3-27-3 blocks.
    Group,
}

/// Layers of the grouped count.
const GROUPS: usize = 12;
/// Blocks of the third stage in one group.
const GROUP: usize = 3;

/// The factor on the learning rate of every parameter of a classifier.
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

    /// The factor of a parameter: `rate^(layers + 1 - id)`, so 1 for final norm and head.
    pub fn scale(&self, name: &str) -> f64 {
        self.rate.powi((self.layers() + 1 - self.layer_id(name)) as i32)
    }

    /// Number of layers below the head.
    fn layers(&self) -> usize {
        match self.count {
            LayerCount::Single => self.depths.iter().sum(),
            LayerCount::Group => GROUPS,
        }
    }

    /// The layer of a parameter: 0 or 1 for the stem, `layers + 1` for final norm and head.
    fn layer_id(&self, name: &str) -> usize {
        let mut parts = name.split('.');
        let part = parts.next();
        let mut number = || parts.next().and_then(|text| text.parse::<usize>().ok());
        match (part, number(), number()) {
            (Some("downsample_layers"), Some(stage), _) => self.downsampling_id(stage),
            (Some("stages"), Some(stage), Some(block)) => self.block_id(stage, block),
            _ => self.layers() + 1,
        }
    }

    fn downsampling_id(&self, stage: usize) -> usize {
        match self.count {
            LayerCount::Single => self.depths.iter().take(stage).sum::<usize>() + 1,
            LayerCount::Group => [0, 2, GROUP, GROUPS][stage.min(STAGES - 1)],
        }
    }

    fn block_id(&self, stage: usize, block: usize) -> usize {
        match (self.count, stage) {
            (LayerCount::Single, _) => self.depths.iter().take(stage).sum::<usize>() + block + 1,
            (LayerCount::Group, 0) => 1,
            (LayerCount::Group, 1) => 2,
            (LayerCount::Group, 2) => GROUP + block / GROUP,
            (LayerCount::Group, _) => GROUPS,
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
    fn scales_follow_from_the_ids() {
        let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 5e-3, "{found}");
        close(decay(LayerCount::Single, "atto").scale("downsample_layers.0.0.weight"), 0.282);
        close(decay(LayerCount::Single, "tiny").scale("downsample_layers.0.0.weight"), 0.150);
        let base = find_model("base").unwrap().config();
        let group = LayerDecay::new(LayerCount::Group, 0.6, &base);
        close(group.scale("downsample_layers.0.1.bias"), 1.306e-3);
        assert_eq!(group.scale("head.weight"), 1.0);
    }
}
