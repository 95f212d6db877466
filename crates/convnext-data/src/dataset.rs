//! A list of images with or without labels.

use std::{fmt, sync::Arc};

use convnext_core::{ClassNames, Seed};

use crate::{DataError, Orientation, Picture, decode, listing::Listing, split::choose};

/// Images of a folder or an archive, each with or without a label. Copies and subsets share the list of
/// files and the storage; the images themselves are read when they are asked for.
#[derive(Clone)]
pub struct Dataset {
    files: Arc<Listing>,
    samples: Arc<[Sample]>,
    classes: Arc<ClassNames>,
}

/// One image: 8 bytes, because there may be hundreds of millions.
#[derive(Clone, Copy)]
struct Sample {
    file: u32,
    label: u32,
}

impl Sample {
    /// The label of an image without one.
    const UNLABELLED: u32 = u32::MAX;

    fn label(self) -> Option<usize> {
        (self.label != Self::UNLABELLED).then_some(self.label as usize)
    }
}

impl Dataset {
    /// A data set of all images of a listing, without labels.
    pub(crate) fn new(listing: Listing) -> Self {
        let count = listing.images.len() as u32;
        let samples = (0..count).map(|file| Sample { file, label: Sample::UNLABELLED }).collect();
        Self { files: Arc::new(listing), samples, classes: Arc::default() }
    }

    /// Some files of this data set's list, with labels.
    pub(crate) fn labelled(&self, classes: &Arc<ClassNames>, samples: &[(usize, usize)]) -> Self {
        let samples =
            samples.iter().map(|&(file, label)| Sample { file: file as u32, label: label as u32 }).collect();
        Self { files: Arc::clone(&self.files), samples, classes: Arc::clone(classes) }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// `true` when there is no image.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The class of an image as an index into [`Self::classes`], `None` where it has none.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn label(&self, index: usize) -> Option<usize> {
        self.samples[index].label()
    }

    /// The name of an image in messages: `folder/path` or `archive.tar: path`.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn name(&self, index: usize) -> String {
        self.files.name(self.files.images.get(self.file(index)))
    }

    /// The bytes of an image file.
    ///
    /// # Errors
    /// [`DataError::Io`] with the name of the file.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let bytes = self.files.storage.read(&self.files.images, self.file(index));
        bytes.map_err(|source| DataError::io("read", self.name(index), source))
    }

    /// Reads and decodes an image.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Decode`] or [`DataError::TooLarge`] with the name of the file.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn picture(&self, index: usize, orientation: Orientation) -> Result<Picture, DataError> {
        decode(&self.read(index)?, &self.name(index), orientation)
    }

    /// Position of an image in the list of files.
    fn file(&self, index: usize) -> usize {
        self.samples[index].file as usize
    }

    /// A checksum of the names of the classes and of the name and label of every image, in order; not of
    /// their pixels. A run that goes on notices by it that its data is another.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        let mut add = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        self.classes.0.iter().for_each(|class| add(class));
        for index in 0..self.len() {
            add(&self.name(index));
            add(&self.label(index).map_or(String::new(), |label| label.to_string()));
        }
        hash.finalize()
    }

    /// The names of the classes, sorted; empty without labels.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// Number of images of each class.
    pub fn labels_per_class(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for label in self.samples.iter().filter_map(|sample| sample.label()) {
            counts[label] += 1;
        }
        counts
    }

    /// The images at these positions, in this order. Cheap: no file is read.
    ///
    /// # Panics
    /// When an index is not below [`Self::len`].
    pub fn subset(&self, indices: &[usize]) -> Self {
        let samples = indices.iter().map(|&index| self.samples[index]).collect();
        Self { files: Arc::clone(&self.files), samples, classes: Arc::clone(&self.classes) }
    }

    /// `per_class` images of every class, chosen by the seed and kept in their order. A smaller choice
    /// with the same seed is part of a larger one.
    ///
    /// # Errors
    /// [`DataError::TooFewInClass`] with the first class that has fewer images, and
    /// [`DataError::OutOfRange`] when `per_class` is 0 or there are no classes.
    pub fn choose_per_class(&self, per_class: usize, seed: Seed) -> Result<Self, DataError> {
        DataError::check(per_class > 0, "number of labelled images per class", per_class, "at least 1")?;
        DataError::check(!self.classes.is_empty(), "number of classes", 0, "at least 1 to choose per class")?;
        let mut members = vec![Vec::new(); self.classes.len()];
        for (index, sample) in self.samples.iter().enumerate() {
            if let Some(label) = sample.label() {
                members[label].push(index);
            }
        }
        let mut chosen = Vec::with_capacity(per_class * members.len());
        for (class, members) in self.classes.0.iter().zip(&members) {
            if members.len() < per_class {
                let (class, found) = (class.clone(), members.len());
                return Err(DataError::TooFewInClass { class, found, wanted: per_class });
            }
            chosen.extend(choose(class, members, per_class, seed));
        }
        chosen.sort_unstable();
        Ok(self.subset(&chosen))
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dataset({} images, {} classes)", self.len(), self.classes.len())
    }
}
