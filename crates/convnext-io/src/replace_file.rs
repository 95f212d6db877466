//! Files that are whole at any moment.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// End of the names of unfinished files; they begin with a dot.
pub const UNFINISHED_SUFFIX: &str = ".tmp";

/// Writes a file beside `path`, brings it to the disk and renames it: at any moment either the old file
/// or the whole new one stands there, even if the machine loses its power. A process that is killed
/// leaves at most a file `.NAME.RANDOM.tmp` behind.
///
/// # Errors
/// What `write` and the system report; the old file is then untouched, unless the new one is whole and in its place and
/// only the folder could not be brought to the disk.
pub fn replace_file(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let unfinished = UnfinishedFile::beside(path)?;
    write(unfinished.file())?;
    unfinished.finish()
}

/// A file beside its place, which is removed unless it is finished.
#[derive(Debug)]
pub(crate) struct UnfinishedFile {
    place: PathBuf,
    file: NamedTempFile,
}

impl UnfinishedFile {
    /// An empty file in the folder of `path`.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let prefix = format!(".{}.", name.to_string_lossy());
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(UNFINISHED_SUFFIX);
        // A temporary file is private by default; results get what the user's umask allows.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        Ok(Self { place: path.to_owned(), file: builder.tempfile_in(folder_of(path))? })
    }

    /// The unfinished file.
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Brings the file to the disk and to its place.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.place).map_err(|error| error.error)?;
        #[cfg(unix)]
        sync_folder(folder_of(&self.place))?;
        Ok(())
    }
}

/// Brings a folder to the disk: a new name in it is there only then. Folders that may not be read, and those of some
/// network file systems, cannot be brought there, which is no reason to call a file that is in its place a failure.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if is_of_folder(error.kind()) => Ok(()),
        synced => synced,
    }
}

/// `true` for what says of a folder that it cannot be brought to the disk, and nothing of the file in it.
#[cfg(unix)]
fn is_of_folder(error: io::ErrorKind) -> bool {
    matches!(
        error,
        io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    )
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Bug: a folder that may be written to and not be read gave an error after the file was in its place.
    #[test]
    fn a_folder_that_may_not_be_read_takes_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(&path, "old").unwrap();
        let permit = |mode: u32| fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        permit(0o300);
        let written = replace_file(&path, |mut file| file.write_all(b"new"));
        permit(0o700);
        written.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // Root may read every folder.
        assert!(is_of_folder(io::ErrorKind::PermissionDenied) && !is_of_folder(io::ErrorKind::StorageFull));
    }
}
