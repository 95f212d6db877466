//! Files beside images that say something about them: lists of parts, tables of classes, annotations.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::Archive;

use crate::datasets::listing::Listing;
use crate::datasets::relative::{is_hidden, member_path, parent};
use crate::error::DataError;

/// Files by their relative paths.
pub(crate) type SideFiles = BTreeMap<String, Vec<u8>>;

/// What is done with a file: its relative path and its bytes, from the first on.
type Visit<'a> = &'a mut dyn FnMut(&str, &mut dyn Read) -> Result<(), DataError>;

/// Reads the files of a folder or an archive whose relative path is wanted.
///
/// # Errors
/// [`DataError::Io`] or [`DataError::Archive`] when the data cannot be read.
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
    let damaged =
        |error: io::Error| DataError::Archive { path: listing.root.clone(), why: error.to_string() };
    let file = File::open(path).map_err(|source| DataError::io("open", &listing.root, source))?;
    let mut file = BufReader::new(file);
    let is_compressed = io::BufRead::fill_buf(&mut file).map_err(damaged)?.starts_with(&[0x1F, 0x8B]);
    match is_compressed {
        true => in_archive(listing, MultiGzDecoder::new(file), wanted, visit),
        false => in_archive(listing, file, wanted, visit),
    }
}

fn in_archive(
    listing: &Listing,
    source: impl Read,
    wanted: impl Fn(&str) -> bool,
    visit: Visit<'_>,
) -> Result<(), DataError> {
    let damaged =
        |error: io::Error| DataError::Archive { path: listing.root.clone(), why: error.to_string() };
    for entry in Archive::new(source).entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = member_path(&entry.path().map_err(damaged)?);
        if let Some(path) = path.filter(|path| entry.header().entry_type().is_file() && wanted(path)) {
            visit(&path, &mut entry)?;
        }
    }
    Ok(())
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
