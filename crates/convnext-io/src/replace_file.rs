//! Files that are whole at any moment.

use std::fs::File;
use std::io;
use std::path::Path;

/// End of the names of unfinished files; they begin with a dot.
pub const UNFINISHED_SUFFIX: &str = ".tmp";

/// Writes a file beside `path`, brings it to the disk and renames it: at any moment either the old file
/// or the whole new one stands there, even if the machine loses its power. A process that is killed
/// leaves at most a file `.NAME.RANDOM.tmp` behind.
///
/// # Errors
/// What `write` and the system report; the old file is then untouched.
pub fn replace_file(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(UNFINISHED_SUFFIX);
    // A temporary file is private by default; results get what the user's umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder)?;
    write(temporary.as_file())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // The new name is on the disk only once the folder is.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}
