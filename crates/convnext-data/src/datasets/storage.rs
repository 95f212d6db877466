//! Access to the bytes of the files of a data set.

use std::{
    borrow::Borrow,
    fs::{File, Metadata},
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::datasets::paths::Paths;
use crate::reading::headers::ReadSeek;

/// Storage of the files of a data set.
#[derive(Debug)]
pub(crate) enum Storage {
    /// A folder of the file system, where the paths begin.
    Folder(PathBuf),
    /// An archive whose members are read in place.
    Archive(ArchiveFile, Vec<Range>, Stamp),
    /// The unpacked members of a compressed archive, one after the other.
    Memory(Vec<u8>, Vec<Range>, Stamp),
}

/// Location of one file within an archive or the memory.
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

    /// The file at a position of `paths`, from its first byte on.
    pub(crate) fn open(&self, paths: &Paths, index: usize) -> io::Result<Box<dyn ReadSeek + '_>> {
        Ok(match self {
            Self::Folder(root) => Box::new(File::open(paths.below(root, index))?),
            Self::Archive(archive, ranges, _) => Box::new(Section::new(archive, ranges[index])),
            Self::Memory(all, ranges, _) => {
                let Range { start, length } = ranges[index];
                let (start, length) = (start as usize, length as usize);
                Box::new(Cursor::new(all.get(start..start + length).ok_or(io::ErrorKind::UnexpectedEof)?))
            }
        })
    }

    /// Path of the file at a position of `paths`; `None` in an archive.
    pub(crate) fn path(&self, paths: &Paths, index: usize) -> Option<PathBuf> {
        match self {
            Self::Folder(root) => Some(paths.below(root, index)),
            Self::Archive(..) | Self::Memory(..) => None,
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
        let mut bytes = vec![0; range.length as usize];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// One file within an archive, as a file of its own.
pub(crate) struct Section<A> {
    archive: A,
    range: Range,
    position: u64,
}

impl<A: Borrow<ArchiveFile>> Section<A> {
    pub(crate) fn new(archive: A, range: Range) -> Self {
        Self { archive, range, position: 0 }
    }
}

impl<A: Borrow<ArchiveFile>> Read for Section<A> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.range.length.saturating_sub(self.position);
        let length = left.min(buffer.len() as u64);
        let bytes = self.archive.borrow().read(Range { start: self.range.start + self.position, length })?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.position += length;
        Ok(bytes.len())
    }
}

impl<A> Seek for Section<A> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.range.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_section_is_a_file_of_its_own() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"before, the middle, after").unwrap();
        let archive = ArchiveFile::new(File::open(file.path()).unwrap(), file.path());
        let mut section = Section::new(&archive, Range { start: 8, length: 10 });
        let mut text = String::new();
        section.read_to_string(&mut text).unwrap();
        assert_eq!(text, "the middle");
        assert_eq!(section.seek(SeekFrom::End(-6)).unwrap(), 4);
        text.clear();
        section.read_to_string(&mut text).unwrap();
        assert_eq!(text, "middle");
        assert!(section.seek(SeekFrom::Current(-11)).is_err());
    }
}
