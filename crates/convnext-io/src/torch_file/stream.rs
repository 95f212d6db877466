//! The stream that `torch.save` wrote before version 1.6 and writes today when asked to
//! (`_use_new_zipfile_serialization=False`, as OpenMMLab publishes its models): pickles of a magic number, a version,
//! the machine, the object and the list of its storages; then each storage in the order of that list, the number of
//! its elements as 64 bits and the elements.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use super::pickle::Pickle;
use super::state_dict::{MAX_KEY_LENGTH, size_of_dtype};
use super::values::{Node, Refusal, Value};
use crate::error::{IoError, read_error};

/// Magic number in the first pickle, whatever its protocol.
const MAGIC: [u8; 12] = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The one version that there is.
const VERSION: i64 = 1001;

/// Bytes that are read at first; more, by [`GROWTH`], if the structure does not end in them.
const FIRST_BYTES: u64 = 1 << 22;
const GROWTH: u64 = 8;

/// Larger structures are refused.
const MAX_BYTES: u64 = 1 << 29;

/// An open stream and where its storages lie.
pub(super) struct Stream {
    path: PathBuf,
    file: File,
    storages: BTreeMap<String, Place>,
}

/// A storage, which lies within the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u64,
    bytes: u64,
}

impl Stream {
    /// Reads the structure of a stream and finds its storages; `find` is given both.
    ///
    /// # Errors
    /// [`IoError::BadPickle`], [`IoError::ForbiddenGlobal`], [`IoError::UnsupportedArchive`] for what `torch.save` did
    /// not write on this kind of machine, [`IoError::CorruptArchive`] for a file that is cut off, those of `find`.
    pub(super) fn read<T>(
        path: &Path,
        file: File,
        size: u64,
        find: impl Fn(&Pickle, &dyn Fn(&str) -> Option<u64>) -> Result<T, IoError>,
    ) -> Result<(T, Self), IoError> {
        let mut stream = Self { path: path.to_owned(), file, storages: BTreeMap::new() };
        let mut wanted = FIRST_BYTES.min(size);
        loop {
            // Without a capacity the bytes would be copied as they grow, and take twice their room.
            let mut bytes = Vec::with_capacity(wanted as usize);
            stream.file.rewind().map_err(|source| read_error(path, source))?;
            (&stream.file).take(wanted).read_to_end(&mut bytes).map_err(|source| read_error(path, source))?;
            let refusal = match Structure::read(&bytes) {
                Ok(structure) => {
                    structure.check(path)?;
                    stream.storages = stream.places(&structure, size)?;
                    let found = find(&structure.object, &|key| Some(stream.storages.get(key)?.bytes))?;
                    return Ok((found, stream));
                }
                Err(refusal) => refusal,
            };
            match (&refusal, more(wanted, size)) {
                // Perhaps the rest of it has not been read yet.
                (Refusal::Invalid(_), Some(next)) => wanted = next,
                _ => return Err(refusal.of_file(path)),
            }
        }
    }

    /// The bytes of a storage.
    pub(super) fn storage(&self, key: &str) -> Result<Vec<u8>, IoError> {
        let Some(&Place { start, bytes }) = self.storages.get(key) else { return Ok(Vec::new()) };
        let fail = |source| read_error(&self.path, source);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start)).map_err(fail)?;
        // `places` has compared the size with that of the file.
        let mut content = vec![0; bytes as usize];
        file.read_exact(&mut content).map_err(fail)?;
        Ok(content)
    }

    /// Goes over the storages, which lie one after the other.
    fn places(&self, structure: &Structure, size: u64) -> Result<BTreeMap<String, Place>, IoError> {
        let corrupt = |why: &str| IoError::CorruptArchive { path: self.path.clone(), why: why.to_owned() };
        let types = structure.types();
        let mut places = BTreeMap::new();
        let mut start = structure.end as u64;
        for key in structure.keys().ok_or_else(|| corrupt("its list of storages is none"))? {
            let dtype = *types.get(key).ok_or_else(|| corrupt("it lists a storage that no tensor has"))?;
            let count = self.count(start).map_err(|_| corrupt("it is truncated"))?;
            let bytes = count.checked_mul(size_of_dtype(dtype));
            let end = bytes.and_then(|bytes| start.checked_add(8)?.checked_add(bytes));
            let (Some(bytes), Some(end)) = (bytes, end.filter(|&end| end <= size)) else {
                return Err(corrupt("it is truncated"));
            };
            if places.insert(key.to_owned(), Place { start: start + 8, bytes }).is_some() {
                return Err(corrupt("a storage is there twice"));
            }
            start = end;
        }
        Ok(places)
    }

    /// The number of elements that stands at this place.
    fn count(&self, start: u64) -> std::io::Result<u64> {
        let mut count = [0; 8];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut count)?;
        Ok(u64::from_le_bytes(count))
    }
}

