//! Images with their objects.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use convnext_core::{ClassNames, ImageSize, Seed};

use crate::datasets::dataset::Dataset;
use crate::datasets::split::{choose_labelled, labelled_fraction};
use crate::detection::error::AnnotationError;
use crate::error::DataError;
use crate::instances::instance::Instance;
use crate::pixels::image::Image;
use crate::pixels::orientation::Orientation;
use crate::transforms::resized_cut::ResizedCut;

/// Images of a data set for detection. Copies and subsets share files and annotations; images are read when they are asked
/// for.
#[derive(Clone)]
pub struct DetectionSet {
    images: Dataset,
    /// The entry of each image.
    members: Arc<[u32]>,
    shared: Arc<SharedEntries>,
}

/// What all subsets share.
#[derive(Clone)]
pub(crate) struct SharedEntries {
    /// All files of the data set.
    pub(crate) files: Dataset,
    pub(crate) entries: Vec<Entry>,
    pub(crate) classes: ClassNames,
    /// `true` if nothing names the classes.
    pub(crate) unnamed: bool,
    /// The numbers of the classes in files of annotations, each with the numbers of one file.
    pub(crate) category_ids: Vec<Vec<Option<i64>>>,
    pub(crate) orientation: Orientation,
    /// Folder or archive of the data.
    pub(crate) root: String,
}

/// An image, or a tile of one, with its objects.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Position among all files.
    pub(crate) file: usize,
    /// Number in the file of annotations.
    pub(crate) id: i64,
    /// Position of the file of annotations.
    pub(crate) source: usize,
    pub(crate) size: ImageSize,
    /// The part of the image that it is; `None` for all of it.
    pub(crate) tile: Option<ResizedCut>,
    pub(crate) instances: Box<[Instance]>,
}

impl SharedEntries {
    /// The same for other images.
    pub(crate) fn with_entries(&self, entries: Vec<Entry>) -> Self {
        Self {
            entries,
            files: self.files.clone(),
            classes: self.classes.clone(),
            category_ids: self.category_ids.clone(),
            root: self.root.clone(),
            ..*self
        }
    }
}

impl DetectionSet {
    /// Some entries, by their positions.
    pub(crate) fn new(shared: &Arc<SharedEntries>, members: &[usize]) -> Self {
        let files: Vec<usize> = members.iter().map(|&member| shared.entries[member].file).collect();
        Self {
            images: shared.files.subset(&files),
            members: members.iter().map(|&member| member as u32).collect(),
            shared: Arc::clone(shared),
        }
    }

    /// The files of the images: whole ones, also where [`Self::cut`] takes a tile of them.
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

    /// The names of the classes, in the order of their indices.
    pub fn classes(&self) -> &ClassNames {
        &self.shared.classes
    }

    /// What to do with the orientation that a camera wrote into a file, so that annotations fit.
    pub fn orientation(&self) -> Orientation {
        self.shared.orientation
    }

    /// The objects of an image, crowds included.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn instances(&self, index: usize) -> &[Instance] {
        &self.entry(index).instances
    }

    /// Height and width of an image that the objects lie in: that of the tile where it is one.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn image_size(&self, index: usize) -> ImageSize {
        self.entry(index).size
    }

    /// The tile of a whole image that the objects of `index` are about; the image itself where it is no tile.
    ///
    /// # Errors
    /// [`AnnotationError::Size`] when the image has another size than it had when the data was opened.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn cut(&self, index: usize, image: Image) -> Result<Image, DataError> {
        let Entry { tile, size, .. } = *self.entry(index);
        let (expected, found) = (tile.map_or(size, |tile| tile.resized), image.size());
        if found != expected {
            return Err(AnnotationError::Size { name: self.images.name(index), found, expected }.into());
        }
        Ok(match tile {
            None => image,
            Some(tile) => tile.of(&image),
        })
    }

    /// The number of an image in its file of annotations; its position from 1 on where there is none.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn image_id(&self, index: usize) -> i64 {
        self.entry(index).id
    }

    /// The number of files of annotations that the images come from. Of several, neither [`Self::image_id`] nor
    /// [`Self::category_id`] says which one a number is of.
    pub fn annotation_files(&self) -> usize {
        let sources = self.members().map(|member| self.shared.entries[member].source);
        sources.collect::<BTreeSet<_>>().len()
    }

    /// The number of a class in the file of annotations of the first image; its index from 1 on where it has none there, or a number
    /// beyond all where that is another class's.
    ///
    /// # Panics
    /// When `class` is not below the number of classes.
    pub fn category_id(&self, class: usize) -> i64 {
        assert!(class < self.shared.classes.len(), "a class of the set");
        let source = self.members.first().map_or(0, |&member| self.shared.entries[member as usize].source);
        let own = self.shared.category_ids.get(source).and_then(|ids| ids.get(class).copied().flatten());
        let ids = self.shared.category_ids.get(source).map_or(&[][..], Vec::as_slice);
        let is_used = |id: i64| ids.contains(&Some(id));
        // Never the number of another class.
        let beyond = ids.iter().flatten().max().map_or(0, |most| most + 1);
        own.unwrap_or(if is_used(class as i64 + 1) { beyond + class as i64 } else { class as i64 + 1 })
    }

    /// The number of objects of each class, without crowds.
    pub fn objects_per_class(&self) -> Vec<u64> {
        self.sums(|counts, instance| counts[instance.class] += 1)
    }

    /// The number of images that have objects of each class, without crowds.
    pub fn images_per_class(&self) -> Vec<u64> {
        let mut sums = vec![0; self.classes().len()];
        for index in 0..self.len() {
            let mut has = vec![false; sums.len()];
            self.objects(index).for_each(|instance| has[instance.class] = true);
            sums.iter_mut().zip(has).for_each(|(sum, has)| *sum += u64::from(has));
        }
        sums
    }

    /// `true` if an object has a mask, crowds aside.
    pub fn has_masks(&self) -> bool {
        self.objects_with_masks() > 0
    }

    /// The number of objects that have a mask, without crowds.
    pub fn objects_with_masks(&self) -> usize {
        let objects = (0..self.len()).flat_map(|index| self.objects(index));
        objects.filter(|instance| instance.mask.is_some()).count()
    }

    /// The objects of an image that are learned.
    fn objects(&self, index: usize) -> impl Iterator<Item = &Instance> {
        self.instances(index).iter().filter(|instance| !instance.is_crowd)
    }

    /// Sums over the objects that are learned, a number for each class.
    pub(crate) fn sums(&self, add: impl Fn(&mut [u64], &Instance)) -> Vec<u64> {
        let mut sums = vec![0; self.classes().len()];
        for index in 0..self.len() {
            self.objects(index).for_each(|instance| add(&mut sums, instance));
        }
        sums
    }

    /// The entry of an image.
    pub(crate) fn entry(&self, index: usize) -> &Entry {
        &self.shared.entries[self.members[index] as usize]
    }

    /// The same images with other entries in the places of theirs.
    pub(crate) fn with_shared(&self, shared: SharedEntries) -> Self {
        Self { shared: Arc::new(shared), ..self.clone() }
    }

    /// Everything that subsets share.
    pub(crate) fn shared(&self) -> &Arc<SharedEntries> {
        &self.shared
    }

    /// The positions of the entries of the images.
    pub(crate) fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.members.iter().map(|&member| member as usize)
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
}

impl fmt::Debug for DetectionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DetectionSet({} images, {} classes)", self.len(), self.classes().len())
    }
}
