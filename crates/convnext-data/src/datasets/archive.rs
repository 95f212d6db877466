//! The images of a `.tar`, read in place, or of a compressed `.tar`, unpacked into memory.

pub(crate) mod headers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use self::headers::{HeaderLimit, MAX_HEADERS};
use crate::datasets::extensions::{OtherFiles, has_image_extension};
use crate::datasets::linked_members::LinkedMembers;
use crate::datasets::listing::Listing;
use crate::datasets::relative::{add_folders, member_path, parent, two_folders};
use crate::datasets::storage::{ArchiveFile, Range, Stamp, Storage};
use crate::datasets::tar_extent::Extent;
use crate::error::DataError;

/// What an archive may take of the memory, in bytes.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// The image files of a compressed one.
    unpacked: u64,
    /// What lies between the contents of two members of a compressed one.
    headers: u64,
    /// The paths of all images and folders.
    paths: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // Forty million paths of a hundred bytes: more images than anybody keeps in one archive.
        Self { unpacked: 2 << 30, headers: MAX_HEADERS, paths: 4 << 30 }
    }
}

/// Why an archive cannot be read: it is damaged, or takes more than it may, which a sound one can do as well.
pub(crate) fn archive_error(root: &str, error: &io::Error) -> DataError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => DataError::Unsupported {
            name: root.to_owned(),
            what: format!("an archive that would fill the memory: {error}"),
            advice: "unpack it into a folder, or divide it",
        },
        _ => DataError::Archive { path: root.to_owned(), why: error.to_string() },
    }
}

/// Lists an archive, told apart by its first bytes and, for a `.tar`, by its extension.
pub(crate) fn list(path: &Path, root: String) -> Result<Listing, DataError> {
    list_up_to(path, root, Limits::default())
}

fn list_up_to(path: &Path, root: String, limits: Limits) -> Result<Listing, DataError> {
    let mut file = File::open(path).map_err(|source| DataError::io("open", &root, source))?;
    let kind = Kind::of(&mut file, path).map_err(|source| DataError::io("read", &root, source))?;
    let metadata = file.metadata().map_err(|source| DataError::io("read", &root, source))?;
    let stamp = Stamp::of(&metadata);
    let mut members = Members { limits, ..Members::default() };
    let damaged = |error| archive_error(&root, &error);
    let (images, storage) = match kind {
        None => return Err(DataError::UnknownSource { path: root }),
        Some(Kind::Plain) => {
            members.index(&mut file).map_err(damaged)?;
            let (images, ranges) = members.images();
            (images, Storage::Archive(ArchiveFile::new(file, path), ranges, stamp))
        }
        Some(Kind::Gzip) => {
            let unpacked = members.unpack(MultiGzDecoder::new(BufReader::new(file))).map_err(damaged)?;
            let (images, ranges) = members.images();
            let too_large = DataError::ArchiveTooLarge { path: root.clone(), limit: limits.unpacked >> 20 };
            (images, Storage::Memory(unpacked.ok_or(too_large)?, ranges, stamp))
        }
    };
    if let Some(folder) = members.alike {
        return Err(two_folders(root, &folder));
    }
    let images = images.iter().map(String::as_str).collect();
    if let Some(linked) = members.linked.summary() {
        log::warn!("{root}: {linked}");
    }
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
    /// By their paths from the root on: `1.png` and `./1.png` are one.
    images: BTreeMap<PathBuf, (String, Range)>,
    linked: LinkedMembers,
    folders: BTreeSet<String>,
    /// The folders whose names are not Unicode, by how they are shown.
    not_unicode: BTreeMap<String, PathBuf>,
    /// How two of these are both shown.
    alike: Option<String>,
    others: OtherFiles,
    limits: Limits,
    /// Bytes that the paths take, at most.
    paths: u64,
}

impl Members {
    /// Notes where the members of a `.tar` are, without reading them.
    fn index(&mut self, file: &mut File) -> io::Result<()> {
        let mut extent = Extent::of(Some(file.metadata()?.len()));
        for entry in Archive::new(file).entries_with_seek()? {
            let entry = entry?;
            extent.pass(&entry)?;
            let (start, length) = (entry.raw_file_position(), entry.size());
            if let Some((key, path)) = self.visit(&entry)? {
                self.images.insert(key, (path, Range { start, length }));
            }
        }
        extent.check_end()
    }

    /// Unpacks the image files of a `.tar`; `None` when they take more bytes than they may.
    fn unpack(&mut self, source: impl Read) -> io::Result<Option<Vec<u8>>> {
        let mut unpacked = Vec::new();
        let mut extent = Extent::of(None);
        let headers = HeaderLimit::new(self.limits.headers);
        let mut archive = Archive::new(headers.watch(source));
        for entry in archive.entries()? {
            let mut entry = entry?;
            extent.pass(&entry)?;
            headers.pass(&entry)?;
            if let Some((key, path)) = self.visit(&entry)? {
                let (start, length) = (unpacked.len() as u64, entry.size());
                if length > self.limits.unpacked - start {
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
        headers.lift();
        let mut source = archive.into_inner();
        io::copy(&mut source, &mut io::sink())?;
        extent.ends_at(source.bytes).check_end()?;
        Ok(Some(unpacked))
    }

    /// Notes folders and hard links; returns key and path of an image file with content of its own.
    fn visit(&mut self, entry: &Entry<'_, impl Read>) -> io::Result<Option<(PathBuf, String)>> {
        let key = from_root(&entry.path()?);
        let Some(path) = member_path(&entry.path()?) else { return Ok(None) };
        self.count(&path)?;
        self.tell_apart(&key, &path);
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
                let target = entry.link_name()?.and_then(|target| self.images.get(&from_root(&target)));
                match target.cloned() {
                    Some((_, place)) => {
                        add_folders(&mut self.folders, parent(&path));
                        self.images.insert(key, (path, place));
                    }
                    None => self.linked.add(&path),
                }
            }
            _ if has_image_extension(&key) => self.linked.add(&path),
            _ => {}
        }
        Ok(None)
    }

    /// Counts what the path of a member and those of the folders above it take: each of these is kept, so that few deep
    /// paths could fill the memory.
    fn count(&mut self, path: &str) -> io::Result<()> {
        let folder = parent(path);
        let new_folders = match self.folders.contains(folder) {
            true => 0,
            false => folder.matches('/').count() as u64 + 1,
        };
        self.paths += path.len() as u64 * (1 + new_folders);
        if self.paths > self.limits.paths {
            let most = self.limits.paths >> 20;
            let words = format!("the paths of its members take more than {most} MiB");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
        }
        Ok(())
    }

    /// Looks for folders that are shown alike among those of a member.
    fn tell_apart(&mut self, key: &Path, path: &str) {
        let (mut exact, mut shown) = (key.parent(), parent(path));
        while let Some(folder) = exact.filter(|_| shown.contains(char::REPLACEMENT_CHARACTER)) {
            let known = self.not_unicode.entry(shown.to_owned()).or_insert_with(|| folder.to_owned());
            if known != folder {
                self.alike.get_or_insert_with(|| shown.to_owned());
            }
            (exact, shown) = (folder.parent(), parent(shown));
        }
    }

    /// Paths and places of the images, sorted by path.
    fn images(&mut self) -> (Vec<String>, Vec<Range>) {
        let mut images: Vec<_> = std::mem::take(&mut self.images).into_values().collect();
        images.sort_by(|(path, _), (other, _)| path.cmp(other));
        images.into_iter().unzip()
    }
}

/// The path of a member without what means the root, such as a leading `./`.
fn from_root(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)).collect()
}

#[cfg(test)]
mod tests;
