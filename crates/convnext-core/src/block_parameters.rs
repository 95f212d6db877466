//! The one table of a block's parameters: names, shapes, initial values, weight decay and cost (paper Figure
//! 5; docs/facts.md, "Block", "GRN", "Initialisation").
//!
//! Names and shapes of weight files, fresh models, costs, estimates of memory, the optimiser and the export
//! read it. Who adds a parameter adds a variant with its row here, a field in `Block` and in
//! `BlockParameters` of `convnext-nn`, and what the compiler and the tests name from there on.

/// Width of a block's hidden layer over that of the block (paper Figure 5).
pub const MLP_RATIO: usize = 4;

/// Side of the depthwise convolution's kernel (paper Figure 5).
pub const DEPTHWISE_KERNEL_SIZE: usize = 7;

/// Initial value of LayerScale (docs/facts.md, "Block").
pub const LAYER_SCALE_INIT: f64 = 1e-6;

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
    /// Those with Global Response Normalization (V2).
    WithGrn,
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
const K: BlockAxis = BlockAxis::Fixed(DEPTHWISE_KERNEL_SIZE);
const ONE: BlockAxis = BlockAxis::Fixed(1);

const NORMAL: InitialValue = InitialValue::Normal;
const ZEROS: InitialValue = InitialValue::Constant(0.0);
const ONES: InitialValue = InitialValue::Constant(1.0);
const SCALE: InitialValue = InitialValue::Constant(LAYER_SCALE_INIT);

/// A group of parameters with one rule of decay, presence and cost.
type Role = (WeightDecay, Presence, SiteCost);

const WEIGHT: Role = (WeightDecay::Always, Presence::Always, SiteCost::MultiplyAdds);
const BIAS: Role = (WeightDecay::Never, Presence::Always, SiteCost::NotCounted);
const NORM: Role = (WeightDecay::Never, Presence::Always, SiteCost::NormOutputs);
const GRN: Role = (WeightDecay::ByRecipe, Presence::WithGrn, SiteCost::NotCounted);
const LAYER_SCALE: Role = (WeightDecay::Never, Presence::WithLayerScale, SiteCost::NotCounted);

const fn row(
    parameter: BlockParameter,
    name: &'static str,
    axes: &'static [BlockAxis],
    initial: InitialValue,
    (decay, presence, site_cost): Role,
) -> BlockParameterLayout {
    BlockParameterLayout { parameter, name, axes, initial, decay, presence, site_cost }
}

/// Every parameter of a block, with C channels, E = 4C hidden ones and K x K kernels.
#[rustfmt::skip]
pub const BLOCK_PARAMETERS: [BlockParameterLayout; 11] = [
    row(BlockParameter::DepthwiseWeight, "dwconv.weight",  &[C, ONE, K, K],     NORMAL, WEIGHT),
    row(BlockParameter::DepthwiseBias,   "dwconv.bias",    &[C],                ZEROS,  BIAS),
    row(BlockParameter::NormWeight,      "norm.weight",    &[C],                ONES,   NORM),
    row(BlockParameter::NormBias,        "norm.bias",      &[C],                ZEROS,  BIAS),
    row(BlockParameter::ExpandWeight,    "pwconv1.weight", &[E, C],             NORMAL, WEIGHT),
    row(BlockParameter::ExpandBias,      "pwconv1.bias",   &[E],                ZEROS,  BIAS),
    row(BlockParameter::ProjectWeight,   "pwconv2.weight", &[C, E],             NORMAL, WEIGHT),
    row(BlockParameter::ProjectBias,     "pwconv2.bias",   &[C],                ZEROS,  BIAS),
    row(BlockParameter::GrnGamma,        "grn.gamma",      &[ONE, ONE, ONE, E], ZEROS,  GRN),
    row(BlockParameter::GrnBeta,         "grn.beta",       &[ONE, ONE, ONE, E], ZEROS,  GRN),
    row(BlockParameter::LayerScale,      "gamma",          &[C],                SCALE,  LAYER_SCALE),
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
    /// Its row of the table.
    pub fn layout(self) -> BlockParameterLayout {
        BLOCK_PARAMETERS[self as usize]
    }

    /// The official name in a block of this name: `stages.0.1.dwconv.weight`.
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
