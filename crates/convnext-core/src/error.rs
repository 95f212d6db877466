//! The errors of values that do not fit together.

use thiserror::Error;

use crate::nearest_name::did_you_mean;

/// A configuration, a mask or an image size that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No row of the size table has this name.
    #[error("unknown model '{name}'{}; known models: {known}", did_you_mean(name, known.split(", ")))]
    UnknownModel {
        /// The name that was asked for.
        name: String,
        /// All names of the table, separated by commas.
        known: String,
    },
    /// No normalisation of the hidden channels has this name.
    #[error(
        "unknown response norm '{name}'{}; known are: {known}",
        did_you_mean(name, known.split(", "))
    )]
    UnknownResponseNorm {
        /// The name that was asked for.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// A value lies outside the range that makes sense for it.
    #[error("{what} is {found}, but must be {expected}")]
    OutOfRange {
        /// Name of the setting.
        what: &'static str,
        /// The value found.
        found: String,
        /// The values allowed, as text.
        expected: &'static str,
    },
    /// A crop or a scale leaves fewer pixels than a network takes.
    #[error(
        "{setting} {value} leaves {height}x{width} pixels, and the network needs at least {minimum} along each side; choose a \
         larger {setting}"
    )]
    TooLittleLeft {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: f64,
        /// Height that it leaves.
        height: usize,
        /// Width that it leaves.
        width: usize,
        /// Pixels that the network needs along each side.
        minimum: usize,
    },
    /// An image side is not a multiple of the patch, which FCMAE needs.
    #[error(
        "image size {height}x{width} is not a multiple of the patch of {patch} pixels \
         (8 x stem stride {stem_stride}); choose an image size such as {suggestion} or another stem stride"
    )]
    ImageNotPatches {
        /// Image height in pixels.
        height: usize,
        /// Image width in pixels.
        width: usize,
        /// Patch side in pixels.
        patch: usize,
        /// Stem stride in pixels.
        stem_stride: usize,
        /// The nearest side that works.
        suggestion: usize,
    },
    /// An image is so small that the last stage would have no site.
    #[error(
        "image size {height}x{width} is too small: at stem stride {stem_stride} each side needs at least {minimum} pixels"
    )]
    ImageTooSmall {
        /// Image height in pixels.
        height: usize,
        /// Image width in pixels.
        width: usize,
        /// Stem stride in pixels.
        stem_stride: usize,
        /// Smallest side that leaves one site in the last stage.
        minimum: usize,
    },
    /// Images have no one size, but something needs one.
    #[error(
        "images are {images}, but one size for all is needed here; choose one (--image-size HEIGHTxWIDTH)"
    )]
    NoImageSize {
        /// Description of their sizes.
        images: String,
    },
    /// The mask ratio leaves no patch to see or none to predict.
    #[error(
        "mask ratio {ratio} keeps {kept} of {patches} patches; at least one must be kept and one removed: \
         change the mask ratio or use larger images"
    )]
    NothingToDo {
        /// Fraction of patches to remove, as asked.
        ratio: f64,
        /// Patches that would be kept.
        kept: usize,
        /// Patches of the image.
        patches: usize,
    },
    /// Weights are of another kind than the one that is needed.
    #[error("the {place} is '{found}', but '{expected}' is needed")]
    OtherKind {
        /// The place of the kind, such as `task`.
        place: &'static str,
        /// The kind found.
        found: String,
        /// The kind that is needed.
        expected: String,
    },
    /// The metadata of weights has other fields than its kind has.
    #[error("the {place} '{kind}' cannot be read: {why}; it was written by another version of the program")]
    BadFields {
        /// The place of the kind, such as `task`.
        place: &'static str,
        /// The kind.
        kind: &'static str,
        /// The reason.
        why: String,
    },
    /// The metadata of weights does not say once what they are.
    #[error("`backbone` and `task` are needed, and nothing else that says what the weights are")]
    OtherLayout,
    /// Two settings of stored weights say different things.
    #[error("`{first}` and `{second}` contradict each other; correct the wrong one")]
    Contradiction {
        /// One setting with its value, as in files.
        first: String,
        /// The other one with its value, as in files.
        second: String,
    },
    /// Class names do not fit the classes.
    #[error("class names do not fit: {why}")]
    ClassNames {
        /// The reason.
        why: String,
    },
    /// A list of kept patches does not fit the grid.
    #[error("kept patches do not fit a grid of {rows}x{columns}: {why}")]
    BadMask {
        /// Rows of the patch grid.
        rows: usize,
        /// Columns of the patch grid.
        columns: usize,
        /// The reason.
        why: String,
    },
}
