//! The places that `data.yaml` names: folders and lists of images, by paths of any machine.

use std::collections::HashMap;

use convnext_core::counted;

use crate::datasets::image_lookup::Lookup;
use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::parent;
use crate::datasets::side_files::SideFiles;
use crate::detection::error::AnnotationError;
use crate::detection::yolo::data_file::DataFile;
use crate::error::DataError;

/// A `data.yaml` with the data that it is of.
pub(crate) struct Places<'a> {
    pub(crate) listing: &'a Listing,
    /// All text files, of which some are lists of images.
    pub(crate) texts: &'a SideFiles,
    /// Name of the file in messages.
    pub(crate) name: &'a str,
    /// The folder that it lies in, below the root of the data.
    pub(crate) folder: &'a str,
    pub(crate) data: &'a DataFile,
    /// Images that are listed and not there are left out.
    pub(crate) allow_missing: bool,
}

/// The depth of a list, which is narrower than any folder.
const LIST: usize = usize::MAX;

/// The images of a place.
#[derive(Default)]
struct PlacedImages {
    images: Vec<usize>,
    /// How narrow the place is: the length of the path of its folder.
    depth: usize,
    /// What is said of those that are not there.
    missing: Option<String>,
}

impl Places<'_> {
    /// The part of each image that is in a place, and what is to be said of them.
    ///
    /// # Errors
    /// [`AnnotationError::File`] when a place to train on or to validate on has no images, or may be several ones, and
    /// [`AnnotationError::Missing`] for images of a list that are not there.
    pub(crate) fn splits(&self) -> Result<(HashMap<usize, Split>, Vec<String>), DataError> {
        let lookup = Lookup::of(self.listing);
        let (mut taken, mut said) = (HashMap::new(), Vec::new());
        let mut shared = 0;
        for (split, place) in &self.data.places {
            let PlacedImages { images, depth, missing } = self.images(&lookup, *split, place)?;
            said.extend(missing);
            if images.is_empty() {
                let found = format!("there are no images in {place}");
                // Many name a part for a test that others keep to themselves.
                if *split != Split::Test {
                    return Err(self.wrong(found));
                }
                said.push(format!("{}: {found}", self.name));
            }
            for image in images {
                let (known, of_depth) = *taken.entry(image).or_insert((*split, depth));
                shared += usize::from(known != *split && depth == LIST && of_depth == LIST);
                // The narrower place counts, and of equal ones the first: some name one folder twice.
                if depth > of_depth {
                    taken.insert(image, (*split, depth));
                }
            }
        }
        if shared > 0 {
            let images = counted(shared, "image is", "images are");
            said.push(format!(
                "{}: {images} in lists of several parts, of which the first counts",
                self.name
            ));
        }
        Ok((taken.into_iter().map(|(image, (split, _))| (image, split)).collect(), said))
    }

    fn wrong(&self, found: String) -> DataError {
        let advice = "give the path of the folder that its paths begin at".to_owned();
        AnnotationError::File { path: self.name.to_owned(), found, advice }.into()
    }

    /// The images in a folder or of a list.
    fn images(&self, lookup: &Lookup<'_>, split: Split, place: &str) -> Result<PlacedImages, DataError> {
        let texts: Vec<&str> = self.texts.keys().map(String::as_str).collect();
        if let Some(path) = self.resolved(place, &texts).map_err(|found| self.wrong(found))? {
            return self.listed(lookup, split, &path);
        }
        let folders: Vec<&str> =
            std::iter::once("").chain(self.listing.folders.iter().map(String::as_str)).collect();
        let folder = self.resolved(place, &folders).map_err(|found| self.wrong(found))?;
        let Some(folder) = folder else { return Ok(PlacedImages::default()) };
        let is_inside = |path: &str| {
            folder.is_empty() || path.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/'))
        };
        let images = self.listing.images.iter().enumerate();
        let images = images.filter(|(_, path)| is_inside(path)).map(|(image, _)| image).collect();
        Ok(PlacedImages { images, depth: folder.len(), missing: None })
    }

    /// The images of a list, one in a line.
    fn listed(&self, lookup: &Lookup<'_>, split: Split, path: &str) -> Result<PlacedImages, DataError> {
        let text = String::from_utf8_lossy(&self.texts[path]);
        let lines =
            text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty());
        let (mut images, mut names) = (Vec::new(), Vec::new());
        for line in lines {
            match lookup.find(line, parent(path), Some(split)) {
                Some(image) => images.push(image),
                None => names.push(line.to_owned()),
            }
        }
        let (count, total) = (names.len(), names.len() + images.len());
        if count > 0 && !self.allow_missing {
            let path = self.listing.name(path);
            return Err(AnnotationError::Missing { path, count, total, names }.into());
        }
        let lines = counted(count, "image that is not there is", "images that are not there are");
        Ok(PlacedImages {
            images,
            depth: LIST,
            missing: (count > 0).then(|| format!("{path}: {lines} left out")),
        })
    }

    /// The one of the paths below the root that a place means: that which it names from the root on, or else the only one
    /// that ends in it, or, of a place elsewhere, in as much of its end as there is.
    fn resolved(&self, place: &str, known: &[&str]) -> Result<Option<String>, String> {
        let place = place.replace('\\', "/");
        let own_root = self.data.root.as_deref().unwrap_or_default().replace('\\', "/");
        let bases = [joined(self.folder, &own_root), Some(self.folder.to_owned()), Some(String::new())];
        let here = self.inside_root(&place);
        let direct = bases.into_iter().flatten().filter_map(|base| joined(&base, &here));
        if let Some(path) = direct.into_iter().find(|path| known.contains(&path.as_str())) {
            return Ok(Some(path));
        }
        for end in ends(&own_root, &place) {
            let tail = format!("/{end}");
            let found: Vec<&str> =
                known.iter().copied().filter(|path| *path == end || path.ends_with(&tail)).collect();
            let beside = joined(self.folder, &end);
            let nearest = [beside.as_deref().unwrap_or(&end), &end];
            match (nearest.into_iter().find(|path| found.contains(path)), &found[..]) {
                (Some(path), _) | (None, &[path]) => return Ok(Some(path.to_owned())),
                (None, []) => {}
                (None, [one, other, ..]) => {
                    return Err(format!("its {place} may be {one} as well as {other}"));
                }
            }
        }
        Ok(None)
    }

    /// An absolute path inside of the data, from its root on; others as they are.
    fn inside_root(&self, place: &str) -> String {
        let root = std::path::absolute(&self.listing.root).unwrap_or_default();
        let root = root.to_string_lossy().replace('\\', "/");
        let rest = place.strip_prefix(root.trim_end_matches('/'));
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        rest.map_or_else(|| place.to_owned(), |rest| format!("./{}", rest.trim_start_matches('/')))
    }
}

