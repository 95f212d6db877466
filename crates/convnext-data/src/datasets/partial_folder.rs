//! Folders whose content appears when all of it is written.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use crate::datasets::partial_file::PARTIAL;
use crate::datasets::relative::is_hidden;
use crate::error::DataError;

/// The content of a folder while it is written: a hidden folder in it. Dropped before it is published, it is removed with
/// all that it holds; a process that is killed leaves it behind.
#[derive(Debug)]
pub(crate) struct PartialFolder {
    hidden: PathBuf,
    out: PathBuf,
}

impl PartialFolder {
    /// Makes the folder `out` if needed, and the hidden one. That lies within and not beside it, so that what it holds need
    /// only be renamed, even where `out` is a link or a disk of its own.
    ///
    /// # Errors
    /// [`DataError::Layout`] when `out` holds files, or what a process that was killed has left; [`DataError::Io`] when it
    /// cannot be read or written.
    pub(crate) fn create(out: &Path) -> Result<Self, DataError> {
        check_free(out)?;
        let hidden = out.join(format!(".{}{PARTIAL}", std::process::id()));
        fs::create_dir_all(&hidden).map_err(|source| failed("create", &hidden, source))?;
        Ok(Self { hidden, out: out.to_owned() })
    }

    /// The folder to write to.
    pub(crate) fn path(&self) -> &Path {
        &self.hidden
    }

    /// Gives what was written its place, `last` after everything else: without it, what is there must not look whole.
    ///
    /// # Errors
    /// [`DataError::Io`]; what has its place by then keeps it.
    pub(crate) fn publish(self, last: Option<&str>) -> Result<(), DataError> {
        let names = fs::read_dir(&self.hidden)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>());
        let mut names: Vec<OsString> = names.map_err(|source| failed("read", &self.hidden, source))?;
        names.sort_by_cached_key(|name| (last.is_some_and(|last| name == last), name.clone()));
        for name in names {
            let place = self.out.join(&name);
            fs::rename(self.hidden.join(&name), &place).map_err(|source| failed("write", &place, source))?;
        }
        Ok(())
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        // After publishing it is empty.
        let _ = fs::remove_dir_all(&self.hidden);
    }
}

/// Refuses a folder that holds something. Hidden files are not in the way, but what a process that was killed has left is as
/// large as a data set, and nobody would see it.
fn check_free(out: &Path) -> Result<(), DataError> {
    let entries = match fs::read_dir(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| failed("read", out, source))?,
    };
    for entry in entries {
        let path = entry.map_err(|source| failed("read", out, source))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (found, advice) = if !is_hidden(&name) {
            (format!("it holds files already, such as {}", path.display()), "give a new folder")
        } else if name.ends_with(PARTIAL) {
            (
                format!(
                    "it holds {}, which a command that was stopped has left or one that runs is writing",
                    path.display()
                ),
                "delete it if none is running, or give a new folder",
            )
        } else {
            continue;
        };
        return Err(DataError::Layout { path: out.display().to_string(), found, advice: advice.into() });
    }
    Ok(())
}

/// The error of the operating system about a path.
pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> DataError {
    DataError::io(action, path.display().to_string(), source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn content_appears_when_it_is_published_and_not_after_an_error() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("deep/out");
        drop(PartialFolder::create(&out).unwrap());
        assert_eq!(names(&out), Vec::<String>::new());
        let partial = PartialFolder::create(&out).unwrap();
        fs::write(partial.path().join("data.yaml"), "a").unwrap();
        fs::create_dir(partial.path().join("images")).unwrap();
        assert!(names(&out).iter().all(|name| is_hidden(name)));
        partial.publish(Some("images")).unwrap();
        assert_eq!(names(&out), ["data.yaml", "images"]);
        let message = PartialFolder::create(&out).unwrap_err().to_string();
        assert!(message.contains("it holds files already") && message.contains("new folder"), "{message}");
    }

    #[test]
    fn what_makes_it_look_whole_goes_last() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path();
        let partial = PartialFolder::create(out).unwrap();
        for part in ["test", "train", "val"] {
            fs::create_dir(partial.path().join(part)).unwrap();
        }
        fs::create_dir_all(out.join("val/taken")).unwrap();
        let message = partial.publish(Some("train")).unwrap_err().to_string();
        assert!(message.contains("val"), "{message}");
        assert_eq!(names(out), ["test", "val"]);
    }

    /// Bug: the next call wrote as much beside it, and nobody was told.
    #[test]
    fn what_a_killed_process_has_left_is_named() {
        let root = tempfile::tempdir().unwrap();
        let (out, left) = (root.path(), root.path().join(".7.partial"));
        fs::create_dir_all(left.join("train")).unwrap();
        fs::write(out.join(".DS_Store"), "").unwrap();
        let message = PartialFolder::create(out).unwrap_err().to_string();
        assert!(message.contains(".7.partial") && message.contains("delete it"), "{message}");
        fs::remove_dir_all(left).unwrap();
        drop(PartialFolder::create(out).unwrap());
        assert_eq!(names(out), [".DS_Store"]);
    }
}
