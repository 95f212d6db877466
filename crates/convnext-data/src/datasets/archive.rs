//! The images of a `.tar`, read in place, or of a compressed `.tar`, unpacked into memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::datasets::extensions::{OtherFiles, has_image_extension};
use crate::datasets::listing::Listing;
use crate::datasets::relative::{add_folders, member_path, parent};
use crate::datasets::storage::{ArchiveFile, Range, Stamp, Storage};
use crate::error::DataError;

/// The most that is unpacked into memory: 2 GiB of image files.
const MAX_UNPACKED: u64 = 2 << 30;

/// Lists an archive, told apart by its first bytes and, for a `.tar`, by its extension.
pub(crate) fn list(path: &Path, root: String) -> Result<Listing, DataError> {
    list_up_to(path, root, MAX_UNPACKED)
}

fn list_up_to(path: &Path, root: String, limit: u64) -> Result<Listing, DataError> {
    let mut file = File::open(path).map_err(|source| DataError::io("open", &root, source))?;
    let kind = Kind::of(&mut file, path).map_err(|source| DataError::io("read", &root, source))?;
    let metadata = file.metadata().map_err(|source| DataError::io("read", &root, source))?;
    let stamp = Stamp::of(&metadata);
    let mut members = Members::default();
    let damaged = |error: io::Error| DataError::Archive { path: root.clone(), why: error.to_string() };
    let (images, storage) = match kind {
        None => return Err(DataError::UnknownSource { path: root }),
        Some(Kind::Plain) => {
            members.index(&mut file).map_err(damaged)?;
            let (images, ranges) = members.images();
            (images, Storage::Archive(ArchiveFile::new(file, path), ranges, stamp))
        }
        Some(Kind::Gzip) => {
            let unpacked =
                members.unpack(MultiGzDecoder::new(BufReader::new(file)), limit).map_err(damaged)?;
            let (images, ranges) = members.images();
            let too_large = DataError::ArchiveTooLarge { path: root.clone(), limit: limit >> 20 };
            (images, Storage::Memory(unpacked.ok_or(too_large)?, ranges, stamp))
        }
    };
    let images = images.iter().map(String::as_str).collect();
    let Members { folders, others, .. } = members;
    let archives = BTreeMap::new();
    let (is_archive, metadata, keeps_index) = (true, None, true);
    Ok(Listing { root, is_archive, images, folders, archives, others, metadata, storage, keeps_index })
}

/// The kinds of archives.
enum Kind {
    Plain,
    Gzip,
}

impl Kind {
    /// Looks at the first bytes and goes back to the start.
    fn of(file: &mut File, path: &Path) -> io::Result<Option<Self>> {
        const TAR_MAGIC: std::ops::Range<usize> = 257..262;
        let mut start = Vec::new();
        file.take(TAR_MAGIC.end as u64).read_to_end(&mut start)?;
        file.rewind()?;
        // The oldest form of tar has no magic bytes: there the extension of the name counts.
        let named_tar = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"));
        Ok(match &start[..] {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            _ if start.get(TAR_MAGIC) == Some(b"ustar") || named_tar => Some(Self::Plain),
            _ => None,
        })
    }
}

/// The image files and folders found so far. A path that occurs twice means its last occurrence.
#[derive(Default)]
struct Members {
    images: BTreeMap<PathBuf, (String, Range)>,
    folders: BTreeSet<String>,
    others: OtherFiles,
}

impl Members {
    /// Notes where the members of a `.tar` are, without reading them.
    fn index(&mut self, file: &mut File) -> io::Result<()> {
        let end = file.metadata()?.len();
        for entry in Archive::new(file).entries_with_seek()? {
            let entry = entry?;
            let (start, length) = (entry.raw_file_position(), entry.size());
            if start.checked_add(length).is_none_or(|last| last > end) {
                let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{member} is truncated")));
            }
            if let Some((key, path)) = self.visit(&entry)? {
                self.images.insert(key, (path, Range { start, length }));
            }
        }
        Ok(())
    }

