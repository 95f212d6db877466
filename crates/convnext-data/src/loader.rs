//! Batches of a data set: what they hold and how they are asked for.

use std::sync::Arc;

use convnext_core::{Preprocessing, Seed};

use crate::{
    Cache, CorruptFile, DataError, Dataset, Decoding, LabelMix, Mixing, OnCorrupt, Orientation,
    TrainTransform,
    cache::PictureCache,
    corrupt::CorruptFiles,
    epoch::{EpochBatches, Shared},
    transform::validate_preprocessing,
};

/// Some images, ready for a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Shape `[len, channels, height, width]`, normalised.
    pub images: Vec<f32>,
    /// Channels of an image.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// The class of each image.
    pub labels: Vec<Option<usize>>,
    /// The index of each image in the data set. Random streams are keyed by it.
    pub samples: Vec<usize>,
    /// The epoch that the batch belongs to.
    pub epoch: u64,
    /// How the images were mixed with each other, if they were.
    pub mix: Option<LabelMix>,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// `true` when there is no image.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// What happens to each picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// Random crops, flips and other changes.
    Train(TrainTransform),
    /// The centre of the picture, always the same.
    Evaluation(Preprocessing),
}

impl Transform {
    /// Side of the square that comes out, in pixels.
    pub(crate) fn image_size(&self) -> usize {
        match self {
            Self::Train(train) => train.image_size,
            Self::Evaluation(preprocessing) => preprocessing.image_size,
        }
    }

    /// Channels of the pictures.
    pub(crate) fn channels(&self) -> usize {
        match self {
            Self::Train(train) => train.channels(),
            Self::Evaluation(preprocessing) => preprocessing.channels(),
        }
    }

    /// What files are decoded to.
    fn decoding(&self, orientation: Orientation) -> Decoding {
        match self {
            Self::Train(train) => train.decoding(orientation),
            Self::Evaluation(preprocessing) => Decoding::of(preprocessing, orientation),
        }
    }

    fn validate(&self) -> Result<(), DataError> {
        match self {
            Self::Train(train) => train.validate(),
            Self::Evaluation(preprocessing) => validate_preprocessing(preprocessing),
        }
    }
}

/// How a [`Loader`] goes through its data set.
#[derive(Debug, Clone)]
pub struct LoaderConfig {
    /// Images in a batch, at least 1.
    pub batch_size: usize,
    /// Background threads, at least 1. Each makes one batch at a time.
    pub threads: usize,
    /// Batches that are finished or being made ahead of their use, at least 1, such as 4. Fewer than
    /// `threads` leave some threads idle.
    pub queue: usize,
    /// Another order in each epoch; otherwise the order of the data set.
    pub shuffle: bool,
    /// Leave out the last batch when it is not full.
    pub drop_last: bool,
    /// What to do with the orientation that a camera wrote into a file.
    pub orientation: Orientation,
    /// Decode JPEG files at a smaller size where the random crop of training allows it, which changes pixels
    /// by less than 2 levels of 255 on average: [`TrainTransform::apply_to_file`]. Evaluation never does.
    pub fast_decode: bool,
    /// What to do about images that cannot be read.
    pub on_corrupt: OnCorrupt,
    /// Whether and how finished batches are mixed.
    pub mixing: Option<Mixing>,
    /// Whether decoded pictures are kept.
    pub cache: Cache,
    /// The seed of the run.
    pub seed: Seed,
}

/// Reads, transforms and batches a data set in background threads.
///
/// What comes out depends on the seed, the epoch and the index of a sample, never on the number of
/// threads.
#[derive(Debug, Clone)]
pub struct Loader {
    shared: Arc<Shared>,
}

impl Loader {
    /// A loader for a data set.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] for a setting that makes no sense, [`DataError::TooFewSamples`] when
    /// there is not a single batch, [`DataError::Io`] when the folder of a cache cannot be used.
    pub fn new(dataset: Dataset, transform: Transform, config: LoaderConfig) -> Result<Self, DataError> {
        for (what, value) in [
            ("batch size", config.batch_size),
            ("number of loader threads", config.threads),
            ("loader queue", config.queue),
        ] {
            DataError::check(value > 0, what, value, "at least 1")?;
        }
        transform.validate()?;
        if let Some(mixing) = config.mixing {
            mixing.validate()?;
        }
        let (samples, batch_size) = (dataset.len(), config.batch_size);
        if samples == 0 || (config.drop_last && samples < batch_size) {
            let advice = match samples {
                0 => "give a data set with images",
                _ => "lower the batch size, add images, or keep the last batch although it is not full",
            };
            return Err(DataError::TooFewSamples { samples, batch_size, advice });
        }
        let decoding = transform.decoding(config.orientation);
        let cache = PictureCache::open(&config.cache, &dataset, &decoding)?;
        let corrupt = CorruptFiles::default();
        let shared = Shared { dataset, transform, decoding, config, cache, corrupt };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Number of batches that an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        let (samples, batch_size) = (self.shared.dataset.len(), self.shared.config.batch_size);
        if self.shared.config.drop_last { samples / batch_size } else { samples.div_ceil(batch_size) }
    }

    /// Number of images in the data set, whether or not the last batch is left out.
    pub fn samples(&self) -> usize {
        self.shared.dataset.len()
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.shared.dataset
    }

    /// What the files are decoded to.
    pub fn decoding(&self) -> &Decoding {
        &self.shared.decoding
    }

    /// The corrupt files that were replaced so far, each once, sorted by name.
    pub fn corrupt(&self) -> Vec<CorruptFile> {
        self.shared.corrupt.sorted()
    }

    /// Counts files as corrupt that were found before, as a resumed training does: they are not reported
    /// again.
    pub fn restore_corrupt(&self, files: Vec<CorruptFile>) {
        self.shared.corrupt.restore(files);
    }

    /// The batches of an epoch. Threads work ahead until the iterator is dropped.
    pub fn epoch(&self, epoch: u64) -> EpochBatches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from the batch `first_batch` on: the same ones that [`Self::epoch`] gives
    /// after as many others.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> EpochBatches {
        EpochBatches::start(&self.shared, epoch, first_batch, self.batches_per_epoch())
    }
}
