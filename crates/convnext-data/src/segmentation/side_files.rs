//! Files beside images that say something about them: lists of parts, tables of classes, annotations.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::Archive;

use crate::datasets::listing::Listing;
use crate::datasets::relative::member_path;
use crate::error::DataError;

/// Files by their relative paths.
pub(crate) type SideFiles = BTreeMap<String, Vec<u8>>;

/// Reads the files of a folder or an archive whose relative path is wanted.
///
/// # Errors
/// [`DataError::Io`] or [`DataError::Archive`] when the data cannot be read.
pub(crate) fn side_files(
    path: &Path,
    listing: &Listing,
    wanted: impl Fn(&str) -> bool,
) -> Result<SideFiles, DataError> {
    if !listing.is_archive {
        return in_folders(path, listing, wanted);
    }
    let damaged =
        |error: io::Error| DataError::Archive { path: listing.root.clone(), why: error.to_string() };
    let file = File::open(path).map_err(|source| DataError::io("open", &listing.root, source))?;
    let mut file = BufReader::new(file);
    let is_compressed = io::BufRead::fill_buf(&mut file).map_err(damaged)?.starts_with(&[0x1F, 0x8B]);
    let found = match is_compressed {
        true => in_archive(MultiGzDecoder::new(file), wanted),
        false => in_archive(file, wanted),
    };
    found.map_err(damaged)
}

fn in_archive(source: impl Read, wanted: impl Fn(&str) -> bool) -> io::Result<SideFiles> {
    let mut found = SideFiles::new();
    for entry in Archive::new(source).entries()? {
        let mut entry = entry?;
        let path = member_path(&entry.path()?);
        if let Some(path) = path.filter(|path| entry.header().entry_type().is_file() && wanted(path)) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            found.insert(path, bytes);
        }
    }
    Ok(found)
}

fn in_folders(root: &Path, listing: &Listing, wanted: impl Fn(&str) -> bool) -> Result<SideFiles, DataError> {
    let mut found = SideFiles::new();
    for folder in std::iter::once("").chain(listing.folders.iter().map(String::as_str)) {
        // A folder whose name is not Unicode is not found again; it has no such files.
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if wanted(&path) && entry.path().is_file() {
                let read = fs::read(entry.path());
                let bytes = read.map_err(|source| DataError::io("read", listing.name(&path), source))?;
                found.insert(path, bytes);
            }
        }
    }
    Ok(found)
}
