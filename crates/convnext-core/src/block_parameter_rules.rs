//! What a row of the table of a block's parameters can say: axes, initial values, weight decay, presence and cost
//! (docs/facts.md, "Block", "Initialisation").

use crate::response_norm::ResponseNorm;

/// Width of a block's hidden layer over that of the block (paper Figure 5).
pub const MLP_RATIO: usize = 4;

/// Side of the depthwise convolution's kernel (paper Figure 5).
pub const DEPTHWISE_KERNEL_SIZE: usize = 7;

/// Usual initial value of LayerScale (docs/facts.md, "Block").
pub const LAYER_SCALE_INIT: f64 = 1e-6;

/// Hidden channels of a block over those in the bottleneck of a gate: the ratio that gives the 109 million parameters of
/// Table 2e (docs/facts.md, "GRN ablations").
pub const GATE_RATIO: usize = 16;

/// The length of an axis, of a block of C channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockAxis {
    /// C.
    Channels,
    /// 4C.
    Hidden,
    /// 4C over [`GATE_RATIO`], rounded up.
    Gate,
    /// The same in every block.
    Fixed(usize),
}

/// Initial values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InitialValue {
    /// Normal, with the standard deviation of all weights of a model.
    Normal,
    /// One value throughout.
    Constant(f64),
    /// The value that the block's configuration says ([`crate::BlockLayout::layer_scale`]).
    LayerScale,
}

/// The part that a parameter has in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockParameterKind {
    /// It has a gradient.
    Learned,
    /// A running statistic, which follows the batches.
    Statistic,
    /// An integer, which counts batches.
    Counter,
}

/// Weight decay of a parameter (docs/facts.md, "Defaults", "Param groups & layer decay").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDecay {
    /// A weight: it decays.
    Always,
    /// A bias, a norm or LayerScale: it does not.
    Never,
    /// GRN: the recipe says (`decay_grn_and_mask_token`).
    ByRecipe,
}

/// Blocks that have a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// All of them.
    Always,
    /// Those with Global Response Normalization (V2), or a variant of it with the same parameters.
    WithGrn,
    /// Those with this normalisation in its place.
    With(ResponseNorm),
    /// Those with LayerScale (V1).
    WithLayerScale,
}

/// Operations of a parameter at each site, as [`crate::Cost`] counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteCost {
    /// One multiply-add for each of its values.
    MultiplyAdds,
    /// As many values of a LayerNorm's output as it has itself.
    NormOutputs,
    /// None that count.
    NotCounted,
}

impl BlockAxis {
    /// The length in a block of so many channels.
    pub(crate) fn length(self, channels: usize) -> usize {
        match self {
            Self::Channels => channels,
            // Widths may come from a file; one that overflows fits no tensor, and neither does the largest
            // number.
            Self::Hidden => channels.saturating_mul(MLP_RATIO),
            Self::Gate => channels.saturating_mul(MLP_RATIO).div_ceil(GATE_RATIO),
            Self::Fixed(length) => length,
        }
    }
}
