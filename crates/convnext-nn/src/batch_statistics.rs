//! Statistics of a batch that a layer in the midst of a model keeps until the training takes them.

use std::sync::{Arc, Mutex, PoisonError};

use burn::prelude::*;

/// The statistics of the last batch: mean and unbiased variance of each channel. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastStatistics(Arc<Mutex<Option<[Tensor<1>; 2]>>>);

impl LastStatistics {
    /// Keeps those of a batch in the place of those before.
    pub(crate) fn keep(&self, statistics: [Tensor<1>; 2]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(statistics);
    }

    /// Takes those of the last batch, if there are any.
    pub(crate) fn take(&self) -> Option<[Tensor<1>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
