//! Settings of a loader.

use convnext_core::Seed;

use crate::loading::cache::Cache;
use crate::loading::corrupt::OnCorrupt;

/// Settings of a [`crate::Loader`].
#[derive(Debug, Clone)]
pub struct LoaderConfig {
    /// Images in a batch, at least 1.
    pub batch_size: usize,
    /// Background threads, at least 1. Each makes one batch at a time.
    pub threads: usize,
    /// Batches that are prefetched, finished or not, at least 1, such as 4. Fewer than `threads` leave some threads
    /// idle.
    pub queue: usize,
    /// Another order in each epoch; otherwise the order of the data set.
    pub shuffle: bool,
    /// Leave out the last batch when it is not full.
    pub drop_last: bool,
    /// Treatment of images that cannot be read.
    pub on_corrupt: OnCorrupt,
    /// Cache of decoded images.
    pub cache: Cache,
    /// The seed of the run.
    pub seed: Seed,
}
