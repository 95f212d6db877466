//! The one table of a block's parameters: names, shapes, initial values, weight decay and cost (paper Figure
//! 5; docs/facts.md, "Block", "GRN", "Initialisation").
//!
//! Names and shapes of weight files, fresh models, costs, estimates of memory, the optimiser and the export
//! read it. Who adds a parameter adds a variant with its row here, a field in `Block` and in
//! `BlockParameters` of `convnext-nn`, and what the compiler and the tests name from there on.

use crate::response_norm::ResponseNorm;

/// Width of a block's hidden layer over that of the block (paper Figure 5).
pub const MLP_RATIO: usize = 4;

/// Side of the depthwise convolution's kernel (paper Figure 5).
pub const DEPTHWISE_KERNEL_SIZE: usize = 7;

/// Usual initial value of LayerScale (docs/facts.md, "Block").
pub const LAYER_SCALE_INIT: f64 = 1e-6;

/// Hidden channels of a block over those in the middle of a gate: the ratio that gives the 109 million parameters of
/// Table 2e (docs/facts.md, "GRN ablations").
pub const GATE_RATIO: usize = 16;

/// A parameter of a block, in the order of lists of tensors and of the parents in a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockParameter {
    /// Kernel of the depthwise convolution.
    DepthwiseWeight,
    /// Bias of the depthwise convolution.
    DepthwiseBias,
    /// Scale of the LayerNorm.
    NormWeight,
    /// Shift of the LayerNorm.
    NormBias,
    /// Weight of the linear layer from C to 4C.
    ExpandWeight,
    /// Bias of the linear layer from C to 4C.
    ExpandBias,
    /// Weight of the linear layer from 4C to C.
    ProjectWeight,
    /// Bias of the linear layer from 4C to C.
    ProjectBias,
    /// GRN's scale of the normalised response.
    GrnGamma,
    /// GRN's shift.
    GrnBeta,
    /// Scale of batch norm in the place of GRN.
    BatchNormWeight,
    /// Shift of batch norm.
    BatchNormBias,
    /// Running mean of batch norm.
    RunningMean,
    /// Running variance of batch norm.
    RunningVariance,
    /// Number of batches that batch norm has seen.
    BatchCounter,
    /// Scale of LayerNorm in the place of GRN.
    LayerNormWeight,
    /// Shift of LayerNorm in the place of GRN.
    LayerNormBias,
    /// Weight of squeeze and excite from 4C to the middle.
    SqueezeWeight,
    /// Weight of squeeze and excite from the middle to 4C.
    ExciteWeight,
    /// Weight of CBAM's channel gate from 4C to the middle.
    ChannelGateReduce,
    /// Weight of CBAM's channel gate from the middle to 4C.
    ChannelGateExpand,
    /// Kernel of CBAM's gate over sites, from mean and maximum over the channels.
    SpatialGateWeight,
    /// LayerScale's factor on each channel of the branch.
    LayerScale,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockParameterLayout {
    /// The parameter.
    pub parameter: BlockParameter,
    /// The official name within a block, such as `dwconv.weight`.
    pub name: &'static str,
    /// The axes of its shape, slowest first.
    pub axes: &'static [BlockAxis],
    /// Initial values.
    pub initial: InitialValue,
    /// Learned or not.
    pub kind: BlockParameterKind,
    /// Weight decay.
    pub decay: WeightDecay,
    /// Blocks that have it.
    pub presence: Presence,
    /// Counted operations at each site.
    pub site_cost: SiteCost,
}

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

const C: BlockAxis = BlockAxis::Channels;
const E: BlockAxis = BlockAxis::Hidden;
const G: BlockAxis = BlockAxis::Gate;
const K: BlockAxis = BlockAxis::Fixed(DEPTHWISE_KERNEL_SIZE);
const ONE: BlockAxis = BlockAxis::Fixed(1);
const TWO: BlockAxis = BlockAxis::Fixed(2);

