//! The image that a line of a list names.

use std::collections::HashMap;

use crate::datasets::listed::listed;
use crate::datasets::listing::Listing;
use crate::datasets::relative::{last, stem, without_extension};
use crate::error::DataError;

/// Images by their names, each with whether it counts: whether it has a mask or annotations.
pub(crate) struct ImageNames<'a> {
    listing: &'a Listing,
    by_stem: HashMap<&'a str, Vec<(usize, bool)>>,
}

impl<'a> ImageNames<'a> {
    pub(crate) fn of(listing: &'a Listing, images: impl Iterator<Item = (usize, bool)>) -> Self {
        let mut by_stem: HashMap<&str, Vec<(usize, bool)>> = HashMap::new();
        for (image, counts) in images {
            by_stem.entry(stem(listing.images.get(image))).or_default().push((image, counts));
        }
        Self { listing, by_stem }
    }

    /// Another name, without extension, of an image.
    pub(crate) fn add(&mut self, name: &'a str, image: (usize, bool)) {
        let images = self.by_stem.entry(name).or_default();
        if !images.iter().any(|(known, _)| *known == image.0) {
            images.push(image);
        }
    }

    /// `true` if a whole line, which may have spaces, names an image: by its stem, or by its path, from any folder on or with
    /// folders above it, with or without extension.
    pub(crate) fn is_name(&self, line: &str) -> bool {
        let line = line.trim_start_matches("./");
        let names = [line, without_extension(line)];
        let fits = |name: &str, image: usize| {
            let path = self.listing.images.get(image);
            [path, without_extension(path)].into_iter().any(|path| is_end(name, path) || is_below(name, path))
        };
        names.into_iter().any(|name| {
            let images = self.by_stem.get(last(name)).into_iter().flatten();
            last(name) == name && self.by_stem.contains_key(name)
                || images.into_iter().any(|&(image, _)| fits(name, image))
        })
    }

    /// The image that a line of a list names, with or without folders and extension: the one whose path ends as the line
    /// does, or the only one of its stem. `None` where there is none.
    ///
    /// # Errors
    /// [`DataError::Layout`] for a line that may mean several.
    pub(crate) fn image(&self, line: &str, list: &str) -> Result<Option<(usize, bool)>, DataError> {
        let line = line.trim_start_matches("./");
        // An extension is none where the stem of an image has points.
        let wanted = if self.by_stem.contains_key(last(line)) { line } else { without_extension(line) };
        let Some(images) = self.by_stem.get(last(wanted)) else { return Ok(None) };
        if let [image] = images[..] {
            return Ok(Some(image));
        }
        let fit =
            |&(image, _): &(usize, bool)| fit(wanted, without_extension(self.listing.images.get(image)));
        let Some(best) = images.iter().filter_map(fit).max() else {
            return Err(self.several(line, list, images));
        };
        let fitting: Vec<_> = images.iter().copied().filter(|image| fit(image) == Some(best)).collect();
        match fitting[..] {
            [image] => Ok(Some(image)),
            _ => Err(self.several(line, list, &fitting)),
        }
    }

    fn several(&self, line: &str, list: &str, images: &[(usize, bool)]) -> DataError {
        let paths: Vec<&str> = images.iter().map(|&(image, _)| self.listing.images.get(image)).collect();
        DataError::Layout {
            path: self.listing.name(list),
            found: format!("its line '{line}' may mean {} images: {}", paths.len(), listed(&paths)),
            advice: "write the folders of the images into its lines".into(),
        }
    }
}

/// How well a line fits a path, where one is the end of the other: wholly, and with how much of it.
fn fit(line: &str, path: &str) -> Option<(bool, usize)> {
    (is_end(line, path) || is_end(path, line)).then(|| (line == path, line.len().min(path.len())))
}

/// `true` if a path ends with these parts.
fn is_end(end: &str, of: &str) -> bool {
    of.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// `true` if a line has folders above a path. With a space among them it has two names.
fn is_below(line: &str, path: &str) -> bool {
    let above = line.strip_suffix(path).and_then(|above| above.strip_suffix('/'));
    above.is_some_and(|above| !above.contains(char::is_whitespace))
}
