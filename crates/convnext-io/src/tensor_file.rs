//! A file of tensors of any format, told by its content.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use convnext_core::WeightMetadata;

use crate::array::NamedArray;
use crate::error::{IoError, read_error};
use crate::safetensors_file::SafetensorsFile;
use crate::tensor_info::TensorInfo;
use crate::torch_file::{ClassTable, NoTensor, TorchFile};

/// Offset of the magic bytes of a tar archive.
const TAR_MARK: std::ops::Range<usize> = 257..262;

/// Magic bytes of other formats: their names, and the remedy.
const OTHERS: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "it is compressed with gzip; unpack it first"),
    (b"\xfd7zXZ", "it is compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it first"),
    (
        b"\x89HDF",
        "it is an HDF5 file of Keras or TensorFlow; save the weights with PyTorch or as safetensors",
    ),
    (b"GGUF", "it is a GGUF file; take the weights that it was made from"),
];

/// A file whose structure was checked; the tensors come next.
pub(crate) enum TensorFile {
    Safetensors(SafetensorsFile),
    Torch(Box<TorchFile>),
}

impl TensorFile {
    /// Tells the formats apart by their first bytes, whatever the file is called; `None` for what may be an index of
    /// several files.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, IoError> {
        let fail = |source| read_error(path, source);
        // Before it is opened, because a pipe keeps its reader waiting.
        let kind = std::fs::metadata(path).map_err(fail)?.file_type();
        if !kind.is_file() && !kind.is_dir() {
            return Err(IoError::NoFile { path: path.to_owned() });
        }
        let mut file = File::open(path).map_err(fail)?;
        let mut start = Vec::new();
        (&mut file).take(TAR_MARK.end as u64).read_to_end(&mut start).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        file.rewind().map_err(fail)?;
        // A safetensors header may count like other formats begin, but then comes a brace.
        let is_safetensors = start.get(8) == Some(&b'{') && start.get(7) == Some(&0);
        match start.as_slice() {
            _ if is_safetensors => {}
            [b'P', b'K', 3, 4, ..] => {
                return TorchFile::open_archive(path, file, size)
                    .map(|file| Some(Self::Torch(Box::new(file))));
            }
            [0x80, 2..=5, ..] => {
                return TorchFile::open_stream(path, file, size)
                    .map(|file| Some(Self::Torch(Box::new(file))));
            }
            [b'{', ..] => return Ok(None),
            _ => check_other(path, &start)?,
        }
        SafetensorsFile::open(path).map(|file| Some(Self::Safetensors(file)))
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Safetensors(file) => file.size(),
            Self::Torch(file) => file.size(),
        }
    }

    /// The tensors, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        match self {
            Self::Safetensors(file) => file.tensors(),
            Self::Torch(file) => file.tensors(),
        }
    }

    /// By name, what stands in a PyTorch file in place of tensors, and what it was made from.
    pub(crate) fn objects(&self) -> &BTreeMap<String, NoTensor> {
        static NONE: BTreeMap<String, NoTensor> = BTreeMap::new();
        match self {
            Self::Torch(file) => file.objects(),
            Self::Safetensors(_) => &NONE,
        }
    }

    /// Names and colours of the classes that a PyTorch file holds.
    pub(crate) fn classes(&self) -> Option<&ClassTable> {
        match self {
            Self::Torch(file) => Some(file.classes()),
            Self::Safetensors(_) => None,
        }
    }

    /// Our own metadata of the tensors, if there is any.
    pub(crate) fn weight_metadata(&self) -> Result<Option<WeightMetadata>, IoError> {
        match self {
            Self::Safetensors(file) => file.weight_metadata(),
            Self::Torch(_) => Ok(None),
        }
    }

    /// Finds elements of a type that is not read.
    pub(crate) fn check_types(&self) -> Result<(), IoError> {
        match self {
            Self::Safetensors(file) => file.check_types(),
            Self::Torch(_) => Ok(()),
        }
    }

    /// Reads the tensors whose names are `wanted`.
    pub(crate) fn read_arrays(
        &mut self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, NamedArray>, IoError> {
        match self {
            Self::Safetensors(file) => file.read_arrays(wanted),
            Self::Torch(file) => file.read_arrays(wanted),
        }
    }
}

/// Refuses formats that are easily taken for weight files.
fn check_other(path: &Path, start: &[u8]) -> Result<(), IoError> {
    let refuse = |why: &str| Err(IoError::UnsupportedArchive { path: path.to_owned(), why: why.to_owned() });
    if start.get(TAR_MARK) == Some(b"ustar") {
        return refuse(
            "it is a tar archive, which PyTorch wrote before version 0.2 (`.pth.tar` files of later versions are none); \
             unpack it, or load it and save it again with PyTorch",
        );
    }
    OTHERS.iter().find(|(mark, _)| start.starts_with(mark)).map_or(Ok(()), |(_, why)| refuse(why))
}
