//! The safetensors format: 8 bytes that count the header, the header in JSON, the tensors.
//!
//! Reading parses and checks the header with the `safetensors` crate. Writing lays the header out here,
//! because the crate keeps `__metadata__` in a hash map, whose order changes from run to run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use convnext_core::WeightMetadata;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo as RawInfo};
use serde::Serialize;

use crate::array::{ArraySource, NamedArray};
use crate::element_type::ElementType;
use crate::error::{IoError, read_error};
use crate::replace_file::replace_file;
use crate::tensor_info::TensorInfo;

/// Our key in `__metadata__`.
const METADATA_KEY: &str = "convnext";

/// Our key in `__metadata__` for where a training stands.
const PROGRESS_KEY: &str = "training";

/// Beginning of the names of tensors that belong to a training and not to its model.
pub const TRAINING_PREFIX: &str = "training.";

/// The one name that no tensor can have.
const RESERVED_NAME: &str = "__metadata__";

/// Bytes of the number in front of the header.
const PREFIX: u64 = 8;

/// Headers beyond this are refused, as the `safetensors` crate does.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Writes arrays and their metadata. Equal input gives equal bytes, whatever the order of the arrays.
///
/// The file is written beside its place, brought to the disk and renamed, so that at any moment either
/// the old file or the whole new one stands there.
///
/// # Errors
/// [`IoError::InvalidArray`] before anything is written; [`IoError::Write`] with the path.
pub fn write_weights(
    path: &Path,
    arrays: &[impl ArraySource],
    metadata: &WeightMetadata,
) -> Result<(), IoError> {
    write(path, arrays, Some(metadata), None)
}

/// Writes a checkpoint: a weight file that also holds, under names that begin with [`TRAINING_PREFIX`],
/// the tensors of a training, and in `progress` where the training stands. [`crate::read_weights`] takes
/// the model out of it.
///
/// # Errors
/// As [`write_weights`].
pub fn write_checkpoint(
    path: &Path,
    arrays: &[impl ArraySource],
    metadata: &WeightMetadata,
    progress: &str,
) -> Result<(), IoError> {
    write(path, arrays, Some(metadata), Some(progress))
}

pub(crate) fn write(
    path: &Path,
    arrays: &[impl ArraySource],
    metadata: Option<&WeightMetadata>,
    progress: Option<&str>,
) -> Result<(), IoError> {
    let mut names = BTreeSet::new();
    for array in arrays {
        array.check()?;
        let invalid = |why: &str| Err(IoError::InvalidArray { name: array.name().into(), why: why.into() });
        if array.name() == RESERVED_NAME {
            return invalid("this name is reserved by the safetensors format");
        }
        if !names.insert(array.name()) {
            return invalid("two arrays have this name");
        }
    }
    // Wide elements first: every tensor is then aligned to the size of its elements.
    let mut ordered: Vec<_> = arrays.iter().collect();
    ordered.sort_by_key(|array| (Reverse(array.element_type().size()), array.name()));
    let metadata = metadata.map(serde_json::to_string).transpose();
    let written = metadata.map_err(io::Error::from).and_then(|metadata| {
        // `format` tells other programs that names and layouts are those of PyTorch.
        let mut entries = BTreeMap::from([("format", "pt")]);
        entries.extend(metadata.as_deref().map(|metadata| (METADATA_KEY, metadata)));
        entries.extend(progress.map(|progress| (PROGRESS_KEY, progress)));
        replace_file(path, |file| write_all(file, &ordered, entries))
    });
    written.map_err(|source| IoError::Write { path: path.to_owned(), source })
}

/// A tensor in a file.
pub(crate) struct Place {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Its first byte.
    pub(crate) start: u64,
    /// The byte after it.
    pub(crate) end: u64,
}

/// An open safetensors file whose header was read and checked; the tensors come next.
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    file: File,
    size: u64,
    header: Metadata,
}

impl SafetensorsFile {
    pub(crate) fn open(path: &Path) -> Result<Self, IoError> {
        let mut file = File::open(path).map_err(|source| read_error(path, source))?;
        let size = file.metadata().map_err(|source| read_error(path, source))?.len();

        let mut start = Vec::new();
        (&mut file).take(PREFIX + 1).read_to_end(&mut start).map_err(|source| read_error(path, source))?;
        let header_size = header_size(path, &start)?;
        let data_start = PREFIX + header_size;
        let wrong_size = |expected| IoError::WrongSize { path: path.to_owned(), expected, found: size };
        if data_start > size {
            return Err(wrong_size(data_start));
        }

        // `start` ends with the first byte of the header.
        let mut text = start.split_off(PREFIX as usize);
        (&mut file)
            .take(header_size - 1)
            .read_to_end(&mut text)
            .map_err(|source| read_error(path, source))?;
        let header: Metadata = serde_json::from_slice(&text)
            .map_err(|error| IoError::CorruptHeader { path: path.to_owned(), why: error.to_string() })?;
        let expected = data_start.saturating_add(header.data_len() as u64);
        if expected != size {
            return Err(wrong_size(expected));
        }
        Ok(Self { path: path.to_owned(), file, size, header })
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The tensors, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let mut tensors: Vec<TensorInfo> = (self.header.tensors().into_iter())
            .map(|(name, info)| TensorInfo { name, dtype: info.dtype.to_string(), shape: info.shape.clone() })
            .collect();
        tensors.sort_by(|left, right| left.name.cmp(&right.name));
        tensors
    }

