//! Reading weights, whatever program wrote them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use convnext_core::{ConfigError, WeightMetadata};

use crate::IoError;
use crate::array::NamedArray;
use crate::foreign::Foreign;
use crate::naming::Naming;
use crate::safetensors_file::{SafetensorsFile, TRAINING_PREFIX, read_error};
use crate::torch_file::TorchFile;

/// Everything in a weight file.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightFile {
    /// The tensors by name.
    pub arrays: BTreeMap<String, NamedArray>,
    /// What they belong to.
    pub metadata: WeightMetadata,
}

/// Everything in a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointFile {
    /// The tensors by name, those of the training under [`TRAINING_PREFIX`].
    pub arrays: BTreeMap<String, NamedArray>,
    /// What the model's tensors belong to.
    pub metadata: WeightMetadata,
    /// Where the training stands, as it was written.
    pub progress: String,
}

/// What a file says about itself before its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The tensors, sorted by name; in files from elsewhere with the names and shapes that
    /// [`read_weights`] gives them, if it can.
    pub tensors: Vec<TensorInfo>,
    /// What they belong to: as it stands in the file, or inferred from the shapes if the file is
    /// [foreign](Self::foreign); `None` when nothing can be inferred.
    pub metadata: Option<WeightMetadata>,
    /// `true` for files from elsewhere, which hold no metadata of ours.
    pub foreign: bool,
    /// Bytes of the file.
    pub size: u64,
}

/// A tensor without its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// The type of its elements as safetensors calls it; any, not only an [`crate::ElementType`].
    pub dtype: String,
    /// Its shape, slowest axis first.
    pub shape: Vec<usize>,
}

/// Reads the tensors of a file and what they belong to.
///
/// Files of [`crate::write_weights`] say themselves what they hold, and the tensors are given as they are.
/// Of a checkpoint those of the model are read.
/// Of other files, safetensors or PyTorch's own (`.pt`, `.pth`, `.bin`: nothing in them is executed), the
/// names of every [`Naming`] are understood: dense models, encoders alone, and autoencoders, whose sparse
/// layout becomes the dense one (facts B1 to B5). Their configuration is inferred from the shapes, and every
/// tensor must fit it. Image size, statistics and class names are those of a `config.json` beside the file, as timm
/// and transformers write it; without one, a thousand classes are those of ImageNet. What is known of nowhere
/// (an autoencoder's objective) is as in the paper.
///
/// # Errors
/// [`IoError::Foreign`] for other names, [`IoError::UnsupportedType`] by tensor, and all errors of
/// [`read_header`].
pub fn read_weights(path: &Path) -> Result<WeightFile, IoError> {
    let mut file = OpenFile::new(path)?;
    let tensors = file.tensors();
    let own = file.weight_metadata()?;
    if let Some(metadata) = &own {
        file.check_types()?;
        check_metadata(path, metadata)?;
    }
    match own {
        Some(metadata) if has_our_names(&tensors) => Ok(WeightFile { arrays: file.read_arrays()?, metadata }),
        own => {
            let foreign = Foreign::recognise(path, &tensors)?;
            let arrays = foreign.convert(file.read_arrays()?);
            Ok(WeightFile { arrays, metadata: own.unwrap_or(foreign.metadata) })
        }
    }
}

/// Reads a checkpoint of [`crate::write_checkpoint`].
///
/// # Errors
/// [`IoError::NoCheckpoint`] for other weight files, and all errors of [`read_header`].
pub fn read_checkpoint(path: &Path) -> Result<CheckpointFile, IoError> {
    let mut file = SafetensorsFile::open(path)?;
    let (Some(metadata), Some(progress)) = (file.weight_metadata()?, file.progress()) else {
        return Err(IoError::NoCheckpoint { path: path.to_owned() });
    };
    let progress = progress.to_owned();
    check_metadata(path, &metadata)?;
    Ok(CheckpointFile { arrays: file.read_arrays(|_| true)?, metadata, progress })
}

