//! Lists of the images of each part, as Pascal VOC has them in `ImageSets/Segmentation`.

use std::collections::BTreeMap;

use convnext_core::counted;

use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::{last, parent};
use crate::datasets::side_files::SideFiles;
use crate::error::DataError;
use crate::segmentation::listed_names::ImageNames;
use crate::segmentation::pairs::{Pair, Pairs};
use crate::segmentation::place::stem;
use crate::segmentation::refusal::listed;

/// Parts in the order in which they get an image that lists of several name: what is measured on is not learned.
const BY_WEIGHT: [Split; 3] = [Split::Validation, Split::Test, Split::Train];

/// `true` for a list of a part: `train.txt`, `val.txt` or `test.txt` in `ImageSets/Segmentation`, in `splits`, or at the
/// top.
pub(crate) fn is_list(path: &str) -> bool {
    let folder = parent(path);
    let place = folder.ends_with("ImageSets/Segmentation") || last(folder) == "splits" || folder.is_empty();
    let name = last(path);
    place && name.ends_with(".txt") && matches!(Named::of(stem(name)), Named::Wholly(_))
}

/// Divides pairs by lists, whose lines begin with the stem or the path of an image, and says what was done. Pairs that no
/// list names are left out. Without lists nothing changes, nor where folders are parts and the lists lie at the top.
///
/// # Errors
/// [`DataError::Layout`] for lists of a part, other than that for a test, that name no image with a mask, for a line that
/// may mean several images, and for a list that is no UTF-8 text.
pub(crate) fn divide(
    pairs: &mut Pairs,
    listing: &Listing,
    lists: &SideFiles,
) -> Result<Vec<String>, DataError> {
    let by_folder = pairs.pairs.iter().any(|pair| pair.split.is_some());
    let counts = |path: &&String| is_list(path) && !(by_folder && parent(path).is_empty());
    let with_masks = pairs.pairs.iter().map(|pair| (pair.image, true));
    let names =
        ImageNames::of(listing, with_masks.chain(pairs.images_alone.iter().map(|&image| (image, false))));
    let mut splits: BTreeMap<usize, Vec<Split>> = BTreeMap::new();
    let mut matching: BTreeMap<Split, (bool, &str)> = BTreeMap::new();
    for path in lists.keys().filter(counts) {
        let Some(split) = Named::of(stem(last(path))).split() else { continue };
        let text = text(listing, path, &lists[path])?;
        for word in words(text) {
            let matches = matching.entry(split).or_insert((false, path.as_str()));
            let Some((image, has_mask)) = names.image(word, path)? else { continue };
            matches.0 |= has_mask;
            let of_image = splits.entry(image).or_default();
            if !of_image.contains(&split) {
                of_image.push(split);
            }
        }
    }
    if matching.is_empty() {
        return Ok(Vec::new());
    }
    let has_any = matching.values().any(|(matches, _)| *matches);
    let useless =
        matching.iter().find(|(split, (matches, _))| !(*matches || has_any && **split == Split::Test));
    if let Some((_, (_, path))) = useless {
        return Err(without_images(listing, path, text(listing, path, &lists[*path])?));
    }
    let before = pairs.pairs.len();
    let split = |image: usize| {
        let of_image = splits.get(&image)?;
        BY_WEIGHT.into_iter().find(|split| of_image.contains(split))
    };
    pairs.pairs.retain(|pair| split(pair.image).is_some());
    pairs.images_alone.retain(|&image| split(image).is_some());
    for pair in &mut pairs.pairs {
        pair.split = split(pair.image);
    }
    let left_out = before - pairs.pairs.len();
    let left_out =
        (left_out > 0).then(|| format!("{left_out} images with masks are in no list of a part and left out"));
    let several = |pair: &&Pair| splits.get(&pair.image).is_some_and(|splits| splits.len() > 1);
    let several: Vec<&str> =
        pairs.pairs.iter().filter(several).map(|pair| listing.images.get(pair.image)).collect();
    let several = (!several.is_empty()).then(|| {
        format!(
            "{} in the lists of several parts, of which validation counts before test and test before train: {}",
            counted(several.len(), "image is", "images are"),
            listed(&several)
        )
    });
    Ok(left_out.into_iter().chain(several).collect())
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

/// The first word of each line of a list.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.split_whitespace().next())
}

fn without_images(listing: &Listing, path: &str, text: &str) -> DataError {
    let first = words(text).next().unwrap_or_default();
    DataError::Layout {
        path: listing.name(path),
        found: format!(
            "none of its lines begins with the name of an image that has a mask; the first is '{first}'"
        ),
        advice: "write the name of an image into each line, with or without its folder and extension".into(),
    }
}
