//! Finding the image that a row of a label file means.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use unicode_normalization::UnicodeNormalization;

use crate::datasets::listing::Listing;
use crate::datasets::relative::{parent, without_extension};
use crate::datasets::storage::Storage;

/// The images of a listing by what people write for them, in this order: the path below the data; below the only
/// folder there is; below the folder of the label file; from the folder of the label file or the current one on, with `..`
/// for the folder above; the same but for the Unicode form or a missing extension; the end of a path, such as the name
/// alone, if only one image has it. Absolute paths may lead into the data.
pub(super) struct Lookup<'a> {
    listing: &'a Listing,
    /// Roots of paths: the data, the folder that all images lie in, that of the label file.
    starts: Vec<String>,
    /// The data folder as absolute paths may have it.
    roots: Vec<PathBuf>,
    /// Folders outside the data that paths may be relative to: that of the label file, and the current one.
    bases: Vec<PathBuf>,
    /// Images by their names without extensions, sorted: made when a path is not found as it is.
    names: OnceCell<Vec<(Cow<'a, str>, usize)>>,
}

/// Why there is no image for a path.
#[derive(Debug, PartialEq)]
pub(super) enum NotFound {
    Absent,
    /// Some of the images that it could be.
    Several(Vec<String>),
}

impl<'a> Lookup<'a> {
    pub(super) fn of(listing: &'a Listing, labels: &Path) -> Self {
        let mut starts = vec![String::new()];
        if let Some(top) = only_folder(listing) {
            starts.push(format!("{top}/"));
        }
        let (mut roots, mut bases) = (Vec::new(), Vec::new());
        if let Storage::Folder(root) = &listing.storage {
            roots.extend(std::path::absolute(root).map(|root| without_dots(&root)));
            roots.extend(fs::canonicalize(root));
            bases.extend(labels.parent().and_then(|folder| std::path::absolute(folder).ok()));
            bases.extend(std::env::current_dir());
        }
        let own = fs::canonicalize(labels).ok().and_then(|labels| {
            let folder = labels.parent()?;
            let below = roots.iter().find_map(|root| folder.strip_prefix(root).ok())?;
            (below != Path::new("")).then(|| format!("{}/", with_slashes(below)))
        });
        starts.extend(own.filter(|own| !starts.contains(own)));
        Self { listing, starts, roots, bases, names: OnceCell::new() }
    }

    /// Name of the data.
    pub(super) fn root(&self) -> String {
        self.listing.name("")
    }

    /// The position of the image that a path means.
    pub(super) fn find(&self, path: &str) -> Result<usize, NotFound> {
        let path = path.replace('\\', "/");
        if Path::new(&path).is_absolute() {
            return self.find_below(&self.below_root(Path::new(&path)).ok_or(NotFound::Absent)?);
        }
        let path = path.strip_prefix("./").unwrap_or(&path);
        // Exact paths first, from everywhere: the search for similar ones looks at all images of a name.
        let from_base = || self.bases.iter().filter_map(|base| self.below(&base.join(path)));
        let exact = self.exact(path).or_else(|| from_base().find_map(|below| self.exact(&below)));
        let found = exact.unwrap_or_else(|| self.find_similar(path));
        if found != Err(NotFound::Absent) {
            return found;
        }
        let from_base = self.bases.iter().filter_map(|base| self.below_root(&base.join(path)));
        let mut found = from_base.map(|below| self.find_below(&below));
        found.find(|found| *found != Err(NotFound::Absent)).unwrap_or(Err(NotFound::Absent))
    }

    /// The position of the image that a path below the data means.
    fn find_below(&self, path: &str) -> Result<usize, NotFound> {
        self.exact(path).unwrap_or_else(|| self.find_similar(path))
    }

    /// The position of the image of exactly this path from one of the starts on; `None` where there is none.
    fn exact(&self, path: &str) -> Option<Result<usize, NotFound>> {
        // The first two starts never lead to two images, but the file's own folder may.
        let paths = self.starts.iter().map(|start| format!("{start}{path}"));
        self.only(paths.filter_map(|path| self.listing.images.position(&path)).collect())
    }

    /// An absolute path of a file as a path below the data, links followed.
    fn below_root(&self, path: &Path) -> Option<String> {
        self.below(path).or_else(|| self.below(&fs::canonicalize(path).ok()?))
    }

