//! The images below a folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use crate::datasets::extensions::{OtherFiles, has_image_extension};
use crate::datasets::listing::Listing;
use crate::datasets::paths::Paths;
use crate::datasets::relative::{is_hidden, two_folders};
use crate::datasets::storage::Storage;
use crate::error::DataError;

/// The label files that Hugging Face's `datasets` looks for beside images.
const METADATA_FILES: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];

/// Lists a folder at any depth.
pub(crate) fn list(path: &Path, root: String) -> Result<Listing, DataError> {
    let mut listing = Listing {
        root,
        is_archive: false,
        images: Paths::default(),
        folders: BTreeSet::new(),
        archives: BTreeMap::new(),
        others: OtherFiles::default(),
        metadata: None,
        storage: Storage::Folder(path.to_owned()),
        keeps_index: true,
    };
    let real = fs::canonicalize(path).map_err(|source| DataError::io("open", &listing.root, source))?;
    listing.walk(path, "", true, &mut vec![real])?;
    Ok(listing)
}

impl Listing {
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
                let shown = format!("{relative}{bare_name}");
                if self.folders.contains(&shown) {
                    return Err(two_folders(self.root.clone(), &shown));
                }
                self.folders.insert(shown);
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
