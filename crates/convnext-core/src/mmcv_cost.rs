//! The cost of a backbone without its head by the rule of mmcv 1's tool, with which the paper's Tables 6 and 7 count FLOPs
//! (docs/facts.md, "E. Detection" and "F. Segmentation").
//!
//! A multiply-add is 1, and so are a bias of a convolution, a ReLU that is a layer of its own, and an input of a pool; batch
//! norm is 2 for each value. The biases of linear layers, LayerNorm, GRN, GELU, sums and resizing do not count.
//! What stands in the place of GRN counts as in [`Cost::macs`]: its batch norm, ReLUs and pools are left out, which the tool
//! would count.

use crate::config::ModelConfig;
use crate::cost::Cost;
use crate::error::ConfigError;
use crate::image_size::ImageSize;
use crate::large_counts::sum;
use crate::limits::STAGES;

/// The backbone's share of a network's cost.
pub(crate) struct BackboneCost {
    /// Cost without a head; FLOPs by mmcv's rule.
    pub cost: Cost,
    /// Height and width of each stage's map.
    pub sizes: [[usize; 2]; STAGES],
}

impl BackboneCost {
    /// The cost for one image.
    ///
    /// # Errors
    /// [`ConfigError::ImageTooSmall`] when the last stage would have no site, and
    /// [`ConfigError::OutOfRange`] when the backbone itself is not sound.
    pub(crate) fn of(backbone: &ModelConfig, size: ImageSize) -> Result<Self, ConfigError> {
        let features = ModelConfig { classes: 0, ..backbone.clone() };
        let cost = Cost::of(&features, size.height, size.width)?;
        let sizes = backbone.stage_sizes(size.height, size.width)?;
        // Stem or downsampling, and the depthwise convolution of each block.
        let biases = |stage: usize| {
            let [rows, columns] = sizes[stage];
            (rows * columns * backbone.widths[stage] * (1 + backbone.depths[stage])) as u64
        };
        let biases: u64 = (0..STAGES).map(biases).sum();
        Ok(Self { cost: Cost { flops: sum([cost.macs, biases]), ..cost }, sizes })
    }

    /// Number of sites of each stage.
    pub(crate) fn sites(&self) -> [u64; STAGES] {
        self.sizes.map(|[rows, columns]| (rows * columns) as u64)
    }
}
