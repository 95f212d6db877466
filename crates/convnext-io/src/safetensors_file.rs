//! The safetensors format: 8 bytes that count the header, the header in JSON, the tensors.
//!
//! Reading parses and checks the header with the `safetensors` crate. Writing lays the header out here,
//! because the crate keeps `__metadata__` in a hash map, whose order changes from run to run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use convnext_core::WeightMetadata;
use safetensors::tensor::{Metadata, TensorInfo as RawInfo};
use serde::Serialize;

use crate::{ElementType, IoError, NamedArray, TensorInfo};

/// Our key in `__metadata__`.
const METADATA_KEY: &str = "convnext";

/// The one name that no tensor can have.
const RESERVED_NAME: &str = "__metadata__";

/// Bytes of the number in front of the header.
const PREFIX: u64 = 8;

/// Headers beyond this are refused, as the `safetensors` crate does.
const LARGEST_HEADER: u64 = 100_000_000;

/// Writes arrays and their metadata. Equal input gives equal bytes, whatever the order of the arrays.
///
/// The file is written beside its place, brought to the disk and renamed, so that at any moment either
/// the old file or the whole new one stands there.
///
/// # Errors
/// [`IoError::InvalidArray`] before anything is written; [`IoError::Write`] with the path.
pub fn write_weights(path: &Path, arrays: &[NamedArray], metadata: &WeightMetadata) -> Result<(), IoError> {
    let mut names = BTreeSet::new();
    for array in arrays {
        array.check_length()?;
        let invalid = |why: &str| Err(IoError::InvalidArray { name: array.name.clone(), why: why.into() });
        if array.name == RESERVED_NAME {
            return invalid("this name is reserved by the safetensors format");
        }
        if !names.insert(&array.name) {
            return invalid("two arrays have this name");
        }
    }
    // Wide elements first: every tensor is then aligned to the size of its elements.
    let mut ordered: Vec<&NamedArray> = arrays.iter().collect();
    ordered.sort_by_key(|array| (Reverse(array.element_type.size()), &array.name));
    let written = serde_json::to_string(metadata)
        .map_err(io::Error::from)
        .and_then(|metadata| replace_file(path, |file| write_all(file, &ordered, &metadata)));
    written.map_err(|source| IoError::Write { path: path.to_owned(), source })
}

/// An open safetensors file whose header was read and checked; the tensors come next.
pub(crate) struct SafetensorsFile<'a> {
    path: &'a Path,
    file: File,
    size: u64,
    header: Metadata,
}

impl<'a> SafetensorsFile<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, IoError> {
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
        Ok(Self { path, file, size, header })
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
        let text = self.header.metadata().as_ref().and_then(|entries| entries.get(METADATA_KEY));
        text.map(|text| serde_json::from_str(text))
            .transpose()
            .map_err(|source| IoError::BadMetadata { path: self.path.to_owned(), source })
    }

    /// Reads the tensors one after the other, each straight into its own memory.
    pub(crate) fn read_arrays(&mut self) -> Result<BTreeMap<String, NamedArray>, IoError> {
        let mut arrays = self.empty_arrays()?;
        for name in self.header.offset_keys() {
            if let (Some(array), Some(info)) = (arrays.get_mut(&name), self.header.info(&name)) {
                // The header was checked against the size of the file: no length can be absurd.
                array.bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
                self.file.read_exact(&mut array.bytes).map_err(|source| read_error(self.path, source))?;
            }
        }
        Ok(arrays)
    }

    /// Finds elements of a type that is not read.
    pub(crate) fn check_types(&self) -> Result<(), IoError> {
        self.empty_arrays().map(drop)
    }

    /// The arrays before their bytes are read, so that a type that is not read is found at once.
    fn empty_arrays(&self) -> Result<BTreeMap<String, NamedArray>, IoError> {
        let tensors: BTreeMap<String, &RawInfo> = self.header.tensors().into_iter().collect();
        let mut arrays = BTreeMap::new();
        for (name, info) in tensors {
            let Some(element_type) = ElementType::from_dtype(info.dtype) else {
                let found = info.dtype.to_string();
                return Err(IoError::UnsupportedType { path: self.path.to_owned(), name, found });
            };
            let shape = info.shape.clone();
            arrays.insert(name.clone(), NamedArray { name, element_type, shape, bytes: Vec::new() });
        }
        Ok(arrays)
    }
}

pub(crate) fn read_error(path: &Path, source: io::Error) -> IoError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => IoError::Missing { path },
        _ => IoError::Read { path, source },
    }
}

/// Bytes of the header, from the first 9 bytes of a file; what else the file is if it has none.
fn header_size(path: &Path, start: &[u8]) -> Result<u64, IoError> {
    let path = path.to_owned();
    // A header starts with a brace, and no other format has one in this place along with a small number.
    if let Some((&prefix, b"{")) = start.split_first_chunk() {
        let size = u64::from_le_bytes(prefix);
        if (1..=LARGEST_HEADER).contains(&size) {
            return Ok(size);
        }
    }
    let why = match start {
        [0x80, 2..=5, ..] => return Err(IoError::LegacyPyTorch { path }),
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
    tensors: BTreeMap<&'a str, RawInfo>,
}

fn write_all(file: impl Write, arrays: &[&NamedArray], metadata: &str) -> io::Result<()> {
    let mut tensors = BTreeMap::new();
    let mut start = 0;
    for array in arrays {
        let end = start + array.bytes.len();
        let (dtype, shape) = (array.element_type.dtype(), array.shape.clone());
        tensors.insert(array.name.as_str(), RawInfo { dtype, shape, data_offsets: (start, end) });
        start = end;
    }
    // `format` tells other programs that names and layouts are those of PyTorch.
    let metadata = BTreeMap::from([(METADATA_KEY, metadata), ("format", "pt")]);
    let mut header = serde_json::to_vec(&WrittenHeader { metadata, tensors })?;
    header.resize(header.len().next_multiple_of(PREFIX as usize), b' ');

    let mut file = BufWriter::with_capacity(1 << 20, file);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for array in arrays {
        file.write_all(&array.bytes)?;
    }
    file.flush()
}

/// Writes a file beside `path`, brings it to the disk and renames it.
fn replace_file(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    // A temporary file is private by default; weights get what the user's umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder)?;
    write(temporary.as_file())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // The new name is on the disk only once the folder is.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests;
