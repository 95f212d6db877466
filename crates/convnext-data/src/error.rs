//! Errors of image files and data sets, each with its remedy.

use std::io;

use convnext_core::{ClassNames, ConfigError, did_you_mean};
use thiserror::Error;

use crate::detection::error::AnnotationError;
use crate::loading::corrupt_file::{Allowed, CorruptFile, listed};
use crate::segmentation::error::MaskError;

/// A file, a data set or a setting that cannot be used.
///
/// Files inside an archive are named `archive.tar: member/path`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system could not read or write a file.
    #[error("cannot {action} {name}: {source}; check that the path is right and may be read or written")]
    Io {
        /// The action, such as "read".
        action: &'static str,
        /// The file.
        name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The bytes of a file are no complete image of a known format.
    #[error("{name} is not a readable image: {why}; replace or remove the file")]
    Decode {
        /// The file.
        name: String,
        /// The reason, from the decoder.
        why: String,
    },
    /// A sound file of a kind that is not read.
    #[error("{name} is {what}, which is not supported; {advice}")]
    Unsupported {
        /// The file.
        name: String,
        /// The kind of the file.
        what: String,
        /// The remedy.
        advice: &'static str,
    },
    /// An image has another number of channels than the model takes.
    #[error(
        "{name} has {found} channel(s), but {expected} are needed; give images of {expected} channels, or train with \
         --channels {found}"
    )]
    Channels {
        /// The file.
        name: String,
        /// Channels that are needed.
        expected: usize,
        /// Channels of the file.
        found: usize,
    },
    /// Some images have more than 8 bit and others have not, and nothing says how their values compare.
    #[error(
        "{deep} of {images} images have {kind} values, of which they use {limits}, and the others 8 bit; say with --range \
         MIN,MAX or --range dtype which values of the former are black and white, or convert all to one depth"
    )]
    MixedDepths {
        /// Images with more than 8 bit, of those that were looked at.
        deep: usize,
        /// Images that were looked at.
        images: usize,
        /// Their type.
        kind: String,
        /// The values that they use.
        limits: String,
    },
    /// An image would take too much memory.
    #[error(
        "{name} is {width}x{height} pixels, {mebibytes} MiB when decoded, above the limit of {limit} MiB; \
         shrink the image or remove the file"
    )]
    TooLarge {
        /// The file.
        name: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Size when decoded.
        mebibytes: u64,
        /// The largest size allowed.
        limit: u64,
    },
    /// A buffer does not hold the pixels that its sides promise.
    #[error(
        "an image of {width}x{height} pixels and {channels} byte(s) a pixel has both sides between 1 and {} and at \
         least one byte a pixel, but the buffer holds {found} bytes",
        u32::MAX
    )]
    ImageBuffer {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Bytes of a pixel.
        channels: usize,
        /// Bytes in the buffer.
        found: usize,
    },
    /// A path that is neither a folder nor an archive of a known kind.
    #[error("{path} is neither a folder nor a .tar, .tar.gz or .tgz archive; give the path of one of those")]
    UnknownSource {
        /// The path.
        path: String,
    },
    /// An archive that ends too early or is no archive.
    #[error(
        "cannot read the archive {path}: {why}; the file is damaged or incomplete, so fetch it again or pack it anew"
    )]
    Archive {
        /// The archive.
        path: String,
        /// The reason.
        why: String,
    },
    /// A compressed archive with more than fits into memory.
    #[error(
        "the images in {path} take more than {limit} MiB when unpacked, too much to keep in memory; unpack \
         the archive into a folder, or decompress it to a .tar, which is read in place"
    )]
    ArchiveTooLarge {
        /// The archive.
        path: String,
        /// The largest content allowed.
        limit: u64,
    },
    /// No image was found.
    #[error("no images found under {path}; expected files ending in {expected}")]
    NoImages {
        /// The folder or archive.
        path: String,
        /// The file extensions that count as images.
        expected: String,
    },
    /// A source of several images where one is asked for.
    #[error("{path} has {found} images, and one is asked for; name the file of one image")]
    SeveralImages {
        /// The folder or archive.
        path: String,
        /// The number of its images.
        found: usize,
    },
    /// The folders are not laid out as the task needs.
    #[error("{path} has the wrong layout: {found}; {advice}")]
    Layout {
        /// The folder or archive.
        path: String,
        /// The layout found.
        found: String,
        /// The remedy.
        advice: String,
    },
    /// Images whose classes nothing tells.
    #[error(
        "{path} has the wrong layout: it has no class folders{unused}; put the images of each class into a folder of its \
         own, as in CLASS/*, or train/CLASS/* and val/CLASS/*, or name a CSV file with the columns path and label \
         (--labels); `pretrain` needs no classes"
    )]
    NoClasses {
        /// The folder or archive.
        path: String,
        /// Remark on a label file that is not used, or empty.
        unused: String,
    },
    /// A label file cannot be used.
    #[error(
        "labels {path}, line {line}: {why}; a label file is CSV with the columns path, label and perhaps split"
    )]
    Labels {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// The reason.
        why: String,
    },
    /// A file with the labels of a validation folder does not fit its images.
    #[error(
        "labels {path}, line {line}: expected {expected}, but found {found}; take the file that belongs to \
         these images"
    )]
    GroundTruth {
        /// The file.
        path: String,
        /// The line, from 1; the last one when the number of lines is wrong.
        line: usize,
        /// The text expected there.
        expected: String,
        /// The text found there.
        found: String,
    },
    /// An image that no hard link can be made to.
    #[error("cannot link to {name}: {why}; copy the images instead, without --link")]
    Link {
        /// The image.
        name: String,
        /// The reason.
        why: String,
    },
    /// A class folder that holds no image.
    #[error("class '{class}' in {path} has no images; add images to it or remove the folder")]
    EmptyClass {
        /// The class.
        class: String,
        /// The folder that holds the classes.
        path: String,
    },
    /// A validation class that training does not know.
    #[error(
        "class '{class}' in {path} does not exist in the training part (its {known} classes are: {names}); {advice}"
    )]
    UnknownClass {
        /// The extra class.
        class: String,
        /// The folder of the validation part.
        path: String,
        /// Number of training classes.
        known: usize,
        /// The first names of the training classes.
        names: String,
        /// The remedy.
        advice: String,
    },
    /// A class has fewer labelled images than were asked for.
    #[error(
        "class '{class}' has {found} images, but {wanted} per class were asked for; \
         ask for at most {found} per class or add images"
    )]
    TooFewInClass {
        /// The class.
        class: String,
        /// Its number of images.
        found: usize,
        /// The number asked for.
        wanted: usize,
    },
    /// A setting outside the range that makes sense for it.
    #[error("{what} is {found}, but must be {expected}")]
    OutOfRange {
        /// Name of the setting.
        what: &'static str,
        /// The value found.
        found: String,
        /// The values allowed, as text.
        expected: String,
    },
    /// A size or geometry of images that makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Masks that cannot be used.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// Annotations of objects that cannot be used.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// A data set with too few images to make one batch.
    #[error("the data set has {samples} images, fewer than one batch of {batch_size}; {advice}")]
    TooFewSamples {
        /// Images in the data set.
        samples: usize,
        /// Images in a batch.
        batch_size: usize,
        /// The remedy.
        advice: &'static str,
    },
    /// So many files are corrupt that replacing them or leaving them out would change the data set.
    #[error(
        "{counted} cannot be read, {exceeded}:{}\nrepair or remove these files, or fetch the data set again",
        listed(.files, *.count)
    )]
    TooManyCorrupt {
        /// Number of corrupt files of the number of images.
        counted: String,
        /// The limit that is exceeded, as text.
        exceeded: &'static str,
        /// Corrupt files found so far.
        count: usize,
        /// The first of them.
        files: Vec<CorruptFile>,
    },
}

