//! Source of samples, which a task brings to the loader: loading and transforming a sample, and collating a batch.

use std::fmt::Debug;

use convnext_core::{Purpose, Seed};

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::loading::image_reader::ImageReader;
use crate::reading::decoding::Decoding;

/// Loading, transforming and collating of the samples of a data set.
///
/// A [`crate::Loader`] calls it from several threads and gives it order, prefetching, resuming, the cache of images
/// and the rules for corrupt files. A source keeps nothing that changes: what it makes depends on its settings and on
/// the streams of [`BatchContext`] and [`SampleContext`] only, so a batch is the same whoever makes it, and when.
pub trait Source: Debug + Send + Sync + 'static {
    /// Random choices that all samples of a batch share, such as the size of its images. It is drawn before any of them.
    type Draw: Send;
    /// A sample that is ready to be joined with others: an image and what is known of it, or several views of it.
    type Sample: Send;
    /// A batch as the task's loss takes it.
    type Batch: Batch;

    /// The images that are read.
    fn dataset(&self) -> &Dataset;

    /// Decoding options.
    fn decoding(&self) -> &Decoding;

    /// The most samples that can be joined, where there is a limit: 1 for images of sizes of their own. A loader
    /// refuses larger batches.
    fn largest_batch(&self) -> Option<usize> {
        None
    }

    /// Draws what the samples of a batch share.
    fn draw(&self, place: BatchContext) -> Self::Draw;

    /// Reads a sample and makes it ready.
    ///
    /// # Errors
    /// [`DataError`] when a file of the sample cannot be used; the loader's rules decide what becomes of it.
    fn load(
        &self,
        visit: SampleContext,
        draw: &Self::Draw,
        reader: &ImageReader,
    ) -> Result<Self::Sample, DataError>;

    /// Joins samples, each with its index in the data set, in the order of the batch. There may be none, when all
    /// files of a batch are left out.
    fn collate(
        &self,
        place: BatchContext,
        draw: Self::Draw,
        samples: Vec<(usize, Self::Sample)>,
    ) -> Self::Batch;
}

/// Some samples that go through a model together.
pub trait Batch: Send + 'static {
    /// Number of samples.
    fn len(&self) -> usize;

    /// `true` when there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Identity of a batch: seed, epoch and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchContext {
    /// The seed of the run.
    pub seed: Seed,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The number of the batch in its epoch, from 0.
    pub number: usize,
}

impl BatchContext {
    /// The random stream of the batch for this purpose.
    pub fn stream(&self, purpose: Purpose) -> impl rand::Rng + use<> {
        self.seed.stream(purpose, self.epoch, self.number as u64)
    }
}

/// Identity of a sample in an epoch: seed, epoch and index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleContext {
    /// The seed of the run.
    pub seed: Seed,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The index of the sample in the data set.
    pub sample: usize,
}

impl SampleContext {
    /// The random stream of the sample in this epoch for this purpose.
    pub fn stream(&self, purpose: Purpose) -> impl rand::Rng + use<> {
        self.seed.stream(purpose, self.epoch, self.sample as u64)
    }
}
