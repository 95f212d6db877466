//! The images and masks of a data set, before their values are looked at.

use std::path::Path;
use std::sync::Arc;

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;

use crate::datasets::dataset::Dataset;
use crate::datasets::files::Files;
use crate::datasets::in_parallel::in_parallel;
use crate::datasets::list_images::list_images;
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::relative::{last, parent, stem};
use crate::datasets::side_files::{SideFiles, side_files};
use crate::datasets::stored_image::stored_image;
use crate::error::DataError;
use crate::instances::coco_files::{CocoFile, coco_files};
use crate::pixels::orientation::Orientation;
use crate::segmentation::class_file::read_class_file;
use crate::segmentation::class_table::ClassTable;
use crate::segmentation::coco::open::CocoData;
use crate::segmentation::data::SegmentationLayout;
use crate::segmentation::decide::Wishes;
use crate::segmentation::error::MaskError;
use crate::segmentation::image_size::other_size;
use crate::segmentation::lists;
use crate::segmentation::masks::{MaskSource, Masks};
use crate::segmentation::pairs::{Pairs, known_data, pair};
use crate::segmentation::seen::MaskCounts;

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
    /// Finds images and masks as [`pair`] does, with the lists and tables beside them, or images with COCO's annotations.
    pub(crate) fn of(path: &Path, layout: &SegmentationLayout) -> Result<Self, DataError> {
        let listing = list_images(path)?.with_images()?;
        let no_masks = match pair(&listing) {
            Ok(pairs) => return Self::of_masks(path, listing, pairs, layout),
            Err(no_masks) => no_masks,
        };
        let annotations = coco_files(path, &listing)?;
        match annotations.is_empty() {
            true => Err(no_masks),
            false => Self::of_annotations(listing, annotations, layout),
        }
    }

    /// Images with masks.
    fn of_masks(
        path: &Path,
        listing: Listing,
        mut pairs: Pairs,
        layout: &SegmentationLayout,
    ) -> Result<Self, DataError> {
        let wanted = |file: &str| lists::is_list(file) || TABLES.contains(&last(file));
        let beside = side_files(path, &listing, wanted)?;
        let remarks = lists::divide(&mut pairs, &listing, &beside)?;
        let known = known_data(&listing, &pairs).filter(|_| layout.classes.is_none());
        let wishes = Wishes {
            table: table(layout, &listing, &beside, known.is_some())?,
            known,
            model: layout.model.clone(),
            ignored: layout.ignored.clone(),
            reduce_zero_label: layout.reduce_zero_label,
            full_ade: pairs.pairs.first().is_some_and(|pair| is_full_ade(listing.images.get(pair.mask))),
            are_drawn: false,
        };
        let names =
            |files: &[usize]| files.iter().map(|&file| listing.name(listing.images.get(file))).collect();
        let (images_alone, masks_alone) = (names(&pairs.images_alone), names(&pairs.masks_alone));
        let root = listing.name("");
        let files = Dataset::new(Files::Listed(Arc::new(listing)));
        let masks = files.subset(&pairs.pairs.iter().map(|pair| pair.mask).collect::<Vec<_>>());
        let images = pairs.pairs.iter().map(|pair| pair.image).collect();
        let orientation = layout.orientation;
        let masks = Masks { root: root.clone(), source: MaskSource::Files(masks, images), orientation };
        let splits = pairs.pairs.iter().map(|pair| pair.split).collect();
        Ok(Self { root, files, masks, splits, wishes, images_alone, masks_alone, remarks })
    }

    /// Images with COCO's annotations.
    fn of_annotations(
        listing: Listing,
        annotations: Vec<CocoFile>,
        layout: &SegmentationLayout,
    ) -> Result<Self, DataError> {
        let data = CocoData::read(&listing, annotations)?;
        check_annotated(&listing, &data, layout)?;
        let table = Some((data.table(!layout.reduce_zero_label), "COCO's categories".to_owned()));
        let wishes = Wishes { table, ignored: layout.ignored.clone(), are_drawn: true, ..Wishes::default() };
        let mut has_mask = vec![false; listing.images.len()];
        data.images.iter().for_each(|image| has_mask[image.image] = true);
        let alone = listing.images.iter().zip(has_mask).filter(|(_, has_mask)| !has_mask);
        Ok(Self {
            images_alone: alone.map(|(path, _)| listing.name(path)).collect(),
            masks_alone: Vec::new(),
            root: listing.name(""),
            masks: Masks {
                root: listing.name(""),
                source: MaskSource::Coco(data.images),
                orientation: layout.orientation,
            },
            files: Dataset::new(Files::Listed(Arc::new(listing))),
            splits: data.splits,
            wishes,
            remarks: data.remarks,
        })
    }

    /// Keeps some of the masks.
    pub(crate) fn retain(&mut self, kept: &[bool]) {
        self.masks.retain(kept);
        let mut flags = kept.iter();
        self.splits.retain(|_| flags.next().copied().unwrap_or(true));
    }

    /// Compares the size of a mask with that of its image. `true` if the image is turned and has its size all the same.
    fn check_mask(&self, at: usize, found: ImageSize) -> Result<bool, DataError> {
        let (image, orientation) = (self.masks.image(at), self.masks.orientation);
        let Some(stored) = stored_image(&self.files, image)? else { return Ok(false) };
        let expected = stored.size_with(orientation);
        if expected != found {
            return Err(other_size(
                (self.masks.name(at), found),
                (&self.files, image),
                expected,
                orientation,
            ));
        }
        let is_turned = orientation == Orientation::Honour && stored.turn != Turn::NoTransforms;
        Ok(is_turned && stored.size == expected)
    }

    /// Counts the values of every mask, and compares its size with that of its image, on so many threads or on all cores.
    /// Results are in the order of masks.
    pub(crate) fn count(
        &self,
        threads: Option<usize>,
        progress: impl FnMut(usize),
    ) -> Vec<Result<MaskCounts, DataError>> {
        let by_colour = self.wishes.by_colour();
        let look = |at: usize| {
            let drawn = self.masks.drawn_size(at);
            let is_turned = drawn.map_or(Ok(false), |size| self.check_mask(at, size))?;
            let mask = self.masks.read(at)?;
            let is_turned = if drawn.is_none() { self.check_mask(at, mask.size)? } else { is_turned };
            let turned_alone = is_turned && mask.turn == Turn::NoTransforms;
            Ok(MaskCounts { turned_alone, ..MaskCounts::of(&mask, by_colour) })
        };
        in_parallel(self.masks.len(), threads, look, progress)
    }
}

