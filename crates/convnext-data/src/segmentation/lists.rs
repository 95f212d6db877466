//! Lists of the images of each part, as Pascal VOC has them in `ImageSets/Segmentation`.

use crate::datasets::listed_names::ImageNames;
use crate::datasets::listing::Listing;
use crate::datasets::part_lists::{PartLists, names_a_part};
use crate::datasets::relative::{last, parent};
use crate::datasets::side_files::SideFiles;
use crate::error::DataError;
use crate::segmentation::pairs::Pairs;

/// `true` for a list of a part: `train.txt`, `val.txt` or `test.txt` in `ImageSets/Segmentation`, in `splits`, or at the
/// top.
pub(crate) fn is_list(path: &str) -> bool {
    let folder = parent(path);
    let place = folder.ends_with("ImageSets/Segmentation") || last(folder) == "splits" || folder.is_empty();
    place && names_a_part(path)
}

/// Divides pairs by lists, whose lines begin with the stem or the path of an image, and says what was done. Pairs that no
/// list names are left out. Without lists nothing changes, nor where folders are parts and the lists lie at the top.
///
/// # Errors
/// [`DataError::Layout`] as [`PartLists::read`] says, of images with a mask.
pub(crate) fn divide(
    pairs: &mut Pairs,
    listing: &Listing,
    lists: &SideFiles,
) -> Result<Vec<String>, DataError> {
    let by_folder = pairs.pairs.iter().any(|pair| pair.split.is_some());
    let counts = |path: &str| is_list(path) && !(by_folder && parent(path).is_empty());
    let with_masks = pairs.pairs.iter().map(|pair| (pair.image, true));
    let names =
        ImageNames::of(listing, with_masks.chain(pairs.images_alone.iter().map(|&image| (image, false))));
    let Some(lists) = PartLists::read(listing, lists, counts, &names, "an image that has a mask")? else {
        return Ok(Vec::new());
    };
    let before = pairs.pairs.len();
    pairs.pairs.retain(|pair| lists.split(pair.image).is_some());
    pairs.images_alone.retain(|&image| lists.split(image).is_some());
    for pair in &mut pairs.pairs {
        pair.split = lists.split(pair.image);
    }
    let left_out = before - pairs.pairs.len();
    let left_out =
        (left_out > 0).then(|| format!("{left_out} images with masks are in no list of a part and left out"));
    let remarks = lists.remarks(listing, pairs.pairs.iter().map(|pair| pair.image));
    Ok(left_out.into_iter().chain(remarks).collect())
}
