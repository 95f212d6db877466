//! A file that gets its name when it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A file that is not whole yet, which is removed where it does not become so.
pub(super) struct PartFile {
    path: PathBuf,
    /// The name that it gets; none where it is written to directly, as a pipe is.
    becomes: Option<PathBuf>,
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if self.becomes.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl PartFile {
    /// Begins a file; what was there before stays until [`Self::finish`].
    pub(super) fn create(path: &Path) -> anyhow::Result<(Self, File)> {
        let part = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                bail!("cannot write {}: it is a folder; name a file", path.display())
            }
            Ok(found) if !found.is_file() => Self { path: path.to_owned(), becomes: None },
            _ => {
                let mut name = path.as_os_str().to_owned();
                name.push(".part");
                Self { path: name.into(), becomes: Some(path.to_owned()) }
            }
        };
        let file = File::create(&part.path).with_context(|| part.cannot_write())?;
        Ok((part, file))
    }

    /// What to do about it when it cannot be written.
    pub(super) fn cannot_write(&self) -> String {
        cannot_write(&self.path)
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        match self.becomes.take() {
            None => Ok(()),
            Some(path) => fs::rename(&self.path, &path).with_context(|| cannot_write(&path)),
        }
    }
}

/// What to do about a file that cannot be written.
pub(super) fn cannot_write(place: &Path) -> String {
    format!("cannot write {}; check that its folder is there and the space on the disk", place.display())
}
