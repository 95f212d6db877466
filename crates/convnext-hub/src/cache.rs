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
//! 2.4 gives each a name of its own and throws it away), and a revision is noted after the file is there. Where there are no
//! locks, it has a name of its own here too, until its download fails.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
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

    /// What an earlier download left of the content of a file.
    fn left_over(&self, checksum: &Checksum) -> PathBuf {
        self.folder().join("blobs").join(format!("{}.incomplete", checksum.digits()))
    }

    /// Path of the content of a file while it arrives: under a lock where an earlier download left it. Without one each
    /// download has a path of its own and moves that there: of two with one path, the slower could write to the file
    /// after the faster had checked it and made it a blob.
    pub(crate) fn unfinished(&self, checksum: &Checksum, lock: Option<&File>) -> PathBuf {
        let left_over = self.left_over(checksum);
        if lock.is_some() {
            return left_over;
        }
        // Processes may have the same number on two machines.
        let number = RandomState::new().build_hasher().finish();
        let own = left_over.with_file_name(format!("{}.{number:016x}.incomplete", checksum.digits()));
        // One of several gets it, and the others begin anew.
        let _ = fs::rename(left_over, &own);
        own
    }

    /// Leaves what arrived at the path of a download for the next one.
    pub(crate) fn leave(&self, checksum: &Checksum, unfinished: &Path) {
        let left_over = self.left_over(checksum);
        if unfinished != left_over {
            // Without it the next one only begins anew.
            let _ = fs::rename(unfinished, left_over);
        }
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
    /// dropped. `None` on file systems without locks, where each process downloads for itself: what they write is the same,
    /// and it is checked.
    pub(crate) fn lock(&self, checksum: &Checksum) -> Result<Option<File>, HubError> {
        let folder = self.cache.join(".locks").join(&self.name);
        fs::create_dir_all(&folder).map_err(HubError::cache(&folder))?;
        let path = folder.join(format!("{}.lock", checksum.digits()));
        let open = File::options().create(true).write(true).truncate(false).open(&path);
        let file = open.map_err(HubError::cache(&path))?;
        match file.lock() {
            Ok(()) => Ok(Some(file)),
            Err(error) if is_without_locks(&error) => Ok(None),
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
        link_or_copy(&target, &self.blob(checksum), &path).map_err(HubError::cache(&path))?;
        Ok(path)
    }
}

/// Gives a blob a second name: by a symbolic link with this target, else a hard link, else a copy. Some systems allow
/// no links, or none to everybody.
fn link_or_copy(target: &Path, blob: &Path, path: &Path) -> io::Result<()> {
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    let linked = symbolic_link(target, path).or_else(|error| match is_taken(&error) {
        true => Err(error),
        false => fs::hard_link(blob, path),
    });
    match linked {
        Ok(()) => Ok(()),
        // Another process was faster. Its name leads to the blob: a copy written to it would empty the blob first.
        Err(error) if is_taken(&error) => path.is_file().then_some(()).ok_or(error),
        // A copy gets its name when it is whole, because whatever has the name counts as the file.
        Err(_) => replace_file(path, |mut file| io::copy(&mut File::open(blob)?, &mut file).map(drop)),
    }
}

/// `true` where a file system has no locks, or none now: network folders without a lock service.
fn is_without_locks(error: &io::Error) -> bool {
    /// ENOLCK of Linux, for which the standard library has no name.
    const NO_LOCKS_AVAILABLE: i32 = 37;
    let is_unavailable = cfg!(target_os = "linux") && error.raw_os_error() == Some(NO_LOCKS_AVAILABLE);
    is_unavailable || error.kind() == io::ErrorKind::Unsupported
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Bug: the slower of two processes copied the blob onto the link that the faster one had made to it, and so
    /// emptied it.
    #[test]
    fn a_name_that_another_process_was_faster_to_give_leaves_the_blob_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (blob, path) = (folder.path().join("blob"), folder.path().join("model.safetensors"));
        fs::write(&blob, "weights").unwrap();
        for _ in 0..2 {
            link_or_copy(Path::new("blob"), &blob, &path).unwrap();
            assert_eq!(fs::read_to_string(&blob).unwrap(), "weights");
        }
        let broken = folder.path().join("broken");
        symbolic_link(Path::new("nowhere"), &broken).unwrap();
        let error = link_or_copy(Path::new("blob"), &blob, &broken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    /// Bug: what an interrupted copy had written stayed under the name of the file, and counted as the file.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_interrupted_copy_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        // No link has so long a target or leads by a second name to another file system, so that it is copied.
        let too_long = PathBuf::from("x".repeat(10_000));
        link_or_copy(&too_long, Path::new("/proc/version"), &path).unwrap();
        assert!(!path.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), fs::read("/proc/version").unwrap());
        fs::remove_file(&path).unwrap();
        // It opens, and its first bytes cannot be read.
        link_or_copy(&too_long, Path::new("/proc/self/mem"), &path).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// Bug: a home on a network without a lock service was refused with the advice to check its permissions.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_network_folder_without_a_lock_service_has_no_locks() {
        assert!(is_without_locks(&io::Error::from_raw_os_error(37)));
        assert!(!is_without_locks(&io::ErrorKind::PermissionDenied.into()));
    }
}
