//! Pairs of an image and its mask.

use std::collections::HashMap;

use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::{last, quoted, stem};
use crate::error::DataError;
use crate::segmentation::known::KnownData;
use crate::segmentation::place::{MASK_SUFFIXES, Place, Role, cut};

/// The files of data for segmentation, by their positions in the listing.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<Pair>,
    /// Images without a mask.
    pub(crate) images_alone: Vec<usize>,
    /// Masks without an image.
    pub(crate) masks_alone: Vec<usize>,
}

/// An image and its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) image: usize,
    pub(crate) mask: usize,
    /// The part that its folders name.
    pub(crate) split: Option<Split>,
}

/// Pairs the files of a listing by their paths: `images/` beside `masks/`, `annotations/` or `labels/`, above or below the
/// folders of parts, with the same stems or a suffix for masks.
///
/// # Errors
/// [`DataError::Layout`] when there are no masks, no pairs, or two of one kind for one place.
pub(crate) fn pair(listing: &Listing) -> Result<Pairs, DataError> {
    let mut places: Vec<Place> = listing.images.iter().map(Place::of).collect();
    if places.iter().all(|place| place.role == Role::Image) {
        take_masks_beside(listing, &mut places);
    }
    let splits = splits(&places);
    let images = Images::of(listing, &places, &splits)?;
    let mut masks: HashMap<usize, usize> = HashMap::new();
    let mut found = Pairs::default();
    for (mask, place) in places.iter().enumerate().filter(|(_, place)| place.role == Role::Mask) {
        let Some(image) = images.of_mask(place, splits[mask]) else {
            found.masks_alone.push(mask);
            continue;
        };
        match masks.get(&image) {
            Some(&other) => {
                masks.insert(image, one_of_two(listing, image, [other, mask])?);
            }
            None => {
                masks.insert(image, mask);
            }
        }
    }
    for image in (0..places.len()).filter(|&at| places[at].role == Role::Image) {
        match masks.get(&image) {
            Some(&mask) => found.pairs.push(Pair { image, mask, split: splits[image] }),
            None => found.images_alone.push(image),
        }
    }
    if found.pairs.is_empty() {
        return Err(no_pairs(listing, &found));
    }
    Ok(found)
}

/// Where no folder is for masks, files with a suffix for masks beside an image without it are masks.
fn take_masks_beside(listing: &Listing, places: &mut [Place]) {
    let keys: HashMap<String, ()> = places.iter().map(|place| (place.key.clone(), ())).collect();
    for (path, place) in listing.images.iter().zip(places) {
        let bare = cut(stem(path), &MASK_SUFFIXES);
        let at = format!("{}/{bare}", place.folders);
        if bare != stem(path) && keys.contains_key(&at) {
            *place = Place { role: Role::Mask, bare: at, ..place.clone() };
        }
    }
}

/// The images by their places.
struct Images<'a> {
    by_key: HashMap<&'a str, usize>,
    /// By the stem alone, where it is that of one image: for masks in one folder, of images in several.
    by_stem: HashMap<&'a str, Option<usize>>,
    /// The part of each file.
    splits: &'a [Option<Split>],
}

impl<'a> Images<'a> {
    fn of(listing: &Listing, places: &'a [Place], splits: &'a [Option<Split>]) -> Result<Self, DataError> {
        let (mut by_key, mut by_stem) = (HashMap::new(), HashMap::new());
        let images = || places.iter().enumerate().filter(|(_, place)| place.role == Role::Image);
        for (image, place) in images() {
            if let Some(other) = by_key.insert(place.key.as_str(), image) {
                return Err(two(listing, "images have one name and different extensions", [other, image]));
            }
            for stem in [last(&place.key), last(&place.bare)] {
                let known: &mut Option<usize> = by_stem.entry(stem).or_insert(Some(image));
                *known = known.filter(|&known| known == image);
            }
        }
        for (image, place) in images() {
            by_key.entry(place.bare.as_str()).or_insert(image);
        }
        Ok(Self { by_key, by_stem, splits })
    }