const NORMAL: InitialValue = InitialValue::Normal;
const ZEROS: InitialValue = InitialValue::Constant(0.0);
const ONES: InitialValue = InitialValue::Constant(1.0);
const SCALE: InitialValue = InitialValue::LayerScale;

/// A group of parameters with one rule of decay, presence and cost.
type Role = (WeightDecay, Presence, SiteCost);

const WEIGHT: Role = (WeightDecay::Always, Presence::Always, SiteCost::MultiplyAdds);
const BIAS: Role = (WeightDecay::Never, Presence::Always, SiteCost::NotCounted);
const NORM: Role = (WeightDecay::Never, Presence::Always, SiteCost::NormOutputs);
const GRN: Role = (WeightDecay::ByRecipe, Presence::WithGrn, SiteCost::NotCounted);
const BN: Role = (WeightDecay::Never, Presence::With(ResponseNorm::Bn), SiteCost::NotCounted);
const LN: Role = (WeightDecay::Never, Presence::With(ResponseNorm::Ln), SiteCost::NormOutputs);
const LN_BIAS: Role = (WeightDecay::Never, Presence::With(ResponseNorm::Ln), SiteCost::NotCounted);
const SE: Role = (WeightDecay::Always, Presence::With(ResponseNorm::Se), SiteCost::NotCounted);
const CBAM: Role = (WeightDecay::Always, Presence::With(ResponseNorm::Cbam), SiteCost::NotCounted);
const CBAM_SITES: Role = (WeightDecay::Always, Presence::With(ResponseNorm::Cbam), SiteCost::MultiplyAdds);
const LAYER_SCALE: Role = (WeightDecay::Never, Presence::WithLayerScale, SiteCost::NotCounted);

const fn row(
    parameter: BlockParameter,
    name: &'static str,
    axes: &'static [BlockAxis],
    initial: InitialValue,
    (decay, presence, site_cost): Role,
) -> BlockParameterLayout {
    let kind = match parameter {
        BlockParameter::RunningMean | BlockParameter::RunningVariance => BlockParameterKind::Statistic,
        BlockParameter::BatchCounter => BlockParameterKind::Counter,
        _ => BlockParameterKind::Learned,
    };
    BlockParameterLayout { parameter, name, axes, initial, kind, decay, presence, site_cost }
}

use BlockParameter as P;

/// Every parameter of a block, with C channels, E = 4C hidden ones, G of a gate and K x K kernels.
#[rustfmt::skip]
pub const BLOCK_PARAMETERS: [BlockParameterLayout; 23] = [
    row(P::DepthwiseWeight,   "dwconv.weight",          &[C, ONE, K, K],     NORMAL, WEIGHT),
    row(P::DepthwiseBias,     "dwconv.bias",            &[C],                ZEROS,  BIAS),
    row(P::NormWeight,        "norm.weight",            &[C],                ONES,   NORM),
    row(P::NormBias,          "norm.bias",              &[C],                ZEROS,  BIAS),
    row(P::ExpandWeight,      "pwconv1.weight",         &[E, C],             NORMAL, WEIGHT),
    row(P::ExpandBias,        "pwconv1.bias",           &[E],                ZEROS,  BIAS),
    row(P::ProjectWeight,     "pwconv2.weight",         &[C, E],             NORMAL, WEIGHT),
    row(P::ProjectBias,       "pwconv2.bias",           &[C],                ZEROS,  BIAS),
    row(P::GrnGamma,          "grn.gamma",              &[ONE, ONE, ONE, E], ZEROS,  GRN),
    row(P::GrnBeta,           "grn.beta",               &[ONE, ONE, ONE, E], ZEROS,  GRN),
    row(P::BatchNormWeight,   "bn.weight",              &[E],                ONES,   BN),
    row(P::BatchNormBias,     "bn.bias",                &[E],                ZEROS,  BN),
    row(P::RunningMean,       "bn.running_mean",        &[E],                ZEROS,  BN),
    row(P::RunningVariance,   "bn.running_var",         &[E],                ONES,   BN),
    row(P::BatchCounter,      "bn.num_batches_tracked", &[],                 ZEROS,  BN),
    row(P::LayerNormWeight,   "ln.weight",              &[E],                ONES,   LN),
    row(P::LayerNormBias,     "ln.bias",                &[E],                ZEROS,  LN_BIAS),
    row(P::SqueezeWeight,     "se.fc1.weight",          &[G, E],             NORMAL, SE),
    row(P::ExciteWeight,      "se.fc2.weight",          &[E, G],             NORMAL, SE),
    row(P::ChannelGateReduce, "cbam.fc1.weight",        &[G, E],             NORMAL, CBAM),
    row(P::ChannelGateExpand, "cbam.fc2.weight",        &[E, G],             NORMAL, CBAM),
    row(P::SpatialGateWeight, "cbam.conv.weight",       &[ONE, TWO, K, K],   NORMAL, CBAM_SITES),
    row(P::LayerScale,        "gamma",                  &[C],                SCALE,  LAYER_SCALE),
];

