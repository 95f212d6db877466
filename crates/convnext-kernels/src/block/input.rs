//! Inputs of a block, forward and backward.
//!
//! Notation: N images, R rows of one image, C channels, E = 4C.

use crate::block::weights::BlockWeights;
use crate::blocking::Segment;
use crate::profile::{Kernel, timed};
use crate::residual::ScaleRows;
use crate::sites::Sites;
use crate::split::scaled;
use crate::target::{Target, target};

/// The input of a block, forward and backward.
#[derive(Debug, Clone, Copy)]
pub struct BlockInput<'a> {
    pub(crate) target: Target,
    pub(crate) sites: &'a Sites,
    /// `[N R, C]`; empty where a backward has them among its saved activations.
    pub(crate) rows: &'a [f32],
    pub(crate) weights: &'a BlockWeights<'a>,
    /// Drop path's factor of each image, 0 where the branch is dropped; `None` drops none.
    pub(crate) drop_path_scales: Option<&'a [f32]>,
}

impl<'a> BlockInput<'a> {
    /// The rows at these sites, `[N R, C]`, and the parameters. A backward needs no rows where its saved
    /// activations include them.
    ///
    /// `drop_path_scales` is drop path's factor of each image, 0 where the branch is dropped; `None` drops
    /// none.
    pub fn new(
        sites: &'a Sites,
        rows: &'a [f32],
        weights: &'a BlockWeights<'a>,
        drop_path_scales: Option<&'a [f32]>,
    ) -> Self {
        Self { target: target(), sites, rows, weights, drop_path_scales }
    }

    /// Drop path's factor of an image.
    pub(crate) fn factor(&self, image: usize) -> f32 {
        self.drop_path_scales.map_or(1.0, |scales| scales[image])
    }

    /// The images whose branch is not dropped.
    pub(crate) fn active_images(&self) -> Vec<usize> {
        (0..self.sites.images()).filter(|&image| self.factor(image) != 0.0).collect()
    }

    /// Copies the rows of the images that are not among the active `images`.
    pub(crate) fn copy_inactive(&self, images: &[usize], from: &[f32], to: &mut [f32]) {
        let values = from.len() / self.sites.images().max(1);
        let inactive = (0..self.sites.images()).filter(|image| images.binary_search(image).is_err());
        for image in inactive.map(|image| image * values..(image + 1) * values) {
            to[image.clone()].copy_from_slice(&from[image]);
        }
    }
}

/// The input of a branch's backward, between the convolution and the residual addition.
#[derive(Clone, Copy)]
pub(crate) struct BranchInput<'a> {
    pub(crate) block: &'a BlockInput<'a>,
    /// The weight of the second linear layer with LayerScale folded in, `[C, E]`.
    pub(crate) projection: &'a [f32],
    /// The convolution's output, `[N R, C]`.
    pub(crate) depthwise: &'a [f32],
    /// The gradient of the block's output, `[N R, C]`.
    pub(crate) dout: &'a [f32],
}

impl BranchInput<'_> {
    /// The output gradient of the branch, g: that of the block times drop path's factor, for the rows of
    /// segments. Returns the sums over them, `[C]`.
    pub(crate) fn scale_gradient(&self, segments: &[Segment], out: &mut [f32]) -> Vec<f32> {
        let channels = self.block.weights.channels();
        let mut sums = vec![0.0; channels];
        let mut done = 0;
        for segment in segments {
            let scale = ScaleRows {
                rows: &self.dout[scaled(&segment.rows, channels)],
                factor: self.block.factor(segment.image),
                out: &mut out[scaled(&(done..done + segment.rows.len()), channels)],
                sums: &mut sums,
            };
            timed(Kernel::Residual, || self.block.target.arch.dispatch(scale));
            done += segment.rows.len();
        }
        sums
    }
}