/// The number of bytes to read of a file of `size` bytes where `wanted` were too few; `None` if there are no more.
fn more(wanted: u64, size: u64) -> Option<u64> {
    let most = size.min(MAX_BYTES);
    (wanted < most).then(|| (wanted * GROWTH).min(most))
}

/// The pickles at the beginning.
struct Structure<'a> {
    version: Pickle<'a>,
    machine: Pickle<'a>,
    object: Pickle<'a>,
    keys: Pickle<'a>,
    /// The place behind them.
    end: usize,
}

impl<'a> Structure<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut end = 0;
        let mut next = || {
            let pickle = Pickle::read(bytes.get(end..).unwrap_or_default())?;
            end += pickle.end();
            Ok((pickle, end))
        };
        let (_, magic_end) = next()?;
        let start = bytes.get(..magic_end.min(64)).unwrap_or_default();
        if !start.windows(MAGIC.len()).any(|window| window == MAGIC) {
            let why = "it is a bare pickle, which torch.save did not write";
            return Err(Refusal::Invalid(why.to_owned()));
        }
        let [(version, _), (machine, _), (object, _), (keys, end)] = [next()?, next()?, next()?, next()?];
        Ok(Self { version, machine, object, keys, end })
    }

    fn check(&self, path: &Path) -> Result<(), IoError> {
        let unsupported =
            |why: &str| IoError::UnsupportedArchive { path: path.to_owned(), why: why.to_owned() };
        if self.version.root() != Value::Int(VERSION) {
            return Err(unsupported(
                "it is a stream of another version; load it and save it again with PyTorch",
            ));
        }
        let machine = &self.machine;
        let is_little = match machine.node(machine.root()) {
            Some(Node::Dict(entries)) => entries
                .iter()
                .any(|&(key, value)| machine.text(key) == Some("little_endian") && value == Value::Int(1)),
            _ => false,
        };
        if is_little {
            return Ok(());
        }
        Err(unsupported("it was saved in big-endian byte order; save it on a little-endian machine"))
    }

    /// The type of the elements of each storage.
    fn types(&self) -> BTreeMap<&'a str, Dtype> {
        let storage = |node: &Node| match node {
            Node::Storage(storage) => Some((self.object.text(storage.key)?, storage.dtype)),
            _ => None,
        };
        self.object.nodes().iter().filter_map(storage).collect()
    }

    fn keys(&self) -> Option<Vec<&'a str>> {
        let Some(Node::List(keys)) = self.keys.node(self.keys.root()) else { return None };
        let key = |&key: &Value| self.keys.text(key).filter(|key| key.len() <= MAX_KEY_LENGTH);
        keys.iter().map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::iter::successors;

    use super::*;

    /// Bug: the last step went to four times the bound.
    #[test]
    fn no_step_goes_beyond_the_bound_or_the_file() {
        let steps = |size: u64| -> Vec<u64> {
            successors(Some(FIRST_BYTES.min(size)), move |&wanted| more(wanted, size)).collect()
        };
        assert_eq!(steps(1000), [1000]);
        assert_eq!(steps(FIRST_BYTES + 1), [FIRST_BYTES, FIRST_BYTES + 1]);
        for size in [MAX_BYTES, 4 * MAX_BYTES, u64::MAX] {
            assert_eq!(steps(size), [1 << 22, 1 << 25, 1 << 28, MAX_BYTES]);
        }
    }
}
