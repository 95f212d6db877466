//! Lists of the images of each part, as Pascal VOC has them in `ImageSets/Segmentation`.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::{last, parent};
use crate::datasets::side_files::SideFiles;
use crate::error::DataError;
use crate::segmentation::pairs::Pairs;
use crate::segmentation::place::stem;

/// `true` for a list of a part: `train.txt`, `val.txt` or `test.txt` in `ImageSets/Segmentation`, in `splits`, or at the
/// top.
pub(crate) fn is_list(path: &str) -> bool {
    let folder = parent(path);
    let place = folder.ends_with("ImageSets/Segmentation") || last(folder) == "splits" || folder.is_empty();
    let name = last(path);
    place && name.ends_with(".txt") && matches!(Named::of(stem(name)), Named::Wholly(_))
}

/// Divides pairs by lists, whose lines begin with the stem or the path of an image. Pairs that no list names are left
/// out; their number is returned. Without lists nothing changes, nor where folders are parts and the lists lie at the top.
///
/// # Errors
/// [`DataError::Layout`] for lists of a part, other than that for a test, that name no image with a mask.
pub(crate) fn divide(
    pairs: &mut Pairs,
    listing: &Listing,
    lists: &SideFiles,
) -> Result<Option<usize>, DataError> {
    let by_folder = pairs.pairs.iter().any(|pair| pair.split.is_some());
    let counts = |path: &&String| is_list(path) && !(by_folder && parent(path).is_empty());
    let stem_of = |image: usize| stem(listing.images.get(image));
    let with_masks: HashSet<&str> = pairs.pairs.iter().map(|pair| stem_of(pair.image)).collect();
    let alone: HashSet<&str> = pairs.images_alone.iter().map(|&image| stem_of(image)).collect();
    let is_stem = |word: &str| with_masks.contains(word) || alone.contains(word);
    let mut splits: HashMap<&str, Split> = HashMap::new();
    let mut matching: BTreeMap<Split, (bool, &str)> = BTreeMap::new();
    for path in lists.keys().filter(counts) {
        let Some(split) = Named::of(stem(last(path))).split() else { continue };
        for word in words(&lists[path]) {
            // An extension is none where the stem of an image has points.
            let name = if is_stem(last(word)) { last(word) } else { stem(word) };
            splits.insert(name, split);
            matching.entry(split).or_insert((false, path.as_str())).0 |= with_masks.contains(name);
        }
    }
    if splits.is_empty() {
        return Ok(None);
    }
    let has_any = matching.values().any(|(matches, _)| *matches);
    let useless =
        matching.iter().find(|(split, (matches, _))| !(*matches || has_any && **split == Split::Test));
    if let Some((_, (_, path))) = useless {
        return Err(without_images(listing, path, &lists[*path]));
    }
    let before = pairs.pairs.len();
    let split = |image: usize| splits.get(stem_of(image)).copied();
    pairs.pairs.retain(|pair| split(pair.image).is_some());
    pairs.images_alone.retain(|&image| split(image).is_some());
    for pair in &mut pairs.pairs {
        pair.split = split(pair.image);
    }
    Ok(Some(before - pairs.pairs.len()))
}

/// The first word of each line of a list.
fn words(list: &[u8]) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(list).unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().next())
}

fn without_images(listing: &Listing, path: &str, list: &[u8]) -> DataError {
    let first = words(list).next().unwrap_or_default();
    DataError::Layout {
        path: listing.name(path),
        found: format!(
            "none of its lines begins with the name of an image that has a mask; the first is '{first}'"
        ),
        advice: "write the name of an image into each line, with or without its folder and extension".into(),
    }
}
