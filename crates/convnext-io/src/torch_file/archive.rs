//! The zip archive that `torch.save` writes since PyTorch 1.6: `NAME/data.pkl`, `NAME/byteorder` and one
//! stored, never compressed, record `NAME/data/KEY` for each storage.
//! See [serialization notes](https://docs.pytorch.org/docs/stable/notes/serialization.html).
//!
//! `rawzip` reads it, which allocates nothing by itself; the `zip` crate reserves memory for as many entries
//! as a damaged directory claims.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rawzip::{CompressionMethod, FileReader, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipArchiveEntryWayfinder};

use crate::error::IoError;

/// The record that holds the structure.
const PICKLE: &str = "data.pkl";

/// The folder and the record that only programs have.
const CODE: &str = "/code/";
const TORCHSCRIPT: &str = "constants.pkl";

/// Larger structures are refused; that of Huge with its optimiser has 0.2 MB, histories of losses may have 100.
const MAX_PICKLE_BYTES: u64 = 1 << 29;

/// An open archive and where its records lie.
pub(super) struct Archive {
    path: PathBuf,
    archive: ZipArchive<FileReader>,
    /// By the name without the folder.
    records: BTreeMap<String, Record>,
}

/// A record of the archive, which lies within the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    place: ZipArchiveEntryWayfinder,
    /// Bytes.
    pub(super) size: u64,
}

impl Archive {
    /// Reads and checks the directory of an archive.
    ///
    /// # Errors
    /// [`IoError::CorruptArchive`]; [`IoError::UnsupportedArchive`] for what `torch.save` did not write on
    /// this kind of machine.
    pub(super) fn open(path: &Path, file: File, file_size: u64) -> Result<Self, IoError> {
        let corrupt = |error: rawzip::Error| corrupt(path, error.to_string());
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(file, &mut buffer).map_err(corrupt)?;
        let mut all = BTreeMap::new();
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(corrupt)? {
            // Names that are no text belong to no record of torch.
            let Ok(name) = std::str::from_utf8(entry.file_path().as_bytes()) else { continue };
            let size = entry.uncompressed_size_hint();
            if entry.compression_method() != CompressionMethod::STORE || entry.compressed_size_hint() != size
            {
                return Err(match name.contains(CODE) {
                    true => program(path),
                    false => {
                        unsupported(path, format!("its record {name} is compressed; save it with torch.save"))
                    }
                });
            }
            if size > file_size {
                return Err(self::corrupt(path, format!("record {name} is larger than the file")));
            }
            if all.insert(name.to_owned(), Record { place: entry.wayfinder(), size }).is_some() {
                return Err(self::corrupt(path, format!("two records are called {name}")));
            }
        }
        let records = in_folder(all).ok_or_else(|| {
            unsupported(path, format!("it holds no {PICKLE}, so that torch.save did not write it"))
        })?;
        if records.contains_key(TORCHSCRIPT) {
            return Err(program(path));
        }
        let archive = Self { path: path.to_owned(), archive, records };
        archive.check_byte_order()?;
        Ok(archive)
    }

    /// The structure.
    pub(super) fn pickle(&self) -> Result<Vec<u8>, IoError> {
        match self.records.get(PICKLE) {
            Some(record) if record.size <= MAX_PICKLE_BYTES => self.read(record),
            _ => {
                let why =
                    format!("its {PICKLE} has more than {MAX_PICKLE_BYTES} bytes; save the weights alone");
                Err(unsupported(&self.path, why))
            }
        }
    }

    /// The record of a storage.
    pub(super) fn storage(&self, key: &str) -> Option<&Record> {
        self.records.get(&format!("data/{key}"))
    }

    /// The bytes of a record, after a check of its sum.
    pub(super) fn read(&self, record: &Record) -> Result<Vec<u8>, IoError> {
        let corrupt = |why: String| corrupt(&self.path, why);
        let entry = self.archive.get_entry(record.place).map_err(|error| corrupt(error.to_string()))?;
        // `open` has compared the size with that of the file.
        let mut bytes = Vec::with_capacity(record.size as usize);
        let mut reader = entry.verifying_reader(entry.reader());
        reader.read_to_end(&mut bytes).map_err(|error| corrupt(error.to_string()))?;
        Ok(bytes)
    }

    /// Files of before PyTorch 2.1 do not say their order; they are little-endian on all but rare machines.
    fn check_byte_order(&self) -> Result<(), IoError> {
        match self.records.get("byteorder") {
            Some(record) if record.size > 16 || self.read(record)? != b"little" => Err(unsupported(
                &self.path,
                "it was saved in big-endian byte order; save it on a little-endian machine".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

/// The records of the one folder that holds the structure.
fn in_folder(all: BTreeMap<String, Record>) -> Option<BTreeMap<String, Record>> {
    let is_folder = |name: &&str| !name.is_empty() && !name.contains('/');
    let folder = |name: &str| {
        let folder = name.strip_suffix(PICKLE)?.strip_suffix('/')?;
        Some(folder).filter(is_folder).map(str::to_owned)
    };
    let prefix = format!("{}/", all.keys().find_map(|name| folder(name))?);
    let inside = |(name, record): (String, Record)| Some((name.strip_prefix(&prefix)?.to_owned(), record));
    Some(all.into_iter().filter_map(inside).collect())
}

fn corrupt(path: &Path, why: String) -> IoError {
    IoError::CorruptArchive { path: path.to_owned(), why }
}

/// TorchScript holds its tensors in objects of classes of its own.
fn program(path: &Path) -> IoError {
    let why = "it is a program of torch.jit.save; save the state dict of the model that it was made from";
    unsupported(path, why.to_owned())
}

fn unsupported(path: &Path, why: String) -> IoError {
    IoError::UnsupportedArchive { path: path.to_owned(), why }
}
