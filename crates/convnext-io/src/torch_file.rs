//! PyTorch's own files, `.pt` and `.pth`, as `torch.save` writes them.
//!
//! 1. `archive`: the zip archive and its records;
//! 2. `machine`: the structure, a `pickle`, read without executing anything, and refused if it asks for a name
//!    that is not in `globals`;
//! 3. `state_dict`: the tensors of the model in it, checked against the records;
//! 4. here: their elements, one storage after the other.
//!
//! Optimiser, epoch, arguments and so on are scanned in step 2 like everything else, and then ignored.

mod archive;
mod cursor;
mod globals;
mod machine;
mod pickle;
mod state_dict;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{ElementType, IoError, NamedArray, TensorInfo};
use archive::Archive;
use pickle::{Pickle, Refusal};
use state_dict::StateTensor;
pub(crate) use writer::write_torch_file;

/// An open PyTorch file whose structure was read and checked; the tensors come next.
pub(crate) struct TorchFile {
    path: PathBuf,
    size: u64,
    archive: Archive,
    tensors: BTreeMap<String, StateTensor>,
}

impl TorchFile {
    /// Reads and checks everything but the elements of the tensors.
    ///
    /// # Errors
    /// [`IoError::CorruptArchive`], [`IoError::UnsupportedArchive`]; [`IoError::ForbiddenGlobal`] and
    /// [`IoError::BadPickle`] for structures that are not plain; [`IoError::NoStateDict`] and
    /// [`IoError::BadTensor`].
    pub(crate) fn open(path: &Path, file: File, size: u64) -> Result<Self, IoError> {
        let archive = Archive::open(path, file, size)?;
        let bytes = archive.pickle()?;
        let pickle = Pickle::read(&bytes).map_err(|refusal| refused(path, refusal))?;
        let tensors = state_dict::find(path, size, &pickle, &archive)?;
        Ok(Self { path: path.to_owned(), size, archive, tensors })
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The tensors of the model, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let info = |(name, tensor): (&String, &StateTensor)| TensorInfo {
            name: name.clone(),
            dtype: tensor.dtype.to_string(),
            shape: tensor.shape.clone(),
        };
        self.tensors.iter().map(info).collect()
    }

    /// Reads the tensors, each storage once.
    pub(crate) fn read_arrays(&self) -> Result<BTreeMap<String, NamedArray>, IoError> {
        let mut by_storage: BTreeMap<&str, Vec<(&String, &StateTensor, ElementType)>> = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            let Some(element_type) = ElementType::from_dtype(tensor.dtype) else {
                let (path, name) = (self.path.clone(), name.clone());
                return Err(IoError::UnsupportedType { path, name, found: tensor.dtype.to_string() });
            };
            by_storage.entry(&tensor.storage).or_default().push((name, tensor, element_type));
        }
        let mut arrays = BTreeMap::new();
        for tensors in by_storage.into_values() {
            let Some((_, first, _)) = tensors.first() else { continue };
            let storage = self.archive.read(&first.record)?;
            for (name, tensor, element_type) in tensors {
                let bytes = tensor.elements(&storage, element_type.size());
                let array =
                    NamedArray { name: name.clone(), element_type, shape: tensor.shape.clone(), bytes };
                array.check_length()?;
                arrays.insert(name.clone(), array);
            }
        }
        Ok(arrays)
    }
}

fn refused(path: &Path, refusal: Refusal) -> IoError {
    let path = path.to_owned();
    match refusal {
        Refusal::Global(global) => IoError::ForbiddenGlobal { path, global },
        Refusal::Invalid(why) => IoError::BadPickle { path, why },
    }
}

#[cfg(test)]
mod tests;