/// A path from a folder on, both below the root; `None` for one that is absolute or leaves the root.
fn joined(folder: &str, path: &str) -> Option<String> {
    let is_absolute = path.starts_with('/') || path.as_bytes().get(1) == Some(&b':');
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')).filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!is_absolute).then(|| parts.join("/"))
}

/// What a path may end in here, the longest first. Of a path that is absolute or leaves its folder the first parts may be
/// those of another machine; the word for a part is never one of these.
fn ends(own_root: &str, place: &str) -> Vec<String> {
    let is_elsewhere = |path: &str| joined("", path).is_none();
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).map(str::to_owned).collect()
    };
    let (before, own) = match is_elsewhere(place) {
        true => (Vec::new(), parts(place)),
        false => (parts(own_root), parts(place)),
    };
    let most = if is_elsewhere(place) { own.len().saturating_sub(1) } else { before.len() };
    let all = [before, own].concat();
    if all.is_empty() {
        return Vec::new();
    }
    let word = |part: &String| match Named::of(part) {
        Named::Wholly(split) => Some(split),
        _ => None,
    };
    let keeps_words = |first: &usize| {
        let (away, kept) = all.split_at(*first);
        away.iter().filter_map(word).all(|split| kept.iter().filter_map(word).any(|other| other == split))
    };
    (0..=most).take_while(keeps_words).map(|first| all[first..].join("/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_elsewhere_are_shortened_and_never_by_the_word_of_a_part() {
        for (root, place, expected) in [
            ("", "images/train", &["images/train"][..]),
            ("", "../train/images", &["train/images"]),
            ("", "../train/images/train", &["train/images/train", "images/train", "train"]),
            ("", "/me/zoo/val", &["me/zoo/val", "zoo/val", "val"]),
            ("", "C:/zoo/val", &["C:/zoo/val", "zoo/val", "val"]),
            ("../zoo", "images/val", &["zoo/images/val", "images/val"]),
            ("", ".", &[]),
        ] {
            assert_eq!(ends(root, place), expected, "{place}");
        }
        assert_eq!(joined("a/b", "../c").as_deref(), Some("a/c"));
        assert_eq!((joined("a", "../../c"), joined("a", "/c")), (None, None));
    }
}