/// Refuses what makes no sense where categories are the classes: a file of classes, and numbers to ignore other than that of
/// the background, as those of drawn masks are not the ids of categories.
fn check_annotated(listing: &Listing, data: &CocoData, layout: &SegmentationLayout) -> Result<(), MaskError> {
    let path = listing.name("");
    if layout.classes.is_some() {
        let found = "its classes are the categories of COCO's annotations".to_owned();
        return Err(MaskError::Masks { path, found, advice: "leave out --classes".into() });
    }
    let Some(number) = layout.ignored.iter().copied().find(|&number| number != 0) else { return Ok(()) };
    let drawn = data.category(number).map_or("no class".to_owned(), |name| format!("'{name}'"));
    let found = format!(
        "--ignore-index {number} would be {drawn} and not the category of this id, because categories are drawn with \
         their positions in the order of their ids"
    );
    let advice = "leave it out, and give annotations that are to be ignored \"ignore\": 1; --ignore-index 0 ignores what \
                  none covers";
    Err(MaskError::Masks { path, found, advice: advice.into() })
}

/// `true` for a mask of full ADE20K, whose colours hold thousands of classes.
fn is_full_ade(path: &str) -> bool {
    stem(path).starts_with("ADE_") && stem(path).ends_with("_seg")
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
