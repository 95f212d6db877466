//! Errors of annotations of objects.

use convnext_core::{ImageSize, counted};
use thiserror::Error;

use crate::loading::corrupt_file::{CorruptFile, listed};

/// Annotations of objects that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// A file of annotations says something that cannot be meant, or is of another kind.
    #[error("the annotations of {path} cannot be used: {found}; {advice}")]
    File {
        /// The file, or the data.
        path: String,
        /// The reason.
        found: String,
        /// The remedy.
        advice: String,
    },
    /// Images that are not there.
    #[error(
        "{count} of the {total} images that {path} lists are not there, or not found for sure:{}\nput them beside it, or say \
         --allow-missing to leave them out",
        named(.names, *.count)
    )]
    Missing {
        /// The file of annotations.
        path: String,
        /// Number of such images.
        count: usize,
        /// Number of images listed.
        total: usize,
        /// The first of them, as the file names them.
        names: Vec<String>,
    },
    /// Images none of which is there.
    #[error(
        "none of the {} that {path} lists is there, or found for sure:{}\ngive the folder or archive that holds them, or name \
         another file with --annotations",
        counted(.names.len(), "image", "images"),
        named(.names, .names.len())
    )]
    AllMissing {
        /// The file of annotations.
        path: String,
        /// All of them, as the file names them.
        names: Vec<String>,
    },
    /// Images whose annotations are damaged, or of another size than the image.
    #[error(
        "the annotations of {count} of the {total} images of {path} cannot be used:{}\nrepair them, or remove these images \
         from the annotations",
        listed(.files, *.count)
    )]
    Unusable {
        /// The data.
        path: String,
        /// Number of such images.
        count: usize,
        /// Number of images with annotations.
        total: usize,
        /// The images.
        files: Vec<CorruptFile>,
    },
    /// A decoded image has another size than its annotations are of.
    #[error("{name}: {}", size_reason(*.found, *.expected))]
    Size {
        /// The image.
        name: String,
        /// Its size.
        found: ImageSize,
        /// The size that was read when the data was opened.
        expected: ImageSize,
    },
}

impl AnnotationError {
    /// Reason why an image cannot be used, without its name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Size { found, expected, .. } => size_reason(*found, *expected),
            other => other.to_string(),
        }
    }
}

fn size_reason(found: ImageSize, expected: ImageSize) -> String {
    format!(
        "it is {}, but its objects lie in {}; leave the files as they are while they are used, and start again",
        found.with_unit(),
        expected.with_unit()
    )
}

fn named(names: &[String], count: usize) -> String {
    const SHOWN: usize = 10;
    let mut lines: String = names.iter().take(SHOWN).map(|name| format!("\n  {name}")).collect();
    let shown = names.len().min(SHOWN);
    if count > shown {
        lines += &format!("\n  and {} more", count - shown);
    }
    lines
}
