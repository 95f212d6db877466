//! PyTorch's own files, `.pt` and `.pth`, as `torch.save` writes them.
//!
//! 1. `archive`: the zip archive and its records, or `stream`: the older form, which some still write;
//! 2. `machine`: the structure, a `pickle`, read without executing anything, and refused if it asks for a name
//!    that is forbidden in `globals`;
//! 3. `flatten`: the tensors in it, wherever they are; `state_dict`: checked against their storages;
//! 4. here: their elements, one storage after the other.
//!
//! Optimiser, epoch, arguments, objects of any class and so on are scanned in step 2 like everything else, and then
//! passed over.

mod archive;
mod class_table;
mod cursor;
mod flatten;
mod globals;
mod machine;
mod objects;
mod pickle;
mod state_dict;
mod stream;
mod values;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::array::NamedArray;
use crate::element_type::ElementType;
use crate::error::IoError;
use crate::tensor_info::TensorInfo;
use archive::Archive;
pub(crate) use class_table::ClassTable;
pub(crate) use flatten::NoTensor;
use pickle::Pickle;
use state_dict::{Contents, StateTensor, check_room};
use stream::Stream;
pub(crate) use writer::write_torch_file;

/// An open PyTorch file whose structure was read and checked; the tensors come next.
pub(crate) struct TorchFile {
    path: PathBuf,
    size: u64,
    storages: Storages,
    contents: Contents,
}

/// Location of the elements.
enum Storages {
    Archive(Archive),
    Stream(Stream),
}

impl TorchFile {
    /// Reads and checks everything but the elements of the tensors of an archive.
    ///
    /// # Errors
    /// [`IoError::CorruptArchive`], [`IoError::UnsupportedArchive`]; [`IoError::ForbiddenGlobal`] and
    /// [`IoError::BadPickle`] for structures that are not plain; [`IoError::NoStateDict`] and
    /// [`IoError::BadTensor`].
    pub(crate) fn open_archive(path: &Path, file: File, size: u64) -> Result<Self, IoError> {
        let archive = Archive::open(path, file, size)?;
        let bytes = archive.pickle()?;
        let pickle = Pickle::read(&bytes).map_err(|refusal| refusal.of_file(path))?;
        let contents = state_dict::find(path, &pickle, &|key| Some(archive.storage(key)?.size))?;
        Ok(Self { path: path.to_owned(), size, storages: Storages::Archive(archive), contents })
    }

    /// The same of a stream.
    ///
    /// # Errors
    /// As [`Self::open_archive`].
    pub(crate) fn open_stream(path: &Path, file: File, size: u64) -> Result<Self, IoError> {
        let find = |pickle: &Pickle, size: &dyn Fn(&str) -> Option<u64>| state_dict::find(path, pickle, size);
        let (contents, stream) = Stream::read(path, file, size, find)?;
        Ok(Self { path: path.to_owned(), size, storages: Storages::Stream(stream), contents })
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// All tensors, sorted by name: the keys of the dictionaries that they lie in, joined by dots.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let info = |(name, tensor): (&String, &StateTensor)| TensorInfo {
            name: name.clone(),
            dtype: tensor.dtype.to_string(),
            shape: tensor.shape.clone(),
        };
        self.contents.tensors.iter().map(info).collect()
    }

    /// By name, what stands where a tensor or a dictionary might.
    pub(crate) fn objects(&self) -> &BTreeMap<String, NoTensor> {
        &self.contents.objects
    }

    /// Names and colours of the classes, where it holds them.
    pub(crate) fn classes(&self) -> &ClassTable {
        &self.contents.classes
    }

    /// Reads the tensors whose names are `wanted`, each storage once.
    pub(crate) fn read_arrays(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, NamedArray>, IoError> {
        let chosen = || self.contents.tensors.iter().filter(|(name, _)| wanted(name));
        check_room(&self.path, self.size, chosen())?;
        let mut by_storage: BTreeMap<&str, Vec<(&String, &StateTensor, ElementType)>> = BTreeMap::new();
        for (name, tensor) in chosen() {
            let Some(element_type) = ElementType::from_dtype(tensor.dtype) else {
                let (path, name) = (self.path.clone(), name.clone());
                return Err(IoError::UnsupportedType { path, name, found: tensor.dtype.to_string() });
            };
            by_storage.entry(&tensor.storage).or_default().push((name, tensor, element_type));
        }
        let mut arrays = BTreeMap::new();
        for (key, tensors) in by_storage {
            let storage = self.storages.read(key)?;
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

impl Storages {
    /// The bytes of a storage that was found to be there.
    fn read(&self, key: &str) -> Result<Vec<u8>, IoError> {
        match self {
            Self::Archive(archive) => {
                archive.storage(key).map_or(Ok(Vec::new()), |record| archive.read(record))
            }
            Self::Stream(stream) => stream.storage(key),
        }
    }
}

#[cfg(test)]
mod tests;
