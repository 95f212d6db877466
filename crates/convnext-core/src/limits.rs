//! Number of stages, and limits of what a configuration may ask for.

/// Number of stages of every ConvNeXt.
pub const STAGES: usize = 4;

/// Maximum number of blocks of a stage or of a decoder. This and the limits below are far above any model; a file
/// or a typo that goes beyond is refused before anything is allocated for it.
pub const MAX_BLOCKS: usize = 1_000;
/// Maximum number of channels; see [`MAX_BLOCKS`].
pub const MAX_CHANNELS: usize = 65_536;
/// Maximum number of classes; see [`MAX_BLOCKS`].
pub const MAX_CLASSES: usize = 10_000_000;
