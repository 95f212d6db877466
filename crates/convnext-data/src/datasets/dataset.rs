//! A list of images with or without labels.

use std::{fmt, io, path::PathBuf, sync::Arc};

use convnext_core::{ClassNames, Purpose, Seed};
use rand::seq::SliceRandom;

use crate::datasets::files::Files;
use crate::datasets::split::{choose, labelled_fraction};
use crate::datasets::storage::Stamp;
use crate::error::DataError;
use crate::pixels::image::Image;
use crate::reading::decode::decode_named;
use crate::reading::decoding::Decoding;
use crate::reading::headers::ReadSeek;

/// Images of a folder, an archive or shards, each with or without a label. Copies and subsets share the list of
/// files and the storage; the images themselves are read when they are asked for.
#[derive(Clone)]
pub struct Dataset {
    files: Arc<Files>,
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
    /// A data set of all images, without labels.
    pub(crate) fn new(files: Files) -> Self {
        let count = files.len() as u32;
        let samples = (0..count).map(|file| Sample { file, label: Sample::UNLABELLED }).collect();
        Self { files: Arc::new(files), samples, classes: Arc::default() }
    }

    /// Some files of this data set's list, with labels.
    pub(crate) fn labelled(&self, classes: &Arc<ClassNames>, samples: &[(usize, usize)]) -> Self {
        let samples =
            samples.iter().map(|&(file, label)| Sample { file: file as u32, label: label as u32 }).collect();
        Self { files: Arc::clone(&self.files), samples, classes: Arc::clone(classes) }
    }

    /// State that this data set shares with its subsets.
    pub(crate) fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files)
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
        self.files.name(self.file(index))
    }

    /// The file name of an image, without its folders and the archive that it lies in.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn file_name(&self, index: usize) -> String {
        self.files.file_name(self.file(index))
    }

    /// The path of an image that is a file of its own; `None` in an archive or a shard.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn path(&self, index: usize) -> Option<PathBuf> {
        self.files.path(self.file(index))
    }

    /// `true` for an image that was named itself ([`crate::open_images`]), and not what it lies in.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn is_named(&self, index: usize) -> bool {
        self.files.is_named(self.file(index))
    }

    /// The bytes of an image file.
    ///
    /// # Errors
    /// [`DataError::Io`] with the name of the file, [`DataError::Archive`] with that of the shard.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        self.files.read(self.file(index))
    }

    /// An image file from its first byte on, for a look at parts of it.
    pub(crate) fn open(&self, index: usize) -> io::Result<Box<dyn ReadSeek + '_>> {
        self.files.open(self.file(index))
    }

    /// Reads and decodes an image. Of a damaged file whose image is only what can be read of it, a warning says so,
    /// once for these options and their copies.
    ///
    /// # Errors
    /// Those of [`Self::read`], and those of [`crate::decode_as`] with the name of the file.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn image(&self, index: usize, decoding: &Decoding) -> Result<Image, DataError> {
        decode_named(&self.read(index)?, &|| self.name(index), decoding)
    }

    /// The stamp of what holds an image: with another one, the image may be another.
    pub(crate) fn stamp(&self, index: usize) -> Result<Stamp, DataError> {
        self.files.stamp(self.file(index))
    }

    /// Numbers of consecutive samples that lie in one shard; `None` when the images are in no shards.
    pub(crate) fn shard_runs(&self) -> Option<Vec<usize>> {
        let Files::Shards(shards) = &*self.files else { return None };
        let mut runs = Vec::new();
        let mut neighbours = 0..0;
        for sample in self.samples.iter() {
            let file = sample.file as usize;
            if !neighbours.contains(&file) {
                neighbours = shards.neighbours(file);
                runs.push(0);
            }
            if let Some(run) = runs.last_mut() {
                *run += 1;
            }
        }
        Some(runs)
    }

    /// Position of an image in the list of files.
    fn file(&self, index: usize) -> usize {
        self.samples[index].file as usize
    }

    /// A checksum of the names of the classes and of the name and label of every image, in order; not of
    /// their pixels. Images in shards count by their place and not by their name. A resumed run
    /// notices by it that its data is another.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        self.classes.0.iter().for_each(|class| add(class.as_bytes()));
        if let Files::Shards(shards) = &*self.files {
            shards.describe(&mut add);
        }
        for sample in self.samples.iter() {
            match &*self.files {
                Files::Shards(_) => add(&sample.file.to_le_bytes()),
                _ => add(self.files.name(sample.file as usize).as_bytes()),
            }
            add(sample.label().map_or(String::new(), |label| label.to_string()).as_bytes());
        }
        hash.finalize()
    }

    /// The names of the classes, sorted or, from shards with `classes.txt`, as that file has them; empty
    /// without labels.
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

    /// The same images in an order that the seed decides: for [`crate::pack()`], because an epoch shuffles images
    /// of shards among their neighbours only.
    pub fn shuffled(&self, seed: Seed) -> Self {
        let mut samples = self.samples.to_vec();
        samples.shuffle(&mut seed.stream(Purpose::PackOrder, 0, 0));
        Self { samples: samples.into(), ..self.clone() }
    }

    /// The indices of at most `count` images that the seed draws, whatever they are of, in their order.
    pub fn draw(&self, count: usize, seed: Seed) -> Vec<usize> {
        let mut stream = seed.stream(Purpose::Shown, 0, 0);
        let mut drawn = rand::seq::index::sample(&mut stream, self.len(), count.min(self.len())).into_vec();
        drawn.sort_unstable();
        drawn
    }

    /// `per_class` images of every class, chosen by the seed and kept in their order. A smaller choice
    /// with the same seed is part of a larger one.
    ///
    /// # Errors
    /// [`DataError::TooFewInClass`] with the first class that has fewer images, and
    /// [`DataError::OutOfRange`] when `per_class` is 0 or there are no classes.
    pub fn choose_per_class(&self, per_class: usize, seed: Seed) -> Result<Self, DataError> {
        DataError::check(per_class > 0, "number of labelled images per class", per_class, "at least 1")?;
        self.choose(seed, |class, found| match found < per_class {
            true => Err(DataError::TooFewInClass { class: class.to_owned(), found, wanted: per_class }),
            false => Ok(per_class),
        })
    }

    /// A fraction of the images of every class, rounded, at least one; chosen as [`Self::choose_per_class`]
    /// does.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] when `fraction` is not above 0 and at most 1, or there are no classes.
    pub fn choose_fraction(&self, fraction: f64, seed: Seed) -> Result<Self, DataError> {
        self.choose(seed, |_, found| labelled_fraction(found, fraction))
    }

    /// As many images of every class as `wanted` says for its name and number of images.
    fn choose(
        &self,
        seed: Seed,
        wanted: impl Fn(&str, usize) -> Result<usize, DataError>,
    ) -> Result<Self, DataError> {
        DataError::check(!self.classes.is_empty(), "number of classes", 0, "at least 1 to choose per class")?;
        let mut members = vec![Vec::new(); self.classes.len()];
        for (index, sample) in self.samples.iter().enumerate() {
            if let Some(label) = sample.label() {
                members[label].push(index);
            }
        }
        let mut chosen = Vec::new();
        for (class, members) in self.classes.0.iter().zip(&members) {
            chosen.extend(choose(class, members, wanted(class, members.len())?, seed));
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