// A parameter is the number of its row.
const _: () = {
    let mut index = 0;
    while index < BLOCK_PARAMETERS.len() {
        assert!(BLOCK_PARAMETERS[index].parameter as usize == index);
        index += 1;
    }
};

impl BlockParameter {
    /// `true` for a parameter of GRN or of what stands in its place.
    pub fn is_of_response_norm(self) -> bool {
        matches!(self.layout().presence, Presence::WithGrn | Presence::With(_))
    }

    /// Its row of the table.
    pub fn layout(self) -> BlockParameterLayout {
        BLOCK_PARAMETERS[self as usize]
    }

    /// The name in a block of this name, the official one where there is one: `stages.0.1.dwconv.weight`.
    pub fn in_block(self, block: &str) -> String {
        format!("{block}.{}", self.layout().name)
    }

    /// The parameter of an official name that ends as `stages.0.1.dwconv.weight` or
    /// `decoder.0.dwconv.weight`; `None` for what is in no block.
    pub fn of_name(name: &str) -> Option<Self> {
        let is_here = |row: &BlockParameterLayout| {
            name.strip_suffix(row.name).and_then(|block| block.strip_suffix('.')).is_some_and(is_block)
        };
        BLOCK_PARAMETERS.iter().find(|row| is_here(row)).map(|row| row.parameter)
    }
}

/// `true` for the name of a block, in an encoder or a decoder.
fn is_block(name: &str) -> bool {
    let mut parts = name.rsplit('.');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<usize>().is_ok());
    is_number(parts.next())
        && match parts.next() {
            Some("decoder") => true,
            stage => is_number(stage) && parts.next() == Some("stages"),
        }
}

impl BlockParameterLayout {
    /// Its shape in a block of so many channels, slowest axis first.
    pub fn shape(&self, channels: usize) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.length(channels)).collect()
    }

    /// Number of its values in a block of so many channels.
    pub fn values(&self, channels: usize) -> u64 {
        self.axes.iter().fold(1, |values: u64, axis| values.saturating_mul(axis.length(channels) as u64))
    }
}

impl BlockAxis {
    fn length(self, channels: usize) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_blocks_lead_back_to_their_parameters() {
        for block in ["stages.0.11", "encoder.stages.3.0", "backbone.stages.1.2", "decoder.0"] {
            for row in BLOCK_PARAMETERS {
                let name = row.parameter.in_block(block);
                assert_eq!(BlockParameter::of_name(&name), Some(row.parameter), "{name}");
            }
        }
        for name in
            ["norm.weight", "gamma", "head.0.gamma", "stages.0.gamma", "stages.0.x.gamma", "stages.0.0."]
        {
            assert_eq!(BlockParameter::of_name(name), None, "{name}");
        }
        assert_eq!(BlockParameter::of_name("downsample_layers.1.0.weight"), None);
    }
}
