//! Errors of annotations of objects.

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
