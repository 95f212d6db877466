//! The folder that all tools of the hub share.
//!
//! The layout is that of Python's `huggingface_hub` (`docs/source/en/guides/manage-cache.md` there):
//!
//! ```text
//! models--ORGANISATION--NAME/
//!     blobs/CHECKSUM                  content; CHECKSUM.incomplete while it arrives
//!     snapshots/COMMIT/FILE           a link to a blob
//!     refs/REVISION                   the commit that a branch or tag means
//!     .no_exist/COMMIT/FILE           empty: the repository has no such file
//! .locks/models--ORGANISATION--NAME/CHECKSUM.lock
//! ```
//!
//! Two things are different: an unfinished file keeps its name, so that the next download continues it (Python
//! 2.4 gives each a name of its own and throws it away), and a revision is noted after the file is there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use convnext_io::replace_file;

use crate::checksum::Checksum;
use crate::error::HubError;
use crate::model::is_commit;

/// Content of `CACHEDIR.TAG`, which tells programs for backups to leave the folder out, word for word as
/// Python writes it.
const CACHE_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by huggingface_hub.
# For information about cache directory tags, see:
#\thttps://bford.info/cachedir/
";

/// The part of the cache that belongs to one repository.
pub(crate) struct RepositoryCache<'a> {
    cache: &'a Path,
    name: String,
}

impl<'a> RepositoryCache<'a> {
    pub(crate) fn new(cache: &'a Path, repository: &str) -> Self {
        Self { cache, name: format!("models--{}", repository.replace('/', "--")) }
    }

    fn folder(&self) -> PathBuf {
        self.cache.join(&self.name)
    }

    /// Path of the content of a file.
    pub(crate) fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.folder().join("blobs").join(checksum.digits())
    }

    /// Path of the content of a file while it arrives.
    pub(crate) fn unfinished(&self, checksum: &Checksum) -> PathBuf {
        self.folder().join("blobs").join(format!("{}.incomplete", checksum.digits()))
    }

    fn snapshot(&self, commit: &str, file: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit).join(file)
    }

    fn absence(&self, commit: &str, file: &str) -> PathBuf {
        self.folder().join(".no_exist").join(commit).join(file)
    }

    /// The commit that a revision meant when it was last asked for.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.folder().join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// A file of a commit, if it is here.
    pub(crate) fn find(&self, commit: &str, file: &str) -> Option<PathBuf> {
        Some(self.snapshot(commit, file)).filter(|path| path.is_file())
    }

    /// `true` if it is known that a commit has no such file.
    pub(crate) fn lacks(&self, commit: &str, file: &str) -> bool {
        self.absence(commit, file).is_file()
    }

    /// Notes that a commit has no such file. Without the note the question is only asked again.
    pub(crate) fn note_absence(&self, commit: &str, file: &str) {
        let path = self.absence(commit, file);
        if let Some(folder) = path.parent()
            && fs::create_dir_all(folder).is_ok()
        {
            let _ = File::create(path);
        }
    }

    /// Notes which commit a revision means. A cache that may not be written to is used as it is.
    pub(crate) fn note_commit(&self, revision: &str, commit: &str) {
        let path = self.folder().join("refs").join(revision);
        let known = fs::read_to_string(&path).is_ok_and(|text| text == commit);
        if revision == commit || known {
            return;
        }
        if let Some(folder) = path.parent()
            && fs::create_dir_all(folder).is_ok()
        {
            let _ = replace_file(&path, |mut file| file.write_all(commit.as_bytes()));
        }
    }

    /// Waits until no other process downloads the same content, and keeps others waiting until the file is
    /// dropped. `None` on file systems without locks, where each process trusts its own luck: what they write is the
    /// same, and it is checked.
    pub(crate) fn lock(&self, checksum: &Checksum) -> Result<Option<File>, HubError> {
        let folder = self.cache.join(".locks").join(&self.name);
        fs::create_dir_all(&folder).map_err(HubError::cache(&folder))?;
        let path = folder.join(format!("{}.lock", checksum.digits()));
        let open = File::options().create(true).write(true).truncate(false).open(&path);
        let file = open.map_err(HubError::cache(&path))?;
        match file.lock() {
            Ok(()) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(HubError::cache(&path)(error)),
        }
    }

    /// Makes the folders for blobs, and marks a new cache as one.
    pub(crate) fn prepare(&self) -> Result<(), HubError> {
        let blobs = self.folder().join("blobs");
        fs::create_dir_all(&blobs).map_err(HubError::cache(&blobs))?;
        let tag = self.cache.join("CACHEDIR.TAG");
        if !tag.exists() {
            // Nobody needs it but backups.
            let _ = fs::write(tag, CACHE_TAG);
        }
        Ok(())
    }

    /// Gives a blob its name in a commit.
    pub(crate) fn link(&self, commit: &str, file: &str, checksum: &Checksum) -> Result<PathBuf, HubError> {
        let path = self.snapshot(commit, file);
        if path.is_file() {
            return Ok(path);
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(HubError::cache(folder))?;
        }
        // A link whose blob somebody has removed.
        if path.is_symlink() {
            fs::remove_file(&path).map_err(HubError::cache(&path))?;
        }
        let target = Path::new("../../blobs").join(checksum.digits());
        let blob = self.blob(checksum);
        // Some systems allow no symbolic links, or none to everybody.
        symbolic_link(&target, &path)
            .or_else(|_| fs::hard_link(&blob, &path))
            .or_else(|_| fs::copy(&blob, &path).map(|_| ()))
            .map_err(HubError::cache(&path))?;
        Ok(path)
    }
}

#[cfg(unix)]
fn symbolic_link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symbolic_link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(any(unix, windows)))]
fn symbolic_link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
