//! A file that gets its name when it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::bail;

/// A file that is not whole yet, which is removed where it does not become so.
pub(super) struct PartFile {
    path: PathBuf,
    /// The name that it gets; none where it is written to directly, as a pipe or a device is.
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
            Ok(found) if !found.is_file() || is_open_file(path) => {
                Self { path: path.to_owned(), becomes: None }
            }
            _ => {
                let mut name = path.as_os_str().to_owned();
                name.push(".part");
                Self { path: name.into(), becomes: Some(path.to_owned()) }
            }
        };
        let file = File::create(&part.path).map_err(|error| part.cannot_write(error))?;
        Ok((part, file))
    }

    /// An error of writing it, in words, under the name that it was to get.
    pub(super) fn cannot_write(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        cannot_write(self.becomes.as_ref().unwrap_or(&self.path), error)
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        match self.becomes.take() {
            None => Ok(()),
            Some(path) => fs::rename(&self.path, &path).map_err(|error| cannot_write(&path, error)),
        }
    }
}

/// `true` for a link of the system to a file that is open already, as `/dev/stdout` is: a file renamed over it would take its
/// place for all programs.
fn is_open_file(path: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder)) && path.is_symlink()
}

/// An error of writing a file, in words: why, and what to do. Only the outermost words are shown, so the cause is in them.
pub(super) fn cannot_write(place: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    let words = format!(
        "cannot write {}: {error}; check that its folder is there and may be written, and the space on the disk",
        place.display()
    );
    // The cause stays below the words: a reader of a pipe who has gone is none to complain about.
    error.context(words)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::cli::output::is_broken_pipe;

    /// Bug: a file that may not be written, or whose disk is full, was all the same "cannot write FILE.part".
    #[test]
    fn what_cannot_be_written_is_named_as_typed_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone").join("answers.csv");
        let words = PartFile::create(&path).err().unwrap().to_string();
        assert!(words.contains("answers.csv: No such file") && !words.contains(".part"), "{words}");
        let (part, _) = PartFile::create(&folder.path().join("answers.csv")).unwrap();
        let words = part.cannot_write(io::Error::from(io::ErrorKind::StorageFull)).to_string();
        assert!(words.contains("answers.csv: no storage space") && !words.contains(".part"), "{words}");
    }

    /// Bug: standard output that goes into a file lost its name: the table took the place of `/dev/stdout`.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_open_is_written_to_under_its_name() {
        use std::io::Write;
        use std::os::fd::AsRawFd;

        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("answers.csv");
        let open = File::create(&place).unwrap();
        let name = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        let (part, mut file) = PartFile::create(&name).unwrap();
        file.write_all(b"whole").unwrap();
        part.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert!(name.is_symlink());
    }

    #[test]
    fn a_reader_who_has_gone_is_still_known() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&cannot_write(Path::new("pipe"), error)));
    }
}
