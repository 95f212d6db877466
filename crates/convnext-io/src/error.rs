//! Errors of weight files, each with its remedy.

use std::io;
use std::path::{Path, PathBuf};

use convnext_core::ConfigError;
use thiserror::Error;

/// Names of each sort that a message lists before it only counts.
const LISTED: usize = 10;

/// A weight file, or the arrays from one, that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IoError {
    /// The file holds no state of a training.
    #[error("{path} is no checkpoint of a training; choose a file of a run's checkpoints folder")]
    NoCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// There is no file at this path.
    #[error("{} does not exist; check the path", path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A pipe or a device, in which nothing can be looked up.
    #[error("{}: weights cannot be read from a pipe or a device; name a file", path.display())]
    NoFile {
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
        /// The file that was to be written; what stands there is whole, the old file or the new one.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A folder without weights.
    #[error(
        "the folder {} holds no weights, only {found}; name a weight file, or a folder with weights-best.safetensors, \
         weights.safetensors, model.safetensors, pytorch_model.bin, an index of several such files, or one other \
         weight file",
        path.display()
    )]
    NoWeightsInFolder {
        /// The folder.
        path: PathBuf,
        /// Its content.
        found: String,
    },
    /// A folder with several weight files and no sign which of them counts.
    #[error("the folder {} holds several weight files; name one of them: {}", path.display(), list(found, String::clone))]
    SeveralFilesInFolder {
        /// The folder.
        path: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
    /// An index of weights in several files that is none, or does not fit the files.
    #[error("the index {} does not fit its files: {why}; copy the folder again", path.display())]
    BadIndex {
        /// The index.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Files of weights that an index names and that are not there.
    #[error(
        "of the weights of {} these files are missing: {}; copy them beside it",
        path.display(),
        list(missing, String::clone)
    )]
    MissingShards {
        /// The index.
        path: PathBuf,
        /// Their names.
        missing: Vec<String>,
    },
    /// One file of weights that were saved in several.
    #[error("{} is one part of several of the same weights, and no model alone: {advice}", path.display())]
    LoneShard {
        /// The file.
        path: PathBuf,
        /// Path of the index, or a note that it is missing.
        advice: String,
    },
    /// A file of class names that cannot be used.
    #[error(
        "{} names no classes that can be used: {why}; write one name a line, or a JSON list, in the order of the \
         classifier's outputs",
        path.display()
    )]
    BadClassNames {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A description beside the weights that makes no sense.
    #[error(
        "{} does not describe a model: {why}; give the weights by their path to do without it",
        path.display()
    )]
    BadConfig {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A zip archive, or a record in it, that contradicts itself.
    #[error("the archive {} is damaged ({why}); copy the file again", path.display())]
    CorruptArchive {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A zip archive other than those of `torch.save`.
    #[error("the archive {} is not supported: {why}", path.display())]
    UnsupportedArchive {
        /// The file.
        path: PathBuf,
        /// The difference and the remedy.
        why: String,
    },
    /// A PyTorch file that asks for what can do harm, or for an object where the tensors of its model should be.
    #[error(
        "{} asks for {global}, which Python would load and could run, so that it was refused and nothing was \
         run; if you trust its source, save the tensors alone: torch.save({{'model': model.state_dict()}}, NEW)",
        path.display()
    )]
    ForbiddenGlobal {
        /// The file.
        path: PathBuf,
        /// Module and name, cut if they are long.
        global: String,
    },
    /// The structure of a PyTorch file is damaged or none of plain data.
    #[error(
        "the structure of {} cannot be read: {why}; copy the file again, or save the tensors alone: \
         torch.save({{'model': model.state_dict()}}, NEW)",
        path.display()
    )]
    BadPickle {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        why: String,
    },
    /// A PyTorch file without the tensors of a model.
    #[error(
        "{} holds no dictionary of tensors, neither as a whole nor under a key, only [{found}]; save \
         one: torch.save({{'model': model.state_dict()}}, NEW)",
        path.display()
    )]
    NoStateDict {
        /// The file.
        path: PathBuf,
        /// The first keys that it holds.
        found: String,
    },
    /// The file is something else than safetensors.
    #[error("{} is not a safetensors file: {why}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "{} has {found} bytes, but should have {expected}: it is truncated or damaged; copy it again",
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
        /// The reason.
        why: String,
    },
    /// A file from elsewhere that does not say what model it holds, in its names neither.
    #[error(
        "{} is foreign: no `convnext` metadata says which model its tensors belong to, and under no prefix are their \
         names those of a ConvNeXt of the official code (downsample_layers.0.0.weight, stages.0.0.dwconv.weight, ...; \
         for an autoencoder also encoder.*, mask_token, proj.*, decoder.N.*, pred.*), of timm (stem.0.weight, ...), \
         transformers (embeddings.patch_embeddings.weight, ...), torchvision (features.0.0.weight, ...) or OpenMMLab; \
         rename the tensors, or use weights of one of these or of this program",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file from elsewhere with several models, none of which is an average of another.
    #[error(
        "{} holds several models, whose tensors are under {}; save the one that you mean alone: \
         torch.save(state_dict, NEW)",
        path.display(),
        list(found, |prefix| format!("`{prefix}`"))
    )]
    SeveralModels {
        /// The file.
        path: PathBuf,
        /// The prefixes of their names.
        found: Vec<String>,
    },
    /// The names are known (docs/facts.md, "Official dense `.pt`", "timm names", "HF names"), but they do not
    /// make a whole model.
    #[error("{} has names of a ConvNeXt, here the official ones, but {source}", path.display())]
    ForeignMismatch {
        /// The file.
        path: PathBuf,
        /// All differences, an [`IoError::Mismatch`].
        source: Box<IoError>,
    },
    /// The tensors make a model beyond the limits of ours.
    #[error("the tensors of {} do not make a supported model: {source}", path.display())]
    ImpossibleModel {
        /// The file.
        path: PathBuf,
        /// The value that is out of its range.
        source: ConfigError,
    },
    /// A tensor of the file cannot be what its name says.
    #[error("tensor {name} of {} {why}", path.display())]
    BadTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The reason and the remedy.
        why: String,
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
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// The metadata is ours, but its values make no sense.
    #[error("the `convnext` metadata of {} makes no sense: {why}; take the original file", path.display())]
    WrongMetadata {
        /// The file.
        path: PathBuf,
        /// The value that is wrong.
        why: ConfigError,
    },
    /// A tensor has elements of a type that is not read.
    #[error(
        "tensor {name} of {} has elements of type {found}; convert it to F32, F64, F16 or BF16, or to I64 where it only counts",
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
    /// An embeddings file in a format that is not written.
    #[error("{} has no extension of an embeddings file; choose .safetensors, .npy or .parquet", path.display())]
    EmbeddingFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file that holds no embeddings of ours.
    #[error("{} holds no embeddings; make such a file with: convnext embed IMAGES --out FILE.safetensors", path.display())]
    NoEmbeddings {
        /// The file.
        path: PathBuf,
    },
    /// The other program has no such model, or reads no such file.
    #[error("{why}")]
    NotConvertible {
        /// The missing feature and the remedy.
        why: String,
    },
    /// An array contradicts itself or cannot be stored under its name.
    #[error("tensor {name}: {why}")]
    InvalidArray {
        /// The array.
        name: String,
        /// The reason.
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
        misshapen: Vec<ShapeMismatch>,
    },
}

/// A tensor of the wrong shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
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
    misshapen: &[ShapeMismatch],
) -> String {
    let name_and_shape = |(name, shape): &(String, Vec<usize>)| format!("{name} {shape:?}");
    let sections = [
        ("missing", list(missing, name_and_shape)),
        ("unexpected", list(unexpected, name_and_shape)),
        (
            "of the wrong shape",
            list(misshapen, |ShapeMismatch { name, expected, found }| {
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

/// A file that cannot be opened or read.
pub(crate) fn read_error(path: &Path, source: io::Error) -> IoError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => IoError::Missing { path },
        _ => IoError::Read { path, source },
    }
}

/// A tensor that cannot be what its name says.
pub(crate) fn bad_tensor(path: &Path, name: &str, why: impl Into<String>) -> IoError {
    IoError::BadTensor { path: path.to_owned(), name: name.to_owned(), why: why.into() }
}