    fn of_mask(&self, mask: &Place, split: Option<Split>) -> Option<usize> {
        let keys = [mask.key.as_str(), mask.bare.as_str()];
        let found = keys.iter().find_map(|key| self.by_key.get(key).copied());
        // Parts may have images of their own under the same names.
        let may_be =
            |&image: &usize| split.is_none_or(|split| self.splits[image].is_none_or(|own| own == split));
        let by_stem = |key: &&str| self.by_stem.get(last(key)).copied().flatten().filter(may_be);
        found.or_else(|| keys.iter().find_map(by_stem))
    }
}

/// Of two masks of one image that with the ids that are trained.
fn one_of_two(listing: &Listing, image: usize, masks: [usize; 2]) -> Result<usize, DataError> {
    let is_train = |&mask: &usize| stem(listing.images.get(mask)).ends_with("TrainIds");
    match masks.iter().copied().filter(is_train).collect::<Vec<_>>()[..] {
        [mask] => Ok(mask),
        _ => {
            let what = format!("masks are there for {}", listing.images.get(image));
            Err(two(listing, &what, masks))
        }
    }
}

fn two(listing: &Listing, what: &str, files: [usize; 2]) -> DataError {
    DataError::Layout {
        path: listing.name(""),
        found: format!("two {what}: {}", quoted_paths(listing, &files)),
        advice: "keep one of them".into(),
    }
}

fn quoted_paths(listing: &Listing, files: &[usize]) -> String {
    quoted(files.iter().map(|&file| listing.images.get(file)))
}

fn no_pairs(listing: &Listing, found: &Pairs) -> DataError {
    let advice = "put images into images/ and their masks, under the same names, into masks/, annotations/ or labels/; for \
                  COCO's annotations put the JSON file there";
    let (images, masks) = (found.images_alone.len(), found.masks_alone.len());
    let found = match masks {
        0 => format!("it holds {images} images and no folder of masks"),
        _ => format!(
            "none of {images} images has the name of one of {masks} masks: there are {} and {}",
            quoted_paths(listing, &found.images_alone),
            quoted_paths(listing, &found.masks_alone)
        ),
    };
    DataError::Layout { path: listing.name(""), found, advice: advice.into() }
}

/// The part that the folders of each file name: by a folder that is a word for a part, or, where no file has one, by a
/// folder with such a word.
fn splits(places: &[Place]) -> Vec<Option<Split>> {
    let by = |wanted: fn(Named) -> bool| -> Vec<Option<Split>> {
        let of = |place: &Place| {
            place.folders.split('/').map(Named::of).find(|&named| wanted(named)).and_then(Named::split)
        };
        places.iter().map(of).collect()
    };
    let wholly = by(|named| matches!(named, Named::Wholly(_)));
    match wholly.iter().any(Option::is_some) {
        true => wholly,
        false => by(|named| named.split().is_some()),
    }
}

/// The known data set that the paths of images and masks are those of.
pub(crate) fn known_data(listing: &Listing, pairs: &Pairs) -> Option<KnownData> {
    let all = |of_mask: bool, is: &dyn Fn(&str) -> bool| {
        let file = |pair: &Pair| if of_mask { pair.mask } else { pair.image };
        pairs.pairs.iter().all(|pair| is(listing.images.get(file(pair))))
    };
    let ends = |suffix: &'static str| move |path: &str| stem(path).ends_with(suffix);
    if all(true, &|path| path.contains("SegmentationClass/") && is_voc(stem(path))) {
        return Some(KnownData::Voc);
    }
    if all(true, &ends("_labelTrainIds")) {
        return Some(KnownData::CityscapesTrainIds);
    }
    if all(true, &ends("_labelIds")) {
        return Some(KnownData::CityscapesIds);
    }
    let is_ade = |path: &str| stem(path).starts_with("ADE_") && path.contains("annotations/");
    all(true, &is_ade).then_some(KnownData::Ade20k)
}

/// A year and six digits, as in `2007_000032`; others have made folders of the same names.
fn is_voc(stem: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    stem.split_once('_').is_some_and(|(year, number)| digits(year, 4) && digits(number, 6))
}

#[cfg(test)]
mod tests;
