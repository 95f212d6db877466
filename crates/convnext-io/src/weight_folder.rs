//! A folder stands for the weights in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{IoError, read_error};
use crate::run_files::{
    AVERAGED_WEIGHTS_FILE, BEST_WEIGHTS_FILE, CHECKPOINTS_FOLDER, CONFIG_FILE, WEIGHTS_FILE,
};

/// Our own weights in a run folder, the best first.
const OF_RUN: [&str; 3] = [BEST_WEIGHTS_FILE, AVERAGED_WEIGHTS_FILE, WEIGHTS_FILE];

/// Names of weight files in saved folders, in the order in which programs look for them: the same weights may
/// stand there in two formats.
const OF_PACKAGES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Extensions of weight files.
const EXTENSIONS: [&str; 6] = [".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pth.tar"];
const INDEX_EXTENSION: &str = ".index.json";

/// Names that a message lists before it only counts.
const LISTED: usize = 10;

/// The file of the weights: `path` itself, or what lies in it if it is a folder.
///
/// Of a run folder that is the best weights (of a classifier `weights-best.safetensors`), of a folder that timm,
/// transformers or `convert` wrote `model.safetensors`, `pytorch_model.bin` or the index of several such files, and of
/// any other folder the only weight file in it.
///
/// # Errors
/// [`IoError::NoWeightsInFolder`] and [`IoError::SeveralFilesInFolder`], which name what is there; [`IoError::Read`].
pub fn find_weights(path: &Path) -> Result<PathBuf, IoError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let names = names(path)?;
    let is_there = |name: &&str| names.contains(*name);
    if let Some(found) = OF_RUN.into_iter().find(is_there) {
        let others: Vec<&str> = OF_RUN.into_iter().filter(|name| *name != found && is_there(name)).collect();
        if !others.is_empty() {
            log::info!("{}: {found} is used, not {}", path.display(), others.join(", "));
        }
        return Ok(path.join(found));
    }
    if let Some(found) = OF_PACKAGES.into_iter().find(is_there) {
        return Ok(path.join(found));
    }
    let weights = weights_among(&names);
    match weights.as_slice() {
        [only] => Ok(path.join(only)),
        [] => Err(IoError::NoWeightsInFolder { path: path.to_owned(), found: inside(path, &names) }),
        several => {
            let found = several.iter().map(|&name| name.to_owned()).collect();
            Err(IoError::SeveralFilesInFolder { path: path.to_owned(), found })
        }
    }
}

fn names(folder: &Path) -> Result<BTreeSet<String>, IoError> {
    let fail = |source| read_error(folder, source);
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        // Names that are no text belong to no program that is known here.
        names.extend(entry.map_err(fail)?.file_name().into_string());
    }
    Ok(names)
}

/// The weight files; an index stands for the files that it belongs to.
fn weights_among(names: &BTreeSet<String>) -> Vec<&str> {
    let is_hidden = |name: &str| name.starts_with('.');
    let ends = |name: &str, extension: &str| name.to_lowercase().ends_with(extension);
    let visible = || names.iter().map(String::as_str).filter(|name| !is_hidden(name));
    let indices: Vec<&str> = visible().filter(|name| ends(name, INDEX_EXTENSION)).collect();
    if !indices.is_empty() {
        return indices;
    }
    visible().filter(|name| EXTENSIONS.iter().any(|extension| ends(name, extension))).collect()
}

/// Content of a folder without weights, as text.
fn inside(folder: &Path, names: &BTreeSet<String>) -> String {
    let of_run = names.contains(CONFIG_FILE) && names.contains(CHECKPOINTS_FOLDER);
    if of_run {
        let checkpoints = names_in(&folder.join(CHECKPOINTS_FOLDER));
        return format!(
            "a run that has not written its weights yet; its {CHECKPOINTS_FOLDER} folder holds {}",
            list(&checkpoints)
        );
    }
    list(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn names_in(folder: &Path) -> Vec<String> {
    names(folder).map(|names| names.into_iter().collect()).unwrap_or_default()
}

fn list(names: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    match names.len().checked_sub(LISTED) {
        _ if names.is_empty() => "nothing".to_owned(),
        Some(more @ 1..) => format!("{} and {more} more", first.join(", ")),
        _ => first.join(", "),
    }
}
