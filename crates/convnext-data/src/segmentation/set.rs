//! Images with a label map each.

use std::fmt;
use std::sync::Arc;

use convnext_core::{ClassNames, ImageSize, Seed};

use crate::datasets::dataset::Dataset;
use crate::datasets::split::{choose_labelled, labelled_fraction};
use crate::error::DataError;
use crate::pixels::label_map::LabelMap;
use crate::pixels::orientation::Orientation;
use crate::segmentation::error::MaskError;
use crate::segmentation::image_size::other_size;
use crate::segmentation::masks::Masks;
use crate::segmentation::rule::LabelRule;

/// Images of a data set for segmentation, each with a label map. Copies and subsets share files and tables; images and
/// label maps are read when they are asked for.
#[derive(Clone)]
pub struct SegmentationSet {
    images: Dataset,
    /// The mask of each image, by its position in `masks`.
    members: Arc<[u32]>,
    masks: Arc<Masks>,
    /// The number of pixels of each class that each mask of `masks` has.
    counts: Arc<[ClassCounts]>,
    /// The size of each mask of `masks`.
    sizes: Arc<[ImageSize]>,
    rule: Arc<LabelRule>,
    classes: Arc<ClassNames>,
    unnamed: bool,
    orientation: Orientation,
}

/// Pixels of the classes of one label map: those that it has, and [`LabelMap::IGNORED`].
pub(crate) type ClassCounts = Vec<(u16, u64)>;

/// Parts of a [`SegmentationSet`] that all parts of a data set share.
pub(crate) struct Shared {
    /// All files of the data set.
    pub(crate) files: Dataset,
    pub(crate) masks: Arc<Masks>,
    pub(crate) counts: Arc<[ClassCounts]>,
    pub(crate) sizes: Arc<[ImageSize]>,
    pub(crate) rule: Arc<LabelRule>,
    pub(crate) classes: Arc<ClassNames>,
    pub(crate) unnamed: bool,
    pub(crate) orientation: Orientation,
}

impl SegmentationSet {
    /// The images of some masks, by their positions.
    pub(crate) fn new(shared: &Shared, members: &[usize]) -> Self {
        let Shared { files, masks, counts, sizes, rule, classes, unnamed, orientation } = shared;
        let images: Vec<usize> = members.iter().map(|&member| masks.image(member)).collect();
        Self {
            images: files.subset(&images),
            members: members.iter().map(|&member| member as u32).collect(),
            masks: Arc::clone(masks),
            counts: Arc::clone(counts),
            sizes: Arc::clone(sizes),
            rule: Arc::clone(rule),
            classes: Arc::clone(classes),
            unnamed: *unnamed,
            orientation: *orientation,
        }
    }

    /// The images.
    pub fn images(&self) -> &Dataset {
        &self.images
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// `true` when there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The names of the classes, in the order of the labels.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// `true` if the classes are called by their numbers, because nothing names them.
    pub fn is_unnamed(&self) -> bool {
        self.unnamed
    }

    /// The treatment of the EXIF orientation of the images with which the label maps have their sizes.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Reads the label map of an image that was decoded to this size.
    ///
    /// # Errors
    /// Those of [`Self::label_map`], and [`MaskError::Size`] when its size is another.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn label_map_of(&self, index: usize, image: ImageSize) -> Result<LabelMap, DataError> {
        let labels = self.label_map(index)?;
        if labels.size() == image {
            return Ok(labels);
        }
        let mask = (self.mask_name(index), labels.size());
        Err(other_size(mask, (&self.images, index), image, self.orientation))
    }

