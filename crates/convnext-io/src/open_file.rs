//! A weight file of any format, told by its content.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use convnext_core::WeightMetadata;

use crate::array::NamedArray;
use crate::safetensors_file::{SafetensorsFile, TRAINING_PREFIX, read_error};
use crate::shards::Shards;
use crate::torch_file::TorchFile;
use crate::{IoError, TensorInfo};

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
pub(crate) enum OpenFile {
    Safetensors(SafetensorsFile),
    Torch(TorchFile),
    Shards(Shards),
}

impl OpenFile {
    /// Tells the formats apart by their first bytes, whatever the file is called.
    pub(crate) fn new(path: &Path) -> Result<Self, IoError> {
        let fail = |source| read_error(path, source);
        let mut file = File::open(path).map_err(fail)?;
        let mut start = Vec::new();
        (&mut file).take(TAR_MARK.end as u64).read_to_end(&mut start).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        file.rewind().map_err(fail)?;
        // A safetensors header may count like other formats begin, but then comes a brace.
        let is_safetensors = start.get(8) == Some(&b'{') && start.get(7) == Some(&0);
        match start.as_slice() {
            _ if is_safetensors => {}
            [b'P', b'K', 3, 4, ..] => return TorchFile::open_archive(path, file, size).map(Self::Torch),
            [0x80, 2..=5, ..] => return TorchFile::open_stream(path, file, size).map(Self::Torch),
            [b'{', ..] => return Shards::open(path, file).map(Self::Shards),
            _ => check_other(path, &start)?,
        }
        SafetensorsFile::open(path).map(Self::Safetensors)
    }

    /// Bytes of the file, or of all of them.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Safetensors(file) => file.size(),
            Self::Torch(file) => file.size(),
            Self::Shards(shards) => shards.size(),
        }
    }

    /// The tensors, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        match self {
            Self::Safetensors(file) => file.tensors(),
            Self::Torch(file) => file.tensors(),
            Self::Shards(shards) => shards.tensors(),
        }
    }

    /// By name, what stands in a PyTorch file in place of tensors, and what it was made from.
    pub(crate) fn objects(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match self {
            Self::Torch(file) => file.objects(),
            Self::Safetensors(_) | Self::Shards(_) => &NONE,
        }
    }

    /// Our own metadata of the tensors, if there is any.
    pub(crate) fn weight_metadata(&self) -> Result<Option<WeightMetadata>, IoError> {
        match self {
            Self::Safetensors(file) => file.weight_metadata(),
            Self::Torch(_) | Self::Shards(_) => Ok(None),
        }
    }

    /// Finds elements of a type that is not read.
    pub(crate) fn check_types(&self) -> Result<(), IoError> {
        match self {
            Self::Safetensors(file) => file.check_types(),
            Self::Torch(_) | Self::Shards(_) => Ok(()),
        }
    }

    /// Reads the tensors whose names are `wanted`, but none of a training.
    pub(crate) fn read_arrays(
        &mut self,
        wanted: impl Fn(&str) -> bool + Copy,
    ) -> Result<BTreeMap<String, NamedArray>, IoError> {
        match self {
            Self::Safetensors(file) => {
                file.read_arrays(|name| wanted(name) && !name.starts_with(TRAINING_PREFIX))
            }
            Self::Torch(file) => file.read_arrays(wanted),
            Self::Shards(shards) => shards.read_arrays(wanted),
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
