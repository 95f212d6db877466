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
/// What `write` and the system report; the old file is then untouched.
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

    /// Path of the unfinished file.
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Brings the file to the disk and to its place.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.place).map_err(|error| error.error)?;
        // The new name is on the disk only once the folder is.
        #[cfg(unix)]
        File::open(folder_of(&self.place))?.sync_all()?;
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
