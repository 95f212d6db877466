//! The images and masks of a data set, before their values are looked at.

use std::path::Path;
use std::sync::Arc;

use crate::datasets::dataset::Dataset;
use crate::datasets::files::Files;
use crate::datasets::list_images::list_images;
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::relative::{last, parent};
use crate::error::DataError;
use crate::pixels::orientation::Orientation;
use crate::segmentation::class_file::read_class_file;
use crate::segmentation::class_table::ClassTable;
use crate::segmentation::data::SegmentationLayout;
use crate::segmentation::decide::Wishes;
use crate::segmentation::error::MaskError;
use crate::segmentation::lists;
use crate::segmentation::masks::Masks;
use crate::segmentation::pairs::{known_data, pair};
use crate::segmentation::place::stem;
use crate::segmentation::seen::{MaskCounts, in_parallel};
use crate::segmentation::side_files::{SideFiles, side_files};
use crate::segmentation::stored_size::stored_size;

/// Images and masks of a data set.
pub(crate) struct Found {
    /// Folder or archive.
    pub(crate) root: String,
    /// All files.
    pub(crate) files: Dataset,
    pub(crate) masks: Masks,
    /// The part that each mask belongs to.
    pub(crate) splits: Vec<Option<Split>>,
    pub(crate) wishes: Wishes,
    /// Names of images without a mask.
    pub(crate) images_alone: Vec<String>,
    /// Names of masks without an image.
    pub(crate) masks_alone: Vec<String>,
    /// What is to be said of how they were found.
    pub(crate) remarks: Vec<String>,
}

/// Files that may name the classes, in the order in which they count.
const TABLES: [&str; 5] = ["class_dict.csv", "classes.csv", "classes.toml", "classes.txt", "class_names.txt"];

impl Found {
    /// Finds images and masks as [`pair`] does, with the lists and tables beside them.
    pub(crate) fn of(path: &Path, layout: &SegmentationLayout) -> Result<Self, DataError> {
        let listing = list_images(path)?.with_images()?;
        let wanted = |file: &str| lists::is_list(file) || TABLES.contains(&last(file));
        let beside = side_files(path, &listing, wanted)?;
        let mut pairs = pair(&listing)?;
        let mut remarks = Vec::new();
        if let Some(left_out) = lists::divide(&mut pairs, &listing, &beside).filter(|&count| count > 0) {
            remarks.push(format!("{left_out} images with masks are in no list of a part and left out"));
        }
        let is_full_ade = |mask: usize| {
            let path = listing.images.get(mask);
            stem(path).starts_with("ADE_") && stem(path).ends_with("_seg")
        };
        let known = known_data(&listing, &pairs).filter(|_| layout.classes.is_none());
        let wishes = Wishes {
            table: table(layout, &listing, &beside, known.is_some())?,
            known,
            model: layout.model.clone(),
            ignored: layout.ignored.clone(),
            reduce_zero_label: layout.reduce_zero_label,
            full_ade: pairs.pairs.first().is_some_and(|pair| is_full_ade(pair.mask)),
        };
        let names =
            |files: &[usize]| files.iter().map(|&file| listing.name(listing.images.get(file))).collect();
        let (images_alone, masks_alone) = (names(&pairs.images_alone), names(&pairs.masks_alone));
        let root = listing.name("");
        let files = Dataset::new(Files::Listed(Arc::new(listing)));
        let masks = Masks::Files {
            root: root.clone(),
            files: files.subset(&pairs.pairs.iter().map(|pair| pair.mask).collect::<Vec<_>>()),
            images: pairs.pairs.iter().map(|pair| pair.image).collect(),
        };
        let splits = pairs.pairs.iter().map(|pair| pair.split).collect();
        Ok(Self { root, files, masks, splits, wishes, images_alone, masks_alone, remarks })
    }

    /// Counts the values of every mask, and compares its size with that of its image. Results are in the order of masks.
    pub(crate) fn count(&self, progress: impl FnMut(usize)) -> Vec<Result<MaskCounts, DataError>> {
        let by_colour = self.wishes.by_colour();
        let look = |at: usize| {
            let mask = self.masks.read(at)?;
            let image = self.masks.image(at);
            let bytes = self.files.read(image)?;
            match stored_size(&bytes, Orientation::Honour) {
                Some(size) if size != mask.size => {
                    let turned = stored_size(&bytes, Orientation::Ignore) == Some(mask.size);
                    let (image, name) = (self.files.name(image), self.masks.name(at));
                    Err(MaskError::Size { name, found: mask.size, image, expected: size, turned }.into())
                }
                _ => Ok(MaskCounts::of(&mask, by_colour)),
            }
        };
        in_parallel(self.masks.len(), look, progress)
    }
}

/// The table of classes that was asked for, or one that lies beside the images of data that are not known.
fn table(
    layout: &SegmentationLayout,
    listing: &Listing,
    beside: &SideFiles,
    is_known: bool,
) -> Result<Option<(ClassTable, String)>, DataError> {
    if let Some(path) = &layout.classes {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| DataError::io("read", &name, source))?;
        return Ok(Some((read_class_file(&name, &bytes)?, name)));
    }
    let by_depth = |path: &&String| (parent(path).matches('/').count(), path.len());
    let found = TABLES.iter().find_map(|table| {
        let files = beside.keys().filter(|path| last(path) == *table);
        files.min_by_key(by_depth)
    });
    match found.filter(|_| !is_known) {
        None => Ok(None),
        Some(path) => {
            let name = listing.name(path);
            Ok(Some((read_class_file(&name, &beside[path])?, name)))
        }
    }
}
