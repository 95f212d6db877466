//! Where the bytes of the files of a data set are, and how to get them.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::DataError;

/// What holds the files of a data set.
#[derive(Debug)]
pub(crate) enum Storage {
    /// A folder of the file system.
    Folder,
    /// An archive whose members are read in place.
    Archive(ArchiveFile),
    /// The unpacked members of a compressed archive, one after the other.
    Memory(Vec<u8>),
}

/// Where one file is within its [`Storage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file of its own.
    Path(PathBuf),
    /// Part of the archive or of the memory.
    Range {
        /// First byte.
        start: u64,
        /// Number of bytes.
        length: u64,
    },
}

impl Storage {
    /// The bytes of one file; `name` is used in messages.
    pub(crate) fn read(&self, place: &Place, name: &str) -> Result<Vec<u8>, DataError> {
        let bytes = match (self, place) {
            (_, Place::Path(path)) => std::fs::read(path),
            (Self::Archive(archive), &Place::Range { start, length }) => archive.read(start, length),
            (Self::Memory(all), &Place::Range { start, length }) => {
                let (start, length) = (start as usize, length as usize);
                all.get(start..start + length).map(<[u8]>::to_vec).ok_or(io::ErrorKind::UnexpectedEof.into())
            }
            (Self::Folder, Place::Range { .. }) => Err(io::ErrorKind::InvalidInput.into()),
        };
        bytes.map_err(|source| DataError::io("read", name, source))
    }
}

/// An archive that many threads read at once through one file handle.
#[derive(Debug)]
pub(crate) struct ArchiveFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    path: PathBuf,
}

impl ArchiveFile {
    #[cfg(unix)]
    pub(crate) fn new(file: File, _path: &Path) -> Self {
        Self { file }
    }

    #[cfg(unix)]
    fn read(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;

        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }

    // Without positioned reads that leave the handle alone, every read has a handle of its own.
    #[cfg(not(unix))]
    pub(crate) fn new(_file: File, path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    #[cfg(not(unix))]
    fn read(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};

        let mut bytes = vec![0; length as usize];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
