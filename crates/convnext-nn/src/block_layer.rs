//! The layers of a block, by name.

/// A layer of a block that analyses look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockLayer {
    /// The block's input, C channels.
    Input,
    /// After the depthwise convolution, C channels.
    Depthwise,
    /// After the linear layer to 4C channels and GELU.
    Expanded,
    /// After GRN, or what stands in its place, 4C channels; the same as before it where there is none.
    Normalised,
    /// The block's output, C channels.
    Output,
}

impl BlockLayer {
    /// All layers, in the order in which a block computes them.
    pub const ALL: [Self; 5] = [Self::Input, Self::Depthwise, Self::Expanded, Self::Normalised, Self::Output];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Depthwise => "depthwise",
            Self::Expanded => "expanded",
            Self::Normalised => "normalised",
            Self::Output => "output",
        }
    }
}
