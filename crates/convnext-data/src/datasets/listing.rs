//! The images below a folder or in an archive, as relative paths: one form for every kind of source.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    path::{Component, Path, PathBuf},
};

use crate::datasets::archive;
use crate::datasets::extensions::{OtherFiles, expected_extensions, has_image_extension};
use crate::datasets::paths::Paths;
use crate::datasets::storage::Storage;
use crate::error::DataError;

/// The label files that Hugging Face's `datasets` looks for beside images.
const METADATA_FILES: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];

/// All images below a root and all folders, with or without images.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The folder or archive as the user named it.
    pub(crate) root: String,
    /// `true` when the root is an archive.
    pub(crate) is_archive: bool,
    /// Paths of the images below the root, sorted.
    pub(crate) images: Paths,
    /// Relative paths of all folders.
    pub(crate) folders: BTreeSet<String>,
    /// The `.tar` files of each folder, by its relative path; none of an archive.
    pub(crate) archives: BTreeMap<String, Vec<PathBuf>>,
    /// The files that are left out.
    pub(crate) others: OtherFiles,
    /// The first label file among the images that nobody asked for, by its relative path.
    pub(crate) metadata: Option<String>,
    /// Storage of the bytes.
    pub(crate) storage: Storage,
}

impl Listing {
    /// Lists a folder, a `.tar` or a compressed `.tar`.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let root = path.display().to_string();
        let metadata = fs::metadata(path).map_err(|source| DataError::io("open", &root, source))?;
        let mut listing =
            if metadata.is_dir() { Self::of_folder(path, root)? } else { archive::list(path, root)? };
        // Samples are numbered with 32 bits.
        let (count, most) = (listing.images.len(), u32::MAX as usize);
        DataError::check(count < most, "number of images", count, "below 4294967295")?;
        listing.images.shrink();
        listing.check_not_mixed()?;
        if listing.images.len() > 0
            && let Some(others) = listing.others.summary()
        {
            log::warn!("{}: {others}", listing.root);
        }
        Ok(listing)
    }

    /// Refuses shards and images beside each other: one of them would be left out.
    fn check_not_mixed(&self) -> Result<(), DataError> {
        let (images, Some(shard)) = (self.images.len(), self.archives.values().flatten().next()) else {
            return Ok(());
        };
        if images == 0 {
            return Ok(());
        }
        let shards: usize = self.archives.values().map(Vec::len).sum();
        Err(DataError::Layout {
            path: self.name(""),
            found: format!(
                "it holds {images} image(s), the first {}, and {shards} .tar file(s), the first {}, which would be shards",
                self.name(self.images.get(0)),
                shard.display()
            ),
            advice:
                "move the images or the .tar files elsewhere, or give the path of a folder with only one kind"
                    .into(),
        })
    }

    /// Checks that there is an image.
    pub(crate) fn with_images(self) -> Result<Self, DataError> {
        if self.images.len() == 0 { Err(self.no_images("")) } else { Ok(self) }
    }

    /// The error for a folder of this listing without images.
    pub(crate) fn no_images(&self, folder: &str) -> DataError {
        let mut expected = expected_extensions();
        if let Some(others) = self.others.summary().filter(|_| self.images.len() == 0) {
            expected += &format!("; {others}");
        }
        DataError::NoImages { path: self.name(folder), expected }
    }

    /// The name of a file or folder in messages: `folder/path` or `archive.tar: path`.
    pub(crate) fn name(&self, path: &str) -> String {
        match path {
            "" => self.root.clone(),
            path if self.is_archive => format!("{}: {path}", self.root),
            path => format!("{}/{path}", self.root.trim_end_matches(['/', '\\'])),
        }
    }

    fn of_folder(path: &Path, root: String) -> Result<Self, DataError> {
        let mut listing = Self {
            root,
            is_archive: false,
            images: Paths::default(),
            folders: BTreeSet::new(),
            archives: BTreeMap::new(),
            others: OtherFiles::default(),
            metadata: None,
            storage: Storage::Folder(path.to_owned()),
        };
        let real = fs::canonicalize(path).map_err(|source| DataError::io("open", &listing.root, source))?;
        listing.walk(path, "", true, &mut vec![real])?;
        Ok(listing)
    }

    /// Adds everything below `folder`, in order. `relative` is empty or ends in `/`; it is `exact` when it
    /// leads to the folder, which it does not where a name is not Unicode. `open` holds the real paths of
    /// the folders being walked, so that a link to one of them is not followed in circles.
    fn walk(
        &mut self,
        folder: &Path,
        relative: &str,
        exact: bool,
        open: &mut Vec<PathBuf>,
    ) -> Result<(), DataError> {
        for Entry { name, other_name } in sorted_entries(folder)? {
            let path = || folder.join(other_name.as_deref().unwrap_or(OsStr::new(&name)));
            let exact = exact && other_name.is_none();
            if let Some(bare_name) = name.strip_suffix('/') {
                let path = path();
                let real = fs::canonicalize(&path).map_err(|source| failed(&path, source))?;
                if open.contains(&real) {
                    continue;
                }
                self.folders.insert(format!("{relative}{bare_name}"));
                open.push(real);
                self.walk(&path, &format!("{relative}{name}"), exact, open)?;
                open.pop();
            } else if has_image_extension(Path::new(&name)) {
                if exact {
                    self.images.push(relative, &name);
                } else {
                    self.images.push_exact(relative, &name, path());
                }
            } else if Path::new(&name).extension().is_some_and(|found| found.eq_ignore_ascii_case("tar")) {
                self.archives.entry(relative.trim_end_matches('/').to_owned()).or_default().push(path());
            } else {
                if self.metadata.is_none() && METADATA_FILES.contains(&name.as_str()) {
                    self.metadata = Some(format!("{relative}{name}"));
                }
                self.others.add(Path::new(&name));
            }
        }
        Ok(())
    }
}