impl DataError {
    pub(crate) fn io(action: &'static str, name: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action, name: name.into(), source }
    }

    /// The error for more corrupt files than may be.
    pub(crate) fn too_many_corrupt(counted: String, allowed: Allowed, files: Vec<CorruptFile>) -> Self {
        Self::TooManyCorrupt { counted, exceeded: allowed.exceeded(), count: files.len(), files }
    }

    pub(crate) fn decode(name: &str, why: impl ToString) -> Self {
        Self::Decode { name: name.to_owned(), why: why.to_string() }
    }

    /// The error for a sound file that must become another.
    pub(crate) fn unsupported(name: &str, what: impl Into<String>) -> Self {
        let advice = "convert it to PNG, TIFF or JPEG, or remove it";
        Self::Unsupported { name: name.to_owned(), what: what.into(), advice }
    }

    /// The error for a class that the training part does not have.
    pub(crate) fn unknown_class(class: String, path: String, known: &ClassNames) -> Self {
        const SHOWN: usize = 10;
        let mut names = known.0[..known.len().min(SHOWN)].join(", ");
        if known.len() > SHOWN {
            names.push_str(", ...");
        }
        let lower = class.to_lowercase();
        let advice = match known.0.iter().find(|name| name.to_lowercase() == lower) {
            Some(name) => format!("it has '{name}', another case of the same name: rename one of them"),
            None => {
                format!("rename or remove it{}", did_you_mean(&class, known.0.iter().map(String::as_str)))
            }
        };
        Self::UnknownClass { class, path, known: known.len(), names, advice }
    }

    /// The same error about an image, with the name of its file.
    pub(crate) fn named(mut self, file: String) -> Self {
        if let Self::Decode { name, .. }
        | Self::Unsupported { name, .. }
        | Self::Channels { name, .. }
        | Self::TooLarge { name, .. } = &mut self
        {
            *name = file;
        }
        self
    }

    /// Reason why a file cannot be read, without its name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Io { source, .. } => source.to_string(),
            Self::Decode { why, .. } => why.clone(),
            Self::Unsupported { what, advice, .. } => format!("{what}, which is not supported; {advice}"),
            Self::Channels { expected, found, .. } => {
                format!("it has {found} channel(s), but {expected} are needed")
            }
            Self::Mask(error) => error.reason(),
            Self::Annotation(error) => error.reason(),
            other => other.to_string(),
        }
    }

    /// Checks one setting: `ok`, or an error with the value found and the values allowed.
    pub(crate) fn check(
        ok: bool,
        what: &'static str,
        found: impl ToString,
        expected: &str,
    ) -> Result<(), Self> {
        if ok {
            Ok(())
        } else {
            Err(Self::OutOfRange { what, found: found.to_string(), expected: expected.to_owned() })
        }
    }
}