/// Reads what a weight file holds, ours or foreign, without its tensors.
///
/// Names of no known [`Naming`] are no error here: the tensors are listed, without metadata.
///
/// # Errors
/// [`IoError::Missing`], [`IoError::Read`], [`IoError::NotSafetensors`] for what is no weight file;
/// [`IoError::WrongSize`], [`IoError::CorruptHeader`] for damaged safetensors files, [`IoError::BadMetadata`],
/// [`IoError::WrongMetadata`] when their metadata is ours but not valid;
/// [`IoError::LegacyPyTorch`], [`IoError::UnsupportedArchive`], [`IoError::CorruptArchive`],
/// [`IoError::ForbiddenGlobal`], [`IoError::BadPickle`], [`IoError::NoStateDict`] for PyTorch files;
/// [`IoError::BadTensor`], [`IoError::ForeignMismatch`] and [`IoError::ImpossibleModel`] when the names are
/// known but the tensors make no model.
pub fn read_header(path: &Path) -> Result<Header, IoError> {
    let file = OpenFile::new(path)?;
    let (tensors, size) = (file.tensors(), file.size());
    let own = file.weight_metadata()?;
    if let Some(metadata) = &own {
        check_metadata(path, metadata)?;
    }
    if own.is_some() && has_our_names(&tensors) {
        return Ok(Header { tensors, metadata: own, foreign: false, size });
    }
    match Foreign::recognise(path, &tensors) {
        Ok(foreign) => {
            let tensors = foreign.tensors(tensors);
            let metadata = own.unwrap_or(foreign.metadata);
            Ok(Header { tensors, metadata: Some(metadata), foreign: true, size })
        }
        Err(IoError::Foreign { .. }) => Ok(Header { tensors, metadata: None, foreign: true, size }),
        Err(error) => Err(error),
    }
}

/// `false` for the names of others, which [`crate::write_converted`] writes beside our metadata.
fn has_our_names(tensors: &[TensorInfo]) -> bool {
    Naming::of(tensors).is_none_or(|naming| naming == Naming::Official)
}

/// Whoever reads metadata builds a model from it: what makes no sense is refused first. Whether the
/// tensors fit is for [`crate::check_names`] to say, by name.
fn check_metadata(path: &Path, metadata: &WeightMetadata) -> Result<(), IoError> {
    let wrong = |why: ConfigError| IoError::WrongMetadata { path: path.to_owned(), why };
    metadata.validate().map_err(wrong)
}

/// A file of either format whose structure was checked; the tensors come next.
enum OpenFile<'a> {
    Safetensors(SafetensorsFile<'a>),
    Torch(TorchFile),
}

impl<'a> OpenFile<'a> {
    /// Tells the formats apart by their first bytes, whatever the file is called.
    fn new(path: &'a Path) -> Result<Self, IoError> {
        let fail = |source| read_error(path, source);
        let mut file = File::open(path).map_err(fail)?;
        let mut start = Vec::new();
        (&mut file).take(9).read_to_end(&mut start).map_err(fail)?;
        // A safetensors header may count like a zip archive begins, but then comes a brace.
        if start.starts_with(b"PK\x03\x04") && start.last() != Some(&b'{') {
            let size = file.metadata().map_err(fail)?.len();
            file.rewind().map_err(fail)?;
            return TorchFile::open(path, file, size).map(Self::Torch);
        }
        SafetensorsFile::open(path).map(Self::Safetensors)
    }

    fn size(&self) -> u64 {
        match self {
            Self::Safetensors(file) => file.size(),
            Self::Torch(file) => file.size(),
        }
    }

    fn tensors(&self) -> Vec<TensorInfo> {
        match self {
            Self::Safetensors(file) => file.tensors(),
            Self::Torch(file) => file.tensors(),
        }
    }

    fn weight_metadata(&self) -> Result<Option<WeightMetadata>, IoError> {
        match self {
            Self::Safetensors(file) => file.weight_metadata(),
            Self::Torch(_) => Ok(None),
        }
    }

    /// Finds elements of a type that is not read.
    fn check_types(&self) -> Result<(), IoError> {
        match self {
            Self::Safetensors(file) => file.check_types(),
            Self::Torch(_) => Ok(()),
        }
    }

    fn read_arrays(&mut self) -> Result<BTreeMap<String, NamedArray>, IoError> {
        match self {
            Self::Safetensors(file) => file.read_arrays(|name| !name.starts_with(TRAINING_PREFIX)),
            Self::Torch(file) => file.read_arrays(),
        }
    }
}
