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

/// The range of blocks in words.
pub(crate) const BLOCKS_RANGE: &str = "from 1 to 1000";
/// The range of each stage's blocks in words.
pub(crate) const STAGE_BLOCKS_RANGE: &str = "from 1 to 1000 in each stage";
/// The range of channels in words.
pub(crate) const CHANNELS_RANGE: &str = "from 1 to 65536";
/// The range of each stage's channels in words.
pub(crate) const STAGE_CHANNELS_RANGE: &str = "from 1 to 65536 in each stage";
/// The range of classes in words.
pub(crate) const CLASSES_RANGE: &str = "at most 10000000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_words_are_those_of_the_limits() {
        assert_eq!(BLOCKS_RANGE, format!("from 1 to {MAX_BLOCKS}"));
        assert_eq!(STAGE_BLOCKS_RANGE, format!("{BLOCKS_RANGE} in each stage"));
        assert_eq!(CHANNELS_RANGE, format!("from 1 to {MAX_CHANNELS}"));
        assert_eq!(STAGE_CHANNELS_RANGE, format!("{CHANNELS_RANGE} in each stage"));
        assert_eq!(CLASSES_RANGE, format!("at most {MAX_CLASSES}"));
    }
}
