//! Folders that a command fills with files, and what it may replace.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;

/// `--overwrite`
#[derive(Debug, Args)]
pub(crate) struct OverwriteArgument {
    /// Replace files of the same names that are there already, and use a folder that holds some
    #[arg(long)]
    pub(crate) overwrite: bool,
}

impl OverwriteArgument {
    /// Checks that a folder is free, or may be used all the same; a file is none. `flag` names it on the command line.
    pub(crate) fn check(&self, folder: &Path, flag: &str) -> anyhow::Result<()> {
        let is_used = || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if !self.overwrite && is_used() {
            bail!(
                "output folder {} is not empty; choose a new one with {flag}, or use it all the same with --overwrite, \
                 which replaces files of the same names",
                folder.display()
            );
        }
        Ok(())
    }

    /// [`Self::check`] for what may be a file as well: one that is there is kept. `flag` says what to give in its place.
    pub(crate) fn check_new(&self, place: &Path, flag: &str) -> anyhow::Result<()> {
        if !self.overwrite && place.is_file() {
            bail!("{} is there already; give {flag}, or replace the file with --overwrite", place.display());
        }
        self.check(place, flag)
    }

    /// [`Self::check`], and makes the folder where it is missing.
    pub(crate) fn make(&self, folder: &Path, flag: &str) -> anyhow::Result<()> {
        self.check(folder, flag)?;
        make_folder(folder)
    }
}

/// A file name without its extension; all of it where nothing would be left.
pub(crate) fn stem(file_name: &str) -> &str {
    match file_name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file_name,
    }
}

/// Makes a folder, and those above it, where they are missing.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).map_err(|error| {
        anyhow::anyhow!(
            "cannot make folder {}: {error}; check that no file is in its place and that it may be written",
            folder.display()
        )
    })
}

/// Refuses a folder that lies in one that is read, or the other way round: what is written could replace what is read.
pub(crate) fn check_apart(folder: &Path, sources: &[impl AsRef<Path>]) -> anyhow::Result<()> {
    let place = absolute(folder)?;
    for source in sources.iter().map(AsRef::as_ref) {
        let read = absolute(source)?;
        if place.starts_with(&read) || read.starts_with(&place) {
            bail!(
                "{} and {} lie one in the other, so that images could be replaced, or what is \
                 written be taken for images; choose a folder beside them",
                folder.display(),
                source.display()
            );
        }
    }
    Ok(())
}

/// The path without links, as far as it exists.
pub(crate) fn absolute(path: &Path) -> anyhow::Result<std::path::PathBuf> {
    let whole = std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))?;
    let existing = whole.ancestors().find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
    Ok(match existing {
        Some((above, real)) => match whole.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => whole,
    })
}