    /// An absolute path as one below the data, by its text alone.
    fn below(&self, path: &Path) -> Option<String> {
        let path = without_dots(path);
        self.roots.iter().find_map(|root| path.strip_prefix(root).ok().map(with_slashes))
    }

    /// The image whose path is the same but for the Unicode form, its extension or the folders before it.
    fn find_similar(&self, path: &str) -> Result<usize, NotFound> {
        let wanted: String = path.nfc().collect();
        let name = wanted.rsplit('/').next().unwrap_or(&wanted);
        let candidates: BTreeSet<usize> =
            [name, without_extension(name)].into_iter().flat_map(|name| self.named(name)).collect();
        let same = |image: &usize, is_same: &dyn Fn(&str) -> bool| {
            let path = composed(self.listing.images.get(*image));
            is_same(&path) || is_same(without_extension(&path))
        };
        let whole = |path: &str| self.starts.iter().any(|start| path.strip_prefix(start) == Some(&wanted));
        let end = |path: &str| path.strip_suffix(&wanted).is_some_and(|before| before.ends_with('/'));
        let found = |is_same: &dyn Fn(&str) -> bool| {
            self.only(candidates.iter().copied().filter(|image| same(image, is_same)).collect())
        };
        found(&whole).or_else(|| found(&end)).unwrap_or(Err(NotFound::Absent))
    }

    /// The images whose name without its extension this is.
    fn named(&self, name: &str) -> Vec<usize> {
        let names = self.names.get_or_init(|| {
            let paths = self.listing.images.iter().enumerate();
            let mut names: Vec<(Cow<str>, usize)> = paths
                .map(|(image, path)| {
                    (composed(without_extension(path.rsplit('/').next().unwrap_or(path))), image)
                })
                .collect();
            names.sort_unstable();
            names
        });
        let start = names.partition_point(|(known, _)| &**known < name);
        names[start..].iter().take_while(|(known, _)| known == name).map(|&(_, image)| image).collect()
    }

    /// The only one of some images; `None` of none.
    fn only(&self, found: BTreeSet<usize>) -> Option<Result<usize, NotFound>> {
        const SHOWN: usize = 3;
        let first = *found.first()?;
        if found.len() == 1 {
            return Some(Ok(first));
        }
        let shown = found.iter().take(SHOWN).map(|&image| self.listing.images.get(image).to_owned());
        Some(Err(NotFound::Several(shown.collect())))
    }
}

/// The folder that all images lie in, as in many archives.
fn only_folder(listing: &Listing) -> Option<&str> {
    let last = listing.images.len().checked_sub(1)?;
    let top = |image: usize| listing.images.get(image).split_once('/').map(|(top, _)| top);
    // Paths are sorted: what the first and the last begin with, all begin with.
    top(0).filter(|first| top(last) == Some(first) && !parent(listing.images.get(0)).is_empty())
}

/// An absolute path without `.`, and without `..` and the folders that these lead out of.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn with_slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

fn composed(path: &str) -> Cow<'_, str> {
    if path.is_ascii() { Cow::Borrowed(path) } else { Cow::Owned(path.nfc().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::list_images::list_images;

    /// A folder with images in `data/`, and their listing.
    fn data(images: &[&str]) -> (tempfile::TempDir, Listing) {
        let folder = tempfile::tempdir().unwrap();
        for image in images {
            let path = folder.path().join("data").join(image);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let listing = list_images(&folder.path().join("data")).unwrap();
        (folder, listing)
    }

    #[test]
    fn paths_out_of_the_folder_of_a_label_file_inside_the_data_are_found() {
        let (folder, listing) = data(&["images/1.png", "meta/0.png"]);
        let lookup = Lookup::of(&listing, &folder.path().join("data/meta/labels.csv"));
        assert_eq!(lookup.find("../images/1.png"), Ok(0));
        assert_eq!(lookup.find("./../meta/./0.png"), Ok(1));
        assert_eq!(lookup.find("../../../1.png"), Err(NotFound::Absent));
    }

    #[test]
    fn paths_from_the_current_folder_are_found_beside_a_label_file_inside_the_data() {
        let (folder, listing) = data(&["a/1.png", "b/1.png"]);
        let mut lookup = Lookup::of(&listing, &folder.path().join("data/labels.csv"));
        // The current folder of the tests is another one.
        lookup.bases[1] = std::path::absolute(folder.path()).unwrap();
        assert_eq!(lookup.find("data/b/1.png"), Ok(1));
    }
}
