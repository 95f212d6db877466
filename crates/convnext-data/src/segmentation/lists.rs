//! Lists of the images of each part, as Pascal VOC has them in `ImageSets/Segmentation`.

use std::collections::HashMap;

use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::{last, parent};
use crate::segmentation::pairs::Pairs;
use crate::segmentation::place::stem;
use crate::segmentation::side_files::SideFiles;

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
pub(crate) fn divide(pairs: &mut Pairs, listing: &Listing, lists: &SideFiles) -> Option<usize> {
    let by_folder = pairs.pairs.iter().any(|pair| pair.split.is_some());
    let counts = |path: &&String| is_list(path) && !(by_folder && parent(path).is_empty());
    let mut splits: HashMap<&str, Split> = HashMap::new();
    for path in lists.keys().filter(counts) {
        let Some(split) = Named::of(stem(last(path))).split() else { continue };
        let text = std::str::from_utf8(&lists[path]).unwrap_or_default();
        for word in text.lines().filter_map(|line| line.split_whitespace().next()) {
            splits.insert(name(word), split);
        }
    }
    if splits.is_empty() {
        return None;
    }
    let before = pairs.pairs.len();
    let split = |image: usize| splits.get(stem(listing.images.get(image))).copied();
    pairs.pairs.retain(|pair| split(pair.image).is_some());
    pairs.images_alone.retain(|&image| split(image).is_some());
    for pair in &mut pairs.pairs {
        pair.split = split(pair.image);
    }
    Some(before - pairs.pairs.len())
}

/// The stem of a word of a list, which may have folders and an extension of an image.
fn name(word: &str) -> &str {
    let name = last(word);
    let known = [".jpg", ".jpeg", ".png"];
    known.iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(name)
}
