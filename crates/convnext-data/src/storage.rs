//! Where the bytes of the files of a data set are, and how to get them.

use std::{
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::paths::Paths;

/// What holds the files of a data set.
#[derive(Debug)]
pub(crate) enum Storage {
    /// A folder of the file system, where the paths begin.
    Folder(PathBuf),
    /// An archive whose members are read in place.
    Archive(ArchiveFile, Vec<Range>, Stamp),
    /// The unpacked members of a compressed archive, one after the other.
    Memory(Vec<u8>, Vec<Range>, Stamp),
}

/// Where one file is within an archive or the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// First byte.
    pub(crate) start: u64,
    /// Number of bytes.
    pub(crate) length: u64,
}

/// Size and time of the last change of a file: with another stamp it may hold other bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    /// Nanoseconds since 1970; 0 where the system does not tell.
    pub(crate) modified: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| since.as_nanos() as u64);
        Self { size: metadata.len(), modified }
    }
}

impl Storage {
    /// The bytes of the file at a position of `paths`.
    pub(crate) fn read(&self, paths: &Paths, index: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Folder(root) => std::fs::read(paths.below(root, index)),
            Self::Archive(archive, ranges, _) => archive.read(ranges[index]),
            Self::Memory(all, ranges, _) => {
                let Range { start, length } = ranges[index];
                let (start, length) = (start as usize, length as usize);
                all.get(start..start + length).map(<[u8]>::to_vec).ok_or(io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    /// The stamp of what holds the file at a position of `paths`.
    pub(crate) fn stamp(&self, paths: &Paths, index: usize) -> io::Result<Stamp> {
        match self {
            Self::Folder(root) => std::fs::metadata(paths.below(root, index)).map(|found| Stamp::of(&found)),
            Self::Archive(_, _, stamp) | Self::Memory(_, _, stamp) => Ok(*stamp),
        }
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
    pub(crate) fn read(&self, range: Range) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;

        let mut bytes = vec![0; range.length as usize];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    // Without positioned reads that leave the handle alone, every read has a handle of its own.
    #[cfg(not(unix))]
    pub(crate) fn new(_file: File, path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    #[cfg(not(unix))]
    pub(crate) fn read(&self, range: Range) -> io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};

        let mut bytes = vec![0; range.length as usize];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