    /// Unpacks the image files of a `.tar`; `None` when they take more than `limit` bytes.
    fn unpack(&mut self, source: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut unpacked = Vec::new();
        let mut archive = Archive::new(source);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if let Some((key, path)) = self.visit(&entry)? {
                let (start, length) = (unpacked.len() as u64, entry.size());
                if length > limit - start {
                    return Ok(None);
                }
                entry.read_to_end(&mut unpacked)?;
                if unpacked.len() as u64 != start + length {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{path} is truncated")));
                }
                self.images.insert(key, (path, Range { start, length }));
            }
        }
        // Read to the very end, where the checksum of the compression stands.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        Ok(Some(unpacked))
    }

    /// Notes folders and hard links; returns key and path of an image file with content of its own.
    fn visit(&mut self, entry: &Entry<'_, impl Read>) -> io::Result<Option<(PathBuf, String)>> {
        let key = entry.path()?.into_owned();
        let Some(path) = member_path(&key) else { return Ok(None) };
        match entry.header().entry_type() {
            EntryType::Directory => add_folders(&mut self.folders, &path),
            EntryType::Regular | EntryType::Continuous => {
                add_folders(&mut self.folders, parent(&path));
                if has_image_extension(&key) {
                    return Ok(Some((key, path)));
                }
                self.others.add(&key);
            }
            EntryType::Link if has_image_extension(&key) => {
                // A second name for an earlier member.
                let target = entry.link_name()?.and_then(|target| self.images.get(&*target));
                if let Some((_, place)) = target.cloned() {
                    add_folders(&mut self.folders, parent(&path));
                    self.images.insert(key, (path, place));
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// Paths and places of the images, sorted by path.
    fn images(&mut self) -> (Vec<String>, Vec<Range>) {
        let mut images: Vec<_> = std::mem::take(&mut self.images).into_values().collect();
        images.sort_by(|(path, _), (other, _)| path.cmp(other));
        images.into_iter().unzip()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tempfile::NamedTempFile;

    use super::*;
    use crate::datasets::list_images::list_images;

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn file(bytes: &[u8], suffix: &str) -> NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn open(bytes: &[u8], suffix: &str) -> Result<Listing, DataError> {
        list_images(file(bytes, suffix).path())
    }

    const LONG: &str = "a-folder-with-a-name-so-long-that-a-plain-header-cannot-hold-it-0123456789-0123456789-0123456789/1.png";

    #[test]
    fn plain_and_compressed_archives_hold_the_same() {
        let bytes =
            tar(&[("top/b.png", b"bee"), (LONG, b"long"), ("top/notes.txt", b"no"), ("top/a.jpg", b"a")]);
        for listing in [open(&bytes, ".tar"), open(&gzip(&bytes), ".tgz"), open(&bytes, ".bin")] {
            let listing = listing.unwrap();
            let contents: Vec<(&str, Vec<u8>)> = listing
                .images
                .iter()
                .enumerate()
                .map(|(index, path)| (path, listing.storage.read(&listing.images, index).unwrap()))
                .collect();
            let expected =
                [(LONG, b"long".to_vec()), ("top/a.jpg", b"a".to_vec()), ("top/b.png", b"bee".to_vec())];
            assert_eq!(contents, expected);
            assert!(listing.name("top/a.jpg").ends_with(": top/a.jpg"));
        }
    }

    #[test]
    fn the_last_of_two_members_counts_and_hard_links_are_followed() {
        let mut builder = tar::Builder::new(tar(&[("1.png", b"old"), ("1.png", b"new")])[..2048].to_vec());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Link);
        header.set_size(0);
        builder.append_link(&mut header, "cat/2.png", "1.png").unwrap();
        let listing = open(&builder.into_inner().unwrap(), ".tar").unwrap();
        assert_eq!(listing.images.len(), 2);
        for (index, path) in listing.images.iter().enumerate() {
            assert_eq!(listing.storage.read(&listing.images, index).unwrap(), b"new", "{path}");
        }
        assert!(listing.folders.contains("cat"));
    }

    #[test]
    fn damaged_archives_are_refused() {
        let bytes = tar(&[("a.png", &[1; 2000]), ("b.png", &[2; 2000])]);
        let compressed = gzip(&bytes);
        for (bytes, suffix) in [
            (&bytes[..3200], ".tar"),
            (&compressed[..compressed.len() - 6], ".tar.gz"),
            (&[7; 1000][..], ".tar"),
        ] {
            let message = open(bytes, suffix).unwrap_err().to_string();
            assert!(message.contains("cannot read the archive"), "{message}");
        }
        let message = open(b"text", ".zip").unwrap_err().to_string();
        assert!(message.contains("neither a folder nor a .tar"), "{message}");
    }

    #[test]
    fn compressed_archives_must_fit_into_memory() {
        let file = file(&gzip(&tar(&[("a.png", &[0; 600]), ("b.png", &[0; 600])])), ".tar.gz");
        assert!(list_up_to(file.path(), "x".into(), 1200).is_ok());
        let message = list_up_to(file.path(), "x".into(), 1199).unwrap_err().to_string();
        assert!(message.contains("decompress it to a .tar"), "{message}");
    }
}
