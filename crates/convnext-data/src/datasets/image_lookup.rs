//! The images that files of annotations name.

use std::collections::{HashMap, HashSet};

use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::{last, parent, stem};

/// The part that the name of a file of annotations or, nearer before farther, of one of its folders says.
pub(crate) fn split_of(path: &str) -> Option<Split> {
    Named::of(stem(path)).split().or_else(|| split_of_image(path))
}

/// The part that the folders of an image say. Its own name is that of what is seen, as in `test_1.png` or `train_001.png`.
pub(crate) fn split_of_image(path: &str) -> Option<Split> {
    parent(path).rsplit('/').find_map(|folder| Named::of(folder).split())
}

/// Images by the last part of their path.
pub(crate) struct Lookup<'a> {
    listing: &'a Listing,
    by_name: HashMap<&'a str, Vec<usize>>,
    /// Names of all folders.
    folders: HashSet<&'a str>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn of(listing: &'a Listing) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (image, path) in listing.images.iter().enumerate() {
            by_name.entry(last(path)).or_default().push(image);
        }
        let folders = listing.folders.iter().map(|folder| last(folder)).collect();
        Self { listing, by_name, folders }
    }

    /// The file with this path from a folder on, or else the only one with as much of the end of this path as any has; of
    /// several that in folders of the same part. None is of another part than `split`, unless the end says so, and none lies
    /// outside of a folder in the path that is here: that image is missing, and another one has its name.
    pub(crate) fn find(&self, file_name: &str, folder: &str, split: Option<Split>) -> Option<usize> {
        let plain = file_name.replace('\\', "/");
        let names = [plain.clone(), decoded(&plain)];
        names.iter().find_map(|name| {
            let name = name.trim_start_matches('/').trim_start_matches("./");
            let same_name = self.by_name.get(last(name))?;
            let path = |image: usize| self.listing.images.get(image);
            let beside = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if let Some(image) = self.listing.images.position(&beside) {
                return Some(image);
            }
            // Of a path of another machine the last parts are those that are here.
            let ends = std::iter::successors(Some(name), |end| end.split_once('/').map(|(_, rest)| rest));
            let at_end = |end: &str| -> Vec<usize> {
                let before = &name[..name.len() - end.len()];
                let wanted = split_of_image(end).or(split);
                let fits =
                    |path: &str| is_end(path, end) && self.is_inside(path, before) && is_of(path, wanted);
                same_name.iter().copied().filter(|&image| fits(path(image))).collect()
            };
            let mut found = ends.map(at_end).find(|found| !found.is_empty())?;
            if found.len() > 1 {
                found.retain(|&image| split_of_image(path(image)) == split);
            }
            match found[..] {
                [image] => Some(image),
                _ => None,
            }
        })
    }

    /// `true` if an image lies in all of these folders that are here at all.
    fn is_inside(&self, image: &str, folders: &str) -> bool {
        let mut here = folders.split('/').filter(|folder| self.folders.contains(folder));
        here.all(|folder| parent(image).split('/').any(|own| own == folder))
    }
}

/// `false` for an image of another part.
fn is_of(image: &str, wanted: Option<Split>) -> bool {
    let own = split_of_image(image);
    own.is_none() || wanted.is_none() || own == wanted
}

/// `true` if a path has these last parts.
fn is_end(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// A name with `%20` and the like replaced by what they stand for.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_image_says_nothing_of_its_part() {
        for (path, annotations, image) in [
            ("images/train_001.png", Some(Split::Train), None),
            ("train/images/test_1.png", Some(Split::Test), Some(Split::Train)),
            ("v1.val/a.png", Some(Split::Validation), Some(Split::Validation)),
            ("a.png", None, None),
        ] {
            assert_eq!((split_of(path), split_of_image(path)), (annotations, image), "{path}");
        }
    }
}
