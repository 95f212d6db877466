//! Opening data for segmentation.

use std::path::Path;
use std::sync::Arc;

use convnext_core::{ClassNames, Seed, counted};

use crate::datasets::image_parts::{Divided, ImageParts};
use crate::datasets::parts::Split;
use crate::error::DataError;
use crate::loading::corrupt_file::CorruptFile;
use crate::segmentation::data::{SegmentationData, SegmentationLayout, SegmentationPart};
use crate::segmentation::decide::Decided;
use crate::segmentation::error::MaskError;
use crate::segmentation::found::Found;
use crate::segmentation::mask::{Mask, MaskPixels};
use crate::segmentation::masks::Masks;
use crate::segmentation::rule::LabelRule;
use crate::segmentation::seen::{MaskCounts, SeenValues};
use crate::segmentation::set::{ClassCounts, SegmentationSet, Shared};
use crate::segmentation::value::MaskValue;

/// Opens images with a mask each: a folder, a `.tar` or a `.tar.gz`.
///
/// Images lie in `images/` and masks in `masks/`, `annotations/` or `labels/` (or folders whose names have such a word,
/// such as `train_labels`), with the same names but for the extension and a suffix such as `_mask`, `_label`, `_gt` or
/// `_L`; parts are folders above or below, by the words of [`crate::open_labelled`]. The folders of ADE20K
/// (SceneParsing), Pascal VOC with its lists, Cityscapes and CamVid are such. Without masks, COCO's JSON files of
/// annotations are drawn as label maps. Without a part for validation that for a
/// test is taken, and without that a share is held out by the seed.
///
/// All masks are read once. Their values are numbers of classes, or colours where a table names these. Without a table
/// and of no known data set, there is a class for each number, and masks of 0 and 255 have two. 255 is ignored where it
/// is no class: where no table has it, and no number is higher. [`SegmentationData::decisions`] says what was decided.
///
/// # Errors
/// [`DataError`] when there are no pairs, a mask cannot be read or has another size than its image
/// ([`MaskError::Unusable`]), or the values do not fit the classes ([`MaskError::Masks`]).
pub fn open_segmentation(
    path: &Path,
    layout: &SegmentationLayout,
    seed: Seed,
) -> Result<SegmentationData, DataError> {
    data_of(opened(path, layout)?, layout, seed)
}

/// The parts of understood data that are trained and measured on.
pub(crate) fn data_of(
    opened: Opened,
    layout: &SegmentationLayout,
    seed: Seed,
) -> Result<SegmentationData, DataError> {
    let Divided { train, validation, validation_split, test } =
        opened.parts.divided(layout.validation_fraction, seed)?;
    let train_source = opened.source(Some(Split::Train));
    let validation_source = validation_split.map_or(train_source.clone(), |split| opened.source(Some(split)));
    let set = |members: &[usize]| SegmentationSet::new(&opened.shared, members);
    Ok(SegmentationData {
        train: set(&train),
        validation: set(&validation),
        test: Some(set(&test)).filter(|test| !test.is_empty()),
        classes: (*opened.shared.classes).clone(),
        numbers: opened.numbers,
        palette: opened.palette.clone(),
        held_out: validation_split.is_none(),
        validation_split,
        train_source,
        validation_source,
        decisions: opened.decisions,
    })
}

/// Opens the part of a data set that a trained network is evaluated on: the one that is asked for, or else the one for
/// validation, or else the one for a test, or else all images of data without parts. Layouts are those of
/// [`open_segmentation`]; the classes are matched with the model's by [`SegmentationSet::for_classes`].
///
/// # Errors
/// Those of [`open_segmentation`], and [`DataError::Layout`] when there is no such part.
pub fn open_segmentation_part(
    path: &Path,
    layout: &SegmentationLayout,
    asked: Option<Split>,
) -> Result<SegmentationPart, DataError> {
    let opened = opened(path, layout)?;
    let (split, members) = opened.parts.to_measure(asked)?;
    Ok(SegmentationPart {
        split,
        source: opened.source(split),
        images: SegmentationSet::new(&opened.shared, &members),
        decisions: opened.decisions,
    })
}

/// Data all of whose masks can be read.
fn opened(path: &Path, layout: &SegmentationLayout) -> Result<Opened, DataError> {
    let found = Found::of(path, layout)?;
    say_what_is_alone(&found);
    let counts = readable(&found)?;
    Opened::of(found, &counts)
}

/// A data set whose masks are understood.
pub(crate) struct Opened {
    shared: Shared,
    parts: ImageParts,
    numbers: Vec<Vec<u16>>,
    palette: Vec<[u8; 3]>,
    decisions: Vec<String>,
}