    /// Our own metadata, if it is there.
    pub(crate) fn weight_metadata(&self) -> Result<Option<WeightMetadata>, IoError> {
        self.entry(METADATA_KEY)
            .map(serde_json::from_str)
            .transpose()
            .map_err(|source| IoError::BadMetadata { path: self.path.clone(), source })
    }

    /// Progress of the training, if this is a checkpoint.
    pub(crate) fn progress(&self) -> Option<&str> {
        self.entry(PROGRESS_KEY)
    }

    /// A text of `__metadata__`.
    pub(crate) fn entry(&self, key: &str) -> Option<&str> {
        let entries = self.header.metadata().as_ref()?;
        entries.get(key).map(String::as_str)
    }

    /// Type, shape and byte range of a tensor in the file.
    pub(crate) fn place(&self, name: &str) -> Option<Place> {
        let info = self.header.info(name)?;
        let data = self.size - self.header.data_len() as u64;
        let [start, end] = [info.data_offsets.0, info.data_offsets.1].map(|offset| data + offset as u64);
        Some(Place { dtype: info.dtype, shape: info.shape.clone(), start, end })
    }

    /// The file itself, for whoever reads it in pieces.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Reads the tensors whose names are `wanted`, one after the other, each straight into its own memory.
    pub(crate) fn read_arrays(
        &mut self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, NamedArray>, IoError> {
        let mut arrays = self.empty_arrays(wanted)?;
        for name in self.header.offset_keys() {
            let Some(info) = self.header.info(&name) else { continue };
            // The header was checked against the size of the file: no length can be absurd.
            let length = info.data_offsets.1 - info.data_offsets.0;
            let read = match arrays.get_mut(&name) {
                Some(array) => {
                    array.bytes = vec![0; length];
                    self.file.read_exact(&mut array.bytes)
                }
                None => self.file.seek_relative(length as i64),
            };
            read.map_err(|source| read_error(&self.path, source))?;
        }
        Ok(arrays)
    }

    /// Finds elements of a type that is not read.
    pub(crate) fn check_types(&self) -> Result<(), IoError> {
        self.empty_arrays(|_| true).map(drop)
    }

    /// The arrays of `wanted` names before their bytes are read, so that a type that is not read is found at once.
    fn empty_arrays(&self, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, NamedArray>, IoError> {
        let tensors: BTreeMap<String, &RawInfo> = self.header.tensors().into_iter().collect();
        let mut arrays = BTreeMap::new();
        for (name, info) in tensors.into_iter().filter(|(name, _)| wanted(name)) {
            let Some(element_type) = ElementType::from_dtype(info.dtype) else {
                let found = info.dtype.to_string();
                return Err(IoError::UnsupportedType { path: self.path.clone(), name, found });
            };
            let shape = info.shape.clone();
            arrays.insert(name.clone(), NamedArray { name, element_type, shape, bytes: Vec::new() });
        }
        Ok(arrays)
    }
}

/// Bytes of the header, from the first 9 bytes of a file; what else the file is if it has none.
fn header_size(path: &Path, start: &[u8]) -> Result<u64, IoError> {
    let path = path.to_owned();
    // A header starts with a brace, and no other format has one in this place along with a small number.
    if let Some((&prefix, b"{")) = start.split_first_chunk() {
        let size = u64::from_le_bytes(prefix);
        if (1..=MAX_HEADER_BYTES).contains(&size) {
            return Ok(size);
        }
    }
    let why = match start {
        [] => "it is empty".to_owned(),
        _ if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "it is text, perhaps a web page or a Git LFS pointer in place of the file".to_owned()
        }
        _ => "it does not start with a header".to_owned(),
    };
    Err(IoError::NotSafetensors { path, why })
}

#[derive(Serialize)]
struct WrittenHeader<'a> {
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    tensors: &'a BTreeMap<&'a str, RawInfo>,
}

fn write_all(
    file: impl Write,
    arrays: &[&impl ArraySource],
    metadata: BTreeMap<&str, &str>,
) -> io::Result<()> {
    let too_large = || io::Error::other("the tensors are too large for a file");
    let mut tensors = BTreeMap::new();
    let mut start = 0_usize;
    for array in arrays {
        let (shape, element_type) = (array.shape().to_vec(), array.element_type());
        let length = shape.iter().try_fold(element_type.size(), |size, &side| size.checked_mul(side));
        let end = length.and_then(|length| start.checked_add(length)).ok_or_else(too_large)?;
        let dtype = element_type.dtype();
        tensors.insert(array.name(), RawInfo { dtype, shape, data_offsets: (start, end) });
        start = end;
    }
    let mut header = serde_json::to_vec(&WrittenHeader { metadata, tensors: &tensors })?;
    header.resize(header.len().next_multiple_of(PREFIX as usize), b' ');

    let mut file = BufWriter::with_capacity(1 << 20, file);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for array in arrays {
        let bytes = array.bytes();
        let planned = tensors.get(array.name()).map(|info| info.data_offsets.1 - info.data_offsets.0);
        if planned != Some(bytes.len()) {
            return Err(io::Error::other(format!("the shape of {} does not fit its values", array.name())));
        }
        file.write_all(&bytes)?;
    }
    file.flush()
}

#[cfg(test)]
mod tests;
