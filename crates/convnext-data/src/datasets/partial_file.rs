//! Files that appear whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// End of the names of what is written and has no place yet.
pub(crate) const PARTIAL: &str = ".partial";

/// A file that is written under a hidden name beside its place. Dropped before it is published, it is
/// removed.
#[derive(Debug)]
pub(crate) struct PartialFile {
    partial: PathBuf,
    path: PathBuf,
}

impl PartialFile {
    /// Creates the hidden file. Its name has the number of this process, so that two do not meet in it; a
    /// process that is killed leaves its own behind.
    pub(crate) fn create(path: &Path) -> io::Result<(Self, File)> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}{PARTIAL}", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial)?;
        Ok((Self { partial, path: path.to_owned() }, file))
    }

    /// Gives the file its name. Its bytes must be on the disk by now.
    pub(crate) fn publish(self) -> io::Result<()> {
        fs::rename(&self.partial, &self.path)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After publishing there is none.
        let _ = fs::remove_file(&self.partial);
    }
}