    /// Reads the label map of an image.
    ///
    /// # Errors
    /// Those of reading its file, and [`MaskError::Value`] for a value that no class has.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn label_map(&self, index: usize) -> Result<LabelMap, DataError> {
        let member = self.members[index] as usize;
        let mask = self.masks.read(member)?;
        self.rule
            .label_map(mask)
            .map_err(|value| MaskError::Value { name: self.masks.name(member), value }.into())
    }

    /// The name of the mask of an image in messages.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn mask_name(&self, index: usize) -> String {
        self.masks.name(self.members[index] as usize)
    }

    /// The size of the mask of an image, which is that of the image, as it was when the data was opened.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn mask_size(&self, index: usize) -> ImageSize {
        self.sizes[self.members[index] as usize]
    }

    /// The number of pixels of each class in these images, as they were when the data was opened.
    pub fn pixels_per_class(&self) -> Vec<u64> {
        self.sums(|pixels| pixels)
    }

    /// The number of images that have pixels of each class.
    pub fn images_per_class(&self) -> Vec<u64> {
        self.sums(|pixels| u64::from(pixels > 0))
    }

    /// The number of pixels that are ignored, in per cent of all.
    pub fn ignored_percent(&self) -> f64 {
        let ignored = self.ignored_pixels();
        let all = self.pixels_per_class().iter().sum::<u64>() + ignored;
        100.0 * ignored as f64 / all.max(1) as f64
    }

    /// The number of pixels that are ignored.
    pub fn ignored_pixels(&self) -> u64 {
        let ignored = |member: &u32| {
            let counts = &self.counts[*member as usize];
            counts
                .iter()
                .filter(|(label, _)| *label == LabelMap::IGNORED)
                .map(|(_, pixels)| pixels)
                .sum::<u64>()
        };
        self.members.iter().map(ignored).sum()
    }

    fn sums(&self, of: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut sums = vec![0; self.classes.len()];
        for &member in self.members.iter() {
            for &(label, pixels) in &self.counts[member as usize] {
                if let Some(sum) = sums.get_mut(usize::from(label)) {
                    *sum += of(pixels);
                }
            }
        }
        sums
    }

    /// The images at these positions, in this order.
    ///
    /// # Panics
    /// When an index is not below [`Self::len`].
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let members = indices.iter().map(|&index| self.members[index]).collect();
        Self { images: self.images.subset(indices), members, ..self.clone() }
    }

    /// `count` images that the seed draws, in their order. A smaller choice with the same seed is part of a larger one.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] when there are fewer, or `count` is 0.
    pub fn choose(&self, count: usize, seed: Seed) -> Result<Self, DataError> {
        Ok(self.subset(&choose_labelled(self.len(), count, seed)?))
    }

    /// A fraction of the images, rounded, at least one; chosen as [`Self::choose`] does.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] when `fraction` is not above 0 and at most 1, or there are no images.
    pub fn choose_fraction(&self, fraction: f64, seed: Seed) -> Result<Self, DataError> {
        self.choose(labelled_fraction(self.len(), fraction)?, seed)
    }

    /// The same images with the classes of a model in the places of their own: by name, or by number where nothing names
    /// those of the data.
    ///
    /// # Errors
    /// [`DataError::UnknownClass`] for a class that the model lacks.
    pub fn for_classes(&self, model: &ClassNames) -> Result<Self, DataError> {
        let by_number = self.unnamed && self.classes.len() <= model.len();
        let new = self.classes.0.iter().enumerate().map(|(label, name)| {
            let found = if by_number { Some(label) } else { model.index(name) };
            let unknown = || DataError::unknown_class(name.clone(), self.masks.root.clone(), model);
            Ok(found.ok_or_else(unknown)? as u16)
        });
        let new: Vec<u16> = new.collect::<Result<_, DataError>>()?;
        let counts = self.counts.iter().map(|counts| {
            let changed = |&(label, pixels): &(u16, u64)| {
                (new.get(usize::from(label)).copied().unwrap_or(label), pixels)
            };
            counts.iter().map(changed).collect()
        });
        Ok(Self {
            counts: counts.collect(),
            rule: Arc::new(self.rule.relabelled(&new)),
            classes: Arc::new(model.clone()),
            unnamed: false,
            ..self.clone()
        })
    }

    /// A checksum of the names of the classes, of every image and mask, and of the pixels of each class, in order. A
    /// resumed run notices by it that its data is another.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&self.images.fingerprint().to_le_bytes());
        for class in &self.classes.0 {
            hash.update(class.as_bytes());
            hash.update(&[0]);
        }
        for &member in self.members.iter() {
            hash.update(self.masks.name(member as usize).as_bytes());
            for (label, pixels) in &self.counts[member as usize] {
                hash.update(&label.to_le_bytes());
                hash.update(&pixels.to_le_bytes());
            }
        }
        hash.finalize()
    }
}

impl fmt::Debug for SegmentationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentationSet({} images, {} classes)", self.len(), self.classes.len())
    }
}