/// A file or folder that is not hidden.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Ends in `/` for a folder, so that the order of names is that of the paths below them.
    name: String,
    /// The name as it is, when it is not Unicode.
    other_name: Option<OsString>,
}

/// Content of a folder. Only links are looked at one by one, because that costs time.
fn sorted_entries(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        let entry = entry.map_err(|source| failed(folder, source))?;
        let (mut name, other_name) = match entry.file_name().into_string() {
            Ok(name) => (name, None),
            Err(name) => (name.to_string_lossy().into_owned(), Some(name)),
        };
        if is_hidden(&name) {
            continue;
        }
        let kind = entry.file_type().map_err(|source| failed(&entry.path(), source))?;
        // A link to nowhere counts as a file: whoever reads it learns its name.
        let target = kind.is_symlink().then(|| fs::metadata(entry.path()).ok()).flatten();
        let kind = target.map_or(kind, |target| target.file_type());
        if kind.is_dir() {
            name.push('/');
        } else if !(kind.is_file() || kind.is_symlink()) {
            // Whoever reads from a pipe waits for another program, perhaps without end.
            if has_image_extension(Path::new(&name)) {
                log::warn!(
                    "{}: it is no file but a pipe, socket or device, and left out",
                    entry.path().display()
                );
            }
            continue;
        }
        entries.push(Entry { name, other_name });
    }
    entries.sort_unstable();
    Ok(entries)
}

fn failed(path: &Path, source: std::io::Error) -> DataError {
    DataError::io("read", path.display().to_string(), source)
}

/// The path of an archive's member with `/` between its parts; `None` when a part is hidden.
pub(crate) fn member_path(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            // A leading `./` or `/` means the root of the archive.
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return None,
        }
    }
    (!parts.iter().any(|part| is_hidden(part))).then(|| parts.join("/"))
}

/// Hidden files, and the folder of resource forks that archives from macOS carry.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// Adds a folder and all folders above it.
pub(crate) fn add_folders(folders: &mut BTreeSet<String>, mut folder: &str) {
    while !folder.is_empty() && folders.insert(folder.to_owned()) {
        folder = parent(folder);
    }
}

/// The folder that holds a path; empty at the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(listing: &Listing) -> Vec<&str> {
        listing.images.iter().collect()
    }

    #[test]
    fn images_are_found_in_order_and_hidden_files_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for file in
            ["b/2.PNG", "b/10.jpeg", "a.Tiff", ".hidden.png", "__MACOSX/x.png", ".git/x.png", "notes.txt"]
        {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let listing = Listing::open(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["a.Tiff", "b/10.jpeg", "b/2.PNG"]);
        assert!(listing.name("b/2.PNG").ends_with("/b/2.PNG"));
        assert_eq!(listing.folders.into_iter().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn the_order_is_that_of_whole_paths() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = ["a/1.png", "a-b/1.png", "a.png", "a0.png", "a/b/1.png", "a/b.png", "A/1.png"];
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        files.sort_unstable();
        assert_eq!(paths(&Listing::open(folder.path()).unwrap()), files);
    }

    #[test]
    fn missing_and_empty_sources_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let message = Listing::open(folder.path()).unwrap().with_images().unwrap_err().to_string();
        assert!(message.contains("no images found under") && message.contains(".webp"), "{message}");
        let message = Listing::open(&folder.path().join("gone")).unwrap_err().to_string();
        assert!(message.contains("cannot open") && message.contains("gone"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_followed_but_never_in_circles() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(folder.path().join("real/1.png"), "").unwrap();
        symlink(folder.path(), folder.path().join("real/loop")).unwrap();
        symlink(folder.path().join("real"), folder.path().join("linked")).unwrap();
        symlink(folder.path().join("nowhere"), folder.path().join("broken.png")).unwrap();
        let listing = Listing::open(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["broken.png", "linked/1.png", "real/1.png"]);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_sockets_and_devices_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file.png"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket.png")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("device.png")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("device.tar")).unwrap();
        let listing = Listing::open(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["file.png"]);
        assert!(listing.archives.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_unicode_are_read_under_a_similar_name() {
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9.png")), "bytes").unwrap();
        let listing = Listing::open(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["caf\u{fffd}.png"]);
        assert_eq!(listing.storage.read(&listing.images, 0).unwrap(), b"bytes");

        // Below a folder without a Unicode name, and in the order of the names that are shown.
        let inner = folder.path().join(OsStr::from_bytes(b"\xe9"));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("1.png"), "inner").unwrap();
        fs::write(folder.path().join("z.png"), "z").unwrap();
        let listing = Listing::open(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["caf\u{fffd}.png", "z.png", "\u{fffd}/1.png"]);
        let contents: Vec<Vec<u8>> =
            (0..3).map(|index| listing.storage.read(&listing.images, index).unwrap()).collect();
        assert_eq!(contents, [&b"bytes"[..], b"z", b"inner"]);
    }

    #[test]
    fn members_are_named_from_the_root() {
        assert_eq!(member_path(Path::new("./train/cat/1.png")).unwrap(), "train/cat/1.png");
        assert_eq!(member_path(Path::new("/train//1.png")).unwrap(), "train/1.png");
        assert_eq!(member_path(Path::new("__MACOSX/train/1.png")), None);
        assert_eq!(member_path(Path::new("train/._1.png")), None);
        assert_eq!(member_path(Path::new("../1.png")), None);
    }
}
