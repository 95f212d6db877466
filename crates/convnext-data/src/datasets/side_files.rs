//! Files beside images that say something about them: lists of parts, tables of classes, annotations.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::Archive;

use crate::datasets::archive::archive_error;
use crate::datasets::archive::headers::{HeaderLimit, MAX_HEADERS};
use crate::datasets::listing::Listing;
use crate::datasets::relative::{is_hidden, member_path, parent};
use crate::error::DataError;

/// The most that is read of the files beside the images of a compressed archive: 4 GiB. COCO's instances have 450 MB,
/// those of LVIS 1.1 GB, and files of LabelMe may hold all images, of which 2 GiB are unpacked, once more in base64.
const MAX_BESIDE: u64 = 4 << 30;

/// Files by their relative paths.
pub(crate) type SideFiles = BTreeMap<String, Vec<u8>>;

/// What is done with a file: its relative path and its bytes, from the first on.
type Visit<'a> = &'a mut dyn FnMut(&str, &mut dyn Read) -> Result<(), DataError>;

/// Reads the files of a folder or an archive whose relative path is wanted.
///
/// # Errors
/// [`DataError::Io`] or [`DataError::Archive`] when the data cannot be read, [`DataError::Unsupported`] for more than 4 GiB
/// in a compressed archive.
pub(crate) fn side_files(
    path: &Path,
    listing: &Listing,
    wanted: impl Fn(&str) -> bool,
) -> Result<SideFiles, DataError> {
    let mut found = SideFiles::new();
    visit_side_files(path, listing, wanted, &mut |file, content| {
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|source| DataError::io("read", listing.name(file), source))?;
        found.insert(file.to_owned(), bytes);
        Ok(())
    })?;
    Ok(found)
}

/// The relative paths of the files of a folder or an archive that are wanted, sorted.
///
/// # Errors
/// As [`side_files`].
pub(crate) fn side_names(
    path: &Path,
    listing: &Listing,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<String>, DataError> {
    let mut found = Vec::new();
    visit_side_files(path, listing, wanted, &mut |file, _| {
        found.push(file.to_owned());
        Ok(())
    })?;
    found.sort_unstable();
    Ok(found)
}

/// Visits the files of a folder or an archive whose relative path is wanted, as streams: they may be larger than memory.
///
/// # Errors
/// As [`side_files`], and those of `visit`.
pub(crate) fn visit_side_files(
    path: &Path,
    listing: &Listing,
    wanted: impl Fn(&str) -> bool,
    visit: Visit<'_>,
) -> Result<(), DataError> {
    if !listing.is_archive {
        return in_folders(path, listing, wanted, visit);
    }
    let damaged = |error| archive_error(&listing.root, &error);
    let file = File::open(path).map_err(|source| DataError::io("open", &listing.root, source))?;
    let mut file = BufReader::new(file);
    let is_compressed = io::BufRead::fill_buf(&mut file).map_err(damaged)?.starts_with(&[0x1F, 0x8B]);
    match is_compressed {
        true => in_archive(listing, MultiGzDecoder::new(file), MAX_BESIDE, wanted, visit),
        // Nothing is larger here than the archive itself.
        false => in_archive(listing, file, u64::MAX, wanted, visit),
    }
}

/// Visits files of an archive, of which so many bytes at most may be read.
fn in_archive(
    listing: &Listing,
    source: impl Read,
    most: u64,
    wanted: impl Fn(&str) -> bool,
    visit: Visit<'_>,
) -> Result<(), DataError> {
    let damaged = |error| archive_error(&listing.root, &error);
    let headers = HeaderLimit::new(MAX_HEADERS);
    let mut archive = Archive::new(headers.watch(source));
    let mut left = most;
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        headers.pass(&entry).map_err(damaged)?;
        let path = member_path(&entry.path().map_err(damaged)?);
        if let Some(path) = path.filter(|path| entry.header().entry_type().is_file() && wanted(path)) {
            let mut content = Limited { source: entry, left, is_exceeded: false };
            let visited = visit(&path, &mut content);
            // Who was told so while reading may have taken it for damage.
            if content.is_exceeded {
                return Err(too_large(listing.name(&path), most));
            }
            left = content.left;
            visited?;
        }
    }
    Ok(())
}

/// A stream of which so many bytes may be read.
struct Limited<R> {
    source: R,
    left: u64,
    is_exceeded: bool,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.is_exceeded |= left.is_none();
        self.left = left.unwrap_or(0);
        if self.is_exceeded { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(count) }
    }
}

fn too_large(name: String, most: u64) -> DataError {
    DataError::Unsupported {
        name,
        what: format!(
            "one of the files beside images that take more than {} MiB in a compressed archive",
            most >> 20
        ),
        advice: "unpack the archive into a folder, or decompress it to a .tar, which is read in place",
    }
}

fn in_folders(
    root: &Path,
    listing: &Listing,
    wanted: impl Fn(&str) -> bool,
    visit: Visit<'_>,
) -> Result<(), DataError> {
    for folder in std::iter::once("").chain(listing.folders.iter().map(String::as_str)) {
        // A folder whose name is not Unicode is not found again by it. That of images may have annotations beside them.
        if folder.contains(char::REPLACEMENT_CHARACTER) {
            if !listing.images.iter().any(|image| parent(image) == folder) {
                continue;
            }
            return Err(DataError::Layout {
                path: listing.name(folder),
                found: "its name is not Unicode, and annotations in it would not be found".into(),
                advice: "rename it".into(),
            });
        }
        let failed = |source| DataError::io("read", listing.name(folder), source);
        for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !is_hidden(&name) && wanted(&path) && entry.path().is_file() {
                let opened = File::open(entry.path());
                let mut file = opened.map_err(|source| DataError::io("read", listing.name(&path), source))?;
                visit(&path, &mut file)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::datasets::list_images::list_images;

    /// Bug: the annotations of a small compressed archive filled the memory.
    #[test]
    fn files_beside_images_do_not_fill_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.tgz");
        let file = File::create(&path).unwrap();
        let mut builder = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        for (member, length) in [("1.png", 500_usize), ("1.txt", 60), ("2.txt", 60)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(length as u64);
            builder.append_data(&mut header, member, &vec![b'7'; length][..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        let listing = list_images(&path).unwrap();
        let read = |most: u64| {
            let mut found = 0;
            let source = MultiGzDecoder::new(File::open(&path).unwrap());
            let wanted = |file: &str| file.ends_with(".txt");
            let visited = in_archive(&listing, source, most, wanted, &mut |_, content| {
                // As a parser that has words of its own for what cannot be read.
                found += io::copy(content, &mut io::sink()).unwrap_or(0);
                Ok(())
            });
            visited.map(|()| found)
        };
        assert_eq!(read(120).unwrap(), 120);
        let message = read(119).unwrap_err().to_string();
        assert!(message.contains("data.tgz: 2.txt is one of the files beside images"), "{message}");
        assert!(message.contains("decompress it to a .tar"), "{message}");
    }
}
