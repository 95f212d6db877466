//! What can be wrong with a weight file, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Names of each sort that a message lists before it only counts.
const LISTED: usize = 10;

/// A weight file, or the arrays from one, that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IoError {
    /// There is no file at this path.
    #[error("{} does not exist; check the path", path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The operating system refuses to read the file.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file cannot be written: its folder is missing or protected, or the disk is full.
    #[error(
        "cannot write {}: {source}; check that its folder exists, may be written to and has space left",
        path.display()
    )]
    Write {
        /// The file that was to be written; what stood there before is not harmed.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is a PyTorch file: a zip archive or a pickle.
    #[error(
        "{} is a PyTorch file ({format}), and those are not read yet; give a weight file that convnext wrote",
        path.display()
    )]
    PyTorch {
        /// The file.
        path: PathBuf,
        /// Which of PyTorch's formats: `zip` or `pickle`.
        format: &'static str,
    },
    /// The file is something else than safetensors.
    #[error("{} is not a safetensors file: {why}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "{} has {found} bytes, but should have {expected}: it was cut off or damaged; copy it again",
        path.display()
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Bytes according to the header; a lower bound when the header itself is cut off.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// The header is not valid: broken JSON, or shapes, types and offsets that contradict each other.
    #[error("the header of {} is damaged ({why}); copy the file again", path.display())]
    CorruptHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong with the header.
        why: String,
    },
    /// A safetensors file from elsewhere, which does not say what model it holds.
    #[error(
        "{} is foreign: no `convnext` metadata says which model its tensors belong to; use weights written by \
         this program",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The metadata is there, but cannot be understood.
    #[error(
        "the `convnext` metadata of {} cannot be understood ({source}); it was changed, or written by a newer \
         version of this program",
        path.display()
    )]
    BadMetadata {
        /// The file.
        path: PathBuf,
        /// Where the text goes wrong.
        source: serde_json::Error,
    },
    /// A tensor has elements of a type that is not read.
    #[error(
        "tensor {name} of {} has elements of type {found}; convert it to F32, F64, F16 or BF16",
        path.display()
    )]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The type, as safetensors calls it.
        found: String,
    },
    /// An array contradicts itself or cannot be stored under its name.
    #[error("tensor {name}: {why}")]
    InvalidArray {
        /// The array.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The arrays are not those that the model needs.
    #[error(
        "the tensors do not fit the model: {}; check that the weights belong to this model",
        differences(missing, unexpected, misshapen)
    )]
    Mismatch {
        /// Names and shapes of the tensors that the model needs and that are not there.
        missing: Vec<(String, Vec<usize>)>,
        /// Names and shapes of the tensors that are there and that the model does not know.
        unexpected: Vec<(String, Vec<usize>)>,
        /// Tensors of the wrong shape.
        misshapen: Vec<Misshapen>,
    },
}

/// A tensor of the wrong shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name.
    pub name: String,
    /// The shape that the model needs.
    pub expected: Vec<usize>,
    /// The shape that was found.
    pub found: Vec<usize>,
}

fn differences(
    missing: &[(String, Vec<usize>)],
    unexpected: &[(String, Vec<usize>)],
    misshapen: &[Misshapen],
) -> String {
    let name_and_shape = |(name, shape): &(String, Vec<usize>)| format!("{name} {shape:?}");
    let sections = [
        ("missing", list(missing, name_and_shape)),
        ("unexpected", list(unexpected, name_and_shape)),
        (
            "of the wrong shape",
            list(misshapen, |Misshapen { name, expected, found }| {
                format!("{name} (expected {expected:?}, found {found:?})")
            }),
        ),
    ];
    let texts: Vec<String> = sections
        .iter()
        .filter(|(_, items)| !items.is_empty())
        .map(|(what, items)| format!("{what}: {items}"))
        .collect();
    texts.join("; ")
}

fn list<T>(items: &[T], describe: impl Fn(&T) -> String) -> String {
    let mut texts: Vec<String> = items.iter().take(LISTED).map(describe).collect();
    if items.len() > LISTED {
        texts.push(format!("and {} more", items.len() - LISTED));
    }
    texts.join(", ")
}
