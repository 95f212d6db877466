//! Lists of the images of each part, as Pascal VOC has them, and what their lines say.

use std::collections::BTreeMap;

use convnext_core::counted;

use crate::datasets::listed::listed;
use crate::datasets::listed_names::ImageNames;
use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::stem;
use crate::datasets::side_files::SideFiles;
use crate::error::DataError;

/// Parts in the order in which they get an image that lists of several name: what is measured on is not learned.
const BY_WEIGHT: [Split; 3] = [Split::Validation, Split::Test, Split::Train];

/// `true` for a text file that is called as a part alone is, such as `val.txt`.
pub(crate) fn names_a_part(path: &str) -> bool {
    path.ends_with(".txt") && matches!(Named::of(stem(path)), Named::Wholly(_))
}

/// The parts of images by lists, whose lines begin with the stem or the path of an image.
#[derive(Debug, Default)]
pub(crate) struct PartLists {
    /// The parts that lists name for an image.
    splits: BTreeMap<usize, Vec<Split>>,
    /// Number of lines that name no image.
    unknown: usize,
    /// The first of them, and its list.
    first_unknown: [String; 2],
}

impl PartLists {
    /// Reads those of some files that are lists of parts by their names. `needed` is what messages call an image that counts
    /// in `names`. `None` where no list has a line.
    ///
    /// # Errors
    /// [`DataError::Layout`] for lists of a part, other than that for a test, that name no image that counts, for a line
    /// that may mean several images, and for a list that is no UTF-8 text.
    pub(crate) fn read(
        listing: &Listing,
        lists: &SideFiles,
        is_list: impl Fn(&str) -> bool,
        names: &ImageNames<'_>,
        needed: &str,
    ) -> Result<Option<Self>, DataError> {
        let mut found = Self::default();
        let mut matching: BTreeMap<Split, (bool, &str)> = BTreeMap::new();
        for (path, bytes) in lists.iter().filter(|(path, _)| is_list(path)) {
            let Some(split) = Named::of(stem(path)).split() else { continue };
            for line in lines(text(listing, path, bytes)?) {
                let matches = matching.entry(split).or_insert((false, path.as_str()));
                match image(names, line, path)? {
                    Some((image, counts)) => {
                        matches.0 |= counts;
                        found.add(image, split);
                    }
                    None => found.add_unknown(line, path),
                }
            }
        }
        let has_any = matching.values().any(|(matches, _)| *matches);
        let useless =
            matching.iter().find(|(split, (matches, _))| !(*matches || has_any && **split == Split::Test));
        match useless {
            Some((_, (_, path))) => {
                Err(without_images(listing, path, text(listing, path, &lists[*path])?, needed))
            }
            None => Ok((!matching.is_empty()).then_some(found)),
        }
    }

    fn add(&mut self, image: usize, split: Split) {
        let splits = self.splits.entry(image).or_default();
        if !splits.contains(&split) {
            splits.push(split);
        }
    }

    fn add_unknown(&mut self, line: &str, list: &str) {
        if self.unknown == 0 {
            self.first_unknown = [line, list].map(str::to_owned);
        }
        self.unknown += 1;
    }

    /// The part of an image; `None` if no list names it.
    pub(crate) fn split(&self, image: usize) -> Option<Split> {
        let splits = self.splits.get(&image)?;
        BY_WEIGHT.into_iter().find(|split| splits.contains(split))
    }

    /// What is to be said of some images and of lines that name none.
    pub(crate) fn remarks(&self, listing: &Listing, images: impl Iterator<Item = usize>) -> Vec<String> {
        let is_several = |image: &usize| self.splits.get(image).is_some_and(|splits| splits.len() > 1);
        let several: Vec<&str> = images.filter(is_several).map(|image| listing.images.get(image)).collect();
        let several = (!several.is_empty()).then(|| {
            format!(
                "{} in the lists of several parts, of which validation counts before test and test before train: {}",
                counted(several.len(), "image is", "images are"),
                listed(&several)
            )
        });
        let [line, list] = &self.first_unknown;
        let unknown = (self.unknown > 0).then(|| {
            format!(
                "{} none of these images, the first '{line}' in {list}",
                counted(self.unknown, "line in lists of parts names", "lines in lists of parts name")
            )
        });
        several.into_iter().chain(unknown).collect()
    }
}

/// The image that a whole line is the name of, as names may have spaces, or that its first word names, or the whole line in
/// part.
fn image(names: &ImageNames<'_>, line: &str, list: &str) -> Result<Option<(usize, bool)>, DataError> {
    if first_word(line) == line || names.is_name(line) {
        return names.image(line, list);
    }
    match names.image(first_word(line), list)? {
        None => names.image(line, list),
        found => Ok(found),
    }
}

/// The text of a list, without the mark that Windows puts before it.
fn text<'a>(listing: &Listing, path: &str, list: &'a [u8]) -> Result<&'a str, DataError> {
    let text = std::str::from_utf8(list).map_err(|_| DataError::Layout {
        path: listing.name(path),
        found: "it is no UTF-8 text".into(),
        advice: "save it as UTF-8".into(),
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The lines of a list that are not empty.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or(line)
}

fn without_images(listing: &Listing, path: &str, text: &str, needed: &str) -> DataError {
    let first = lines(text).next().map_or("", first_word);
    DataError::Layout {
        path: listing.name(path),
        found: format!("none of its lines begins with the name of {needed}; the first is '{first}'"),
        advice: "write the name of an image into each line, with or without its folder and extension".into(),
    }
}