impl Opened {
    /// Decides what the values mean, by the counts of each mask.
    ///
    /// # Errors
    /// [`MaskError::Masks`] when they do not fit classes.
    pub(crate) fn of(found: Found, counts: &[MaskCounts]) -> Result<Self, DataError> {
        let seen = SeenValues::of(counts.iter().enumerate());
        let decided = decide(&found, &seen)?;
        let Decided { rule, classes, unnamed, numbers, mut palette, mut decisions } = decided;
        decisions.splice(0..0, found.remarks);
        decisions.extend(outside_of_parts(&found.splits));
        if palette.is_empty() {
            palette = palette_of_masks(&found.masks, (&seen, &rule), classes.len());
        }
        let orientation = found.masks.orientation;
        decisions.extend(turned_alone(counts));
        let per_mask = counts.iter().map(|counts| class_counts(counts, &rule));
        let shared = Shared {
            files: found.files,
            masks: Arc::new(found.masks),
            counts: per_mask.collect(),
            sizes: counts.iter().map(|counts| counts.size).collect(),
            rule: Arc::new(rule),
            classes: Arc::new(classes),
            unnamed,
            orientation,
        };
        let parts = ImageParts { root: found.root, splits: found.splits };
        Ok(Self { shared, parts, numbers, palette, decisions })
    }

    /// The names of the classes.
    pub(crate) fn classes(&self) -> &ClassNames {
        &self.shared.classes
    }

    /// The label of a value.
    pub(crate) fn label(&self, value: MaskValue) -> Option<u16> {
        self.shared.rule.label(value)
    }

    /// Where the images of a part lie.
    fn source(&self, split: Option<Split>) -> String {
        self.parts.source(split, |at| self.shared.files.name(self.shared.masks.image(at)))
    }
}

fn say_what_is_alone(found: &Found) {
    let first = |names: &[String]| names.first().cloned().unwrap_or_default();
    for (names, what) in
        [(&found.images_alone, "images without a mask"), (&found.masks_alone, "masks without an image")]
    {
        if !names.is_empty() {
            log::warn!("{}: {} {what} are left out, the first {}", found.root, names.len(), first(names));
        }
    }
}

/// What is said of images that lie in no part where others do.
fn outside_of_parts(splits: &[Option<Split>]) -> Option<String> {
    let outside = splits.iter().filter(|split| split.is_none()).count();
    let images = counted(outside, "image with a mask lies", "images with masks lie");
    (outside > 0 && outside < splits.len())
        .then(|| format!("{images} outside of the parts for training, validation and test: left out"))
}

/// What is said of images that EXIF turns to the size that they have: their masks may be of either.
fn turned_alone(counts: &[MaskCounts]) -> Option<String> {
    let turned = counts.iter().filter(|mask| mask.turned_alone).count();
    let images = counted(turned, "image is", "images are");
    (turned > 0).then(|| {
        format!("{images} turned by EXIF without a change of size; their masks are taken as upright")
    })
}

/// The counts of all masks, or the error that names those that cannot be used.
fn readable(found: &Found) -> Result<Vec<MaskCounts>, DataError> {
    let results = found.count(None, |_| ());
    let total = results.len();
    let (mut counts, mut files) = (Vec::with_capacity(total), Vec::new());
    for (at, result) in results.into_iter().enumerate() {
        match result {
            Ok(counted) => counts.push(counted),
            Err(error) => files.push(CorruptFile { name: found.masks.name(at), why: error.reason() }),
        }
    }
    match files.len() {
        0 => Ok(counts),
        count => Err(MaskError::Unusable { path: found.root.clone(), count, total, files }.into()),
    }
}

/// Decides what the values mean.
fn decide(found: &Found, seen: &SeenValues) -> Result<Decided, DataError> {
    found.wishes.decide(seen).map_err(|refusal| {
        let path = refusal.example.map_or_else(|| found.root.clone(), |at| found.masks.name(at));
        MaskError::Masks { path, found: refusal.found, advice: refusal.advice }.into()
    })
}

/// The colours of the classes in the palettes of the masks, where there is one for each: those of the pixels, and of classes
/// without any what the first mask says.
fn palette_of_masks(masks: &Masks, (seen, rule): (&SeenValues, &LabelRule), classes: usize) -> Vec<[u8; 3]> {
    let used = seen.palettes.colours.iter().map(|(&index, &(colour, _))| (index, colour));
    let mut first = Vec::new();
    if !seen.palettes.colours.is_empty()
        && let Ok(Mask { pixels: MaskPixels::Palette(_, colours), .. }) = masks.read(0)
    {
        first = colours;
    }
    let mut palette = vec![None; classes];
    for (id, colour) in used.chain((0..).zip(first)) {
        let label = rule.label(MaskValue::Id(id)).map(usize::from);
        if let Some(place) = label.and_then(|label| palette.get_mut(label)) {
            place.get_or_insert(colour);
        }
    }
    palette.into_iter().collect::<Option<_>>().unwrap_or_default()
}

/// The pixels of each label of a mask.
fn class_counts(counts: &MaskCounts, rule: &LabelRule) -> ClassCounts {
    let mut labels = ClassCounts::new();
    for &(value, pixels) in &counts.values {
        let Some(label) = rule.label(value) else { continue };
        match labels.iter_mut().find(|(known, _)| *known == label) {
            Some((_, sum)) => *sum += pixels,
            None => labels.push((label, pixels)),
        }
    }
    labels
}
