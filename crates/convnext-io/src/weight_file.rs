//! Reading weights, whatever program wrote them.

use std::collections::BTreeMap;
use std::path::Path;

use convnext_core::{ConfigError, WeightMetadata};

use crate::array::NamedArray;
use crate::error::{IoError, bad_tensor};
use crate::foreign::{Foreign, Origin, has_our_names};
use crate::open_file::OpenFile;
use crate::safetensors_file::SafetensorsFile;
use crate::tensor_info::TensorInfo;
use crate::weight_folder::find_weights;

/// Everything in a weight file.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightFile {
    /// The tensors by name.
    pub arrays: BTreeMap<String, NamedArray>,
    /// Metadata of the model.
    pub metadata: WeightMetadata,
}

impl WeightFile {
    /// Finds a tensor with values that are not finite, which would be handed on without a word. `path` is where the weights were
    /// read.
    ///
    /// # Errors
    /// [`IoError::BadTensor`] with the first such tensor, [`IoError::InvalidArray`] for one that contradicts itself.
    pub fn check_finite(&self, path: &Path) -> Result<(), IoError> {
        for array in self.arrays.values().filter(|array| array.element_type.is_float()) {
            if !array.to_f32()?.iter().all(|value| value.is_finite()) {
                let why =
                    "has values that are not finite, as after a training that diverged; take other weights";
                return Err(bad_tensor(path, &array.name, why));
            }
        }
        Ok(())
    }
}

/// Everything in a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointFile {
    /// The tensors by name, those of the training under [`crate::TRAINING_PREFIX`].
    pub arrays: BTreeMap<String, NamedArray>,
    /// Metadata of the model.
    pub metadata: WeightMetadata,
    /// Progress of the training, as it was written.
    pub progress: String,
}

/// Header of a file, before its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The tensors, sorted by name; in files from elsewhere with the names and shapes that
    /// [`read_weights`] gives them, if it can.
    pub tensors: Vec<TensorInfo>,
    /// Metadata of the model: as it stands in the file, or inferred from the shapes if the file is
    /// [foreign](Self::foreign); `None` when nothing can be inferred.
    pub metadata: Option<WeightMetadata>,
    /// `true` for files from elsewhere, which hold no metadata of ours.
    pub foreign: bool,
    /// Origin of tensors under the names of another program, and what was left out.
    pub origin: Option<Origin>,
    /// Bytes of the file, or of all the files that it is made of.
    pub size: u64,
}

/// Reads the tensors of a file and what they belong to.
///
/// A folder stands for the weights in it, see [`find_weights`].
///
/// Files of [`crate::write_weights`] say themselves what they hold, and the tensors are given as they are.
/// Of a checkpoint those of the model are read.
/// Of other files, safetensors or PyTorch's own (`.pt`, `.pth`, `.bin`: nothing in them is executed), the
/// names of the official code, timm, transformers, torchvision and OpenMMLab are understood, under any prefix
/// and in any dictionary: dense models, encoders alone, and autoencoders, whose sparse layout becomes the
/// dense one (docs/facts.md, "Checkpoint formats"). Of several models the average over a training is taken.
/// Their configuration is inferred from the shapes, and every tensor of the backbone must fit it; what lies
/// beside the model is left out. Both is said as a warning. Image size, statistics and class names are those
/// of a `config.json` beside the file, as timm and transformers write it; without one, a thousand classes are
/// those of ImageNet. What is known of nowhere (an autoencoder's objective) is as in the paper.
///
/// # Errors
/// [`IoError::Foreign`] for other names, [`IoError::LoneShard`], [`IoError::UnsupportedType`] by tensor, and all errors of
/// [`read_header`].
pub fn read_weights(path: &Path) -> Result<WeightFile, IoError> {
    let path = &find_weights(path)?;
    let mut file = OpenFile::new(path)?;
    let tensors = file.tensors();
    let own = file.weight_metadata()?;
    if let Some(metadata) = &own {
        file.check_types()?;
        check_metadata(path, metadata)?;
    }
    match own {
        Some(metadata) if has_our_names(&tensors) => {
            Ok(WeightFile { arrays: file.read_arrays(|_| true)?, metadata })
        }
        own => {
            let foreign = Foreign::recognise(path, &tensors, file.objects(), own.as_ref())?;
            let foreign = if own.is_some() { foreign } else { foreign.with_classes(file.classes()) };
            foreign.report(path);
            let found = file.read_arrays(|name| foreign.wants(name))?;
            check_floats(path, &found)?;
            let arrays = foreign.convert(found);
            Ok(WeightFile { arrays, metadata: foreign.metadata })
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
/// Names of no known program are no error here: the tensors are listed, without metadata.
///
/// # Errors
/// Those of [`find_weights`] for a folder;
/// [`IoError::Missing`], [`IoError::Read`], [`IoError::NotSafetensors`] for what is no weight file;
/// [`IoError::WrongSize`], [`IoError::CorruptHeader`] for damaged safetensors files, [`IoError::BadMetadata`],
/// [`IoError::WrongMetadata`] when their metadata is ours but not valid;
/// [`IoError::BadIndex`] and [`IoError::MissingShards`] for weights in several files;
/// [`IoError::UnsupportedArchive`], [`IoError::CorruptArchive`],
/// [`IoError::ForbiddenGlobal`], [`IoError::BadPickle`], [`IoError::NoStateDict`] for PyTorch files;
/// [`IoError::SeveralModels`], [`IoError::BadTensor`], [`IoError::ForeignMismatch`] and [`IoError::ImpossibleModel`]
/// when the names are known but the tensors make no model.
pub fn read_header(path: &Path) -> Result<Header, IoError> {
    let path = &find_weights(path)?;
    let file = OpenFile::new(path)?;
    let (tensors, size) = (file.tensors(), file.size());
    let own = file.weight_metadata()?;
    if let Some(metadata) = &own {
        check_metadata(path, metadata)?;
    }
    if own.is_some() && has_our_names(&tensors) {
        return Ok(Header { tensors, metadata: own, foreign: false, origin: None, size });
    }
    match Foreign::recognise(path, &tensors, file.objects(), own.as_ref()) {
        Ok(foreign) => {
            let foreign = if own.is_some() { foreign } else { foreign.with_classes(file.classes()) };
            Ok(Header {
                tensors: foreign.tensors(tensors),
                metadata: Some(foreign.metadata),
                foreign: own.is_none(),
                origin: Some(foreign.origin),
                size,
            })
        }
        Err(IoError::Foreign { .. } | IoError::LoneShard { .. }) => {
            Ok(Header { tensors, metadata: None, foreign: true, origin: None, size })
        }
        Err(error) => Err(error),
    }
}

/// Refuses integers: what is wanted of a foreign file is a network, and a network has none but the counters of batch
/// norms.
fn check_floats(path: &Path, arrays: &BTreeMap<String, NamedArray>) -> Result<(), IoError> {
    let fits = |array: &NamedArray| array.element_type.is_float() != array.is_counter();
    match arrays.values().find(|array| !fits(array)) {
        None => Ok(()),
        Some(array) => Err(IoError::UnsupportedType {
            path: path.to_owned(),
            name: array.name.clone(),
            found: array.element_type.to_string(),
        }),
    }
}

/// Whoever reads metadata builds a model from it: what makes no sense is refused first. Whether the
/// tensors fit is for [`crate::check_names`] to say, by name.
fn check_metadata(path: &Path, metadata: &WeightMetadata) -> Result<(), IoError> {
    let wrong = |why: ConfigError| IoError::WrongMetadata { path: path.to_owned(), why };
    metadata.validate().map_err(wrong)
}
