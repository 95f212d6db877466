//! The folders of a listing, with the number of images in and below each.

use std::collections::HashMap;

use crate::datasets::listing::Listing;
use crate::datasets::relative::parent;

/// The folders of a data set by their relative paths; the root is empty.
pub(crate) struct Tree<'a> {
    folders: HashMap<&'a str, Folder<'a>>,
}

#[derive(Default)]
struct Folder<'a> {
    /// Images directly in it.
    direct: usize,
    /// Images at any depth.
    below: usize,
    /// The folders directly in it, sorted.
    folders: Vec<&'a str>,
}

impl<'a> Tree<'a> {
    pub(crate) fn of(listing: &'a Listing) -> Self {
        let mut folders: HashMap<&str, Folder> = HashMap::from([("", Folder::default())]);
        for path in &listing.folders {
            folders.entry(path).or_default();
            folders.entry(parent(path)).or_default().folders.push(path);
        }
        for path in listing.images.iter() {
            let mut folder = parent(path);
            folders.entry(folder).or_default().direct += 1;
            loop {
                folders.entry(folder).or_default().below += 1;
                if folder.is_empty() {
                    break;
                }
                folder = parent(folder);
            }
        }
        Self { folders }
    }

    /// The folders directly in a folder, sorted.
    pub(crate) fn folders(&self, folder: &str) -> &[&'a str] {
        self.folders.get(folder).map_or(&[], |folder| &folder.folders)
    }

    /// Those of [`Self::folders`] with images at any depth.
    pub(crate) fn full_folders(&self, folder: &str) -> Vec<&'a str> {
        self.folders(folder).iter().copied().filter(|path| self.images_below(path) > 0).collect()
    }

    /// Images directly in a folder.
    pub(crate) fn images_in(&self, folder: &str) -> usize {
        self.folders.get(folder).map_or(0, |folder| folder.direct)
    }

    /// Images in a folder at any depth.
    pub(crate) fn images_below(&self, folder: &str) -> usize {
        self.folders.get(folder).map_or(0, |folder| folder.below)
    }

    /// `true` for a folder with images and without folders.
    pub(crate) fn is_flat(&self, folder: &str) -> bool {
        self.folders(folder).is_empty() && self.images_in(folder) > 0
    }
}
