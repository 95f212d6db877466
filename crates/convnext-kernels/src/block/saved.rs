//! Saved activations: what a block's forward leaves to its backward.
//!
//! Notation: N images, R rows of one image, C channels, E = 4C.

use crate::buffer::Buffer;

/// The activations that a forward saves for its backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// None: there is no backward, or it recomputes them.
    Nothing,
    /// The activations that the backward needs, as they are computed: f32, or bf16 with
    /// [`crate::Precision::Bf16`].
    AsComputed,
    /// The same rounded to bf16, and the block's input with it.
    Bf16,
}

/// The activations that a block's forward saved for its backward.
#[derive(Debug, Clone)]
pub struct SavedActivations {
    /// The block's input, if all is saved in bf16. bf16 activations are column-packed.
    pub(crate) rows: Option<Buffer>,
    /// The convolution's output, `[N R, C]`; undefined where the branch is dropped.
    pub(crate) depthwise: Buffer,
    /// The first linear layer's output, `[rows, E]`, of active images.
    pub(crate) expanded: Buffer,
}

impl SavedActivations {
    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        let values =
            self.rows.as_ref().map_or(0, |rows| rows.len()) + self.depthwise.len() + self.expanded.len();
        values * size_of::<f32>()
    }

    /// `true` if these include the block's input, so that the caller need not save it.
    pub fn has_rows(&self) -> bool {
        self.rows.is_some()
    }
}
