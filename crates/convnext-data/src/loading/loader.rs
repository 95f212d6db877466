//! Batches of a source: how they are asked for.

use std::sync::Arc;

use convnext_core::Seed;

use crate::error::DataError;
use crate::loading::corrupt::CorruptFiles;
use crate::loading::corrupt_file::CorruptFile;
use crate::loading::epoch::{EpochBatches, Shared};
use crate::loading::image_reader::ImageReader;
use crate::loading::image_source::ImageSource;
use crate::loading::loader_config::LoaderConfig;
use crate::loading::source::Source;

/// Has the samples of a source prepared and batched in background threads.
///
/// What comes out depends on the seed, the epoch and the index of a sample, never on the number of
/// threads.
#[derive(Debug)]
pub struct Loader<S = ImageSource> {
    shared: Arc<Shared<S>>,
}

impl<S: Source> Loader<S> {
    /// A loader for a source.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] for a setting that makes no sense, [`DataError::TooFewSamples`] when
    /// there is not a single batch, [`DataError::Io`] when the folder of a cache cannot be used.
    pub fn new(source: S, config: LoaderConfig) -> Result<Self, DataError> {
        for (what, value) in [
            ("batch size", config.batch_size),
            ("number of loader threads", config.threads),
            ("loader queue", config.queue),
        ] {
            DataError::check(value > 0, what, value, "at least 1")?;
        }
        let (samples, batch_size) = (source.dataset().len(), config.batch_size);
        if let Some(largest) = source.largest_batch() {
            let expected = format!("at most {largest}, because the images have sizes of their own");
            DataError::check(batch_size <= largest, "batch size", batch_size, &expected)?;
        }
        if samples == 0 || (config.drop_last && samples < batch_size) {
            let advice = match samples {
                0 => "give a data set with images",
                _ => "lower the batch size, add images, or keep the last batch although it is not full",
            };
            return Err(DataError::TooFewSamples { samples, batch_size, advice });
        }
        let reader = ImageReader::open(source.dataset(), source.decoding(), &config.cache)?;
        let shared = Shared { source, reader, config, corrupt: CorruptFiles::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Number of batches that an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        let (samples, batch_size) = (self.samples(), self.shared.config.batch_size);
        if self.shared.config.drop_last { samples / batch_size } else { samples.div_ceil(batch_size) }
    }

    /// Number of images in the data set, whether or not the last batch is left out.
    pub fn samples(&self) -> usize {
        self.shared.source.dataset().len()
    }

    /// The source.
    pub fn source(&self) -> &S {
        &self.shared.source
    }

    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        self.shared.config.seed
    }

    /// The corrupt files that were replaced so far, each once, sorted by name.
    pub fn corrupt(&self) -> Vec<CorruptFile> {
        self.shared.corrupt.sorted()
    }

    /// Counts files as corrupt that another process found, or that came with [`EpochBatches::next_made`]: those that are new
    /// are reported.
    ///
    /// # Errors
    /// [`DataError::TooManyCorrupt`] when more are corrupt than may be.
    pub fn report_corrupt(&self, files: Vec<CorruptFile>) -> Result<(), DataError> {
        self.shared.report(files)
    }

    /// Counts files as corrupt that were found before, as a resumed training does: they are not reported
    /// again.
    pub fn restore_corrupt(&self, files: Vec<CorruptFile>) {
        self.shared.corrupt.restore(files);
    }

    /// The batches of an epoch. Threads work ahead until the iterator is dropped.
    pub fn epoch(&self, epoch: u64) -> EpochBatches<S> {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from the batch `first_batch` on: the same ones that [`Self::epoch`] gives
    /// after as many others.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> EpochBatches<S> {
        self.batches(epoch, first_batch..self.batches_per_epoch())
    }

    /// The batches of an epoch that have these numbers, in the order of the numbers, as a process needs them that shares
    /// the epoch with others. Numbers that no batch has, from [`Self::batches_per_epoch`] on, are left out.
    pub fn batches(&self, epoch: u64, numbers: impl IntoIterator<Item = usize>) -> EpochBatches<S> {
        let numbers = numbers.into_iter().filter(|&number| number < self.batches_per_epoch());
        EpochBatches::start(&self.shared, epoch, numbers.collect())
    }
}
