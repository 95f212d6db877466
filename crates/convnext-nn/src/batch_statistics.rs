//! Statistics of a batch that a layer in the midst of a model holds until the training takes them.

use std::sync::{Arc, Mutex, PoisonError};

use burn::prelude::*;

/// The statistics of the last batch: of one layer mean and unbiased variance of each channel. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct LastStatistics<T = [Tensor<1>; 2]>(Arc<Mutex<Option<T>>>);

impl<T> Default for LastStatistics<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> LastStatistics<T> {
    /// Stores those of a batch in the place of those before.
    pub(crate) fn store(&self, statistics: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(statistics);
    }

    /// Takes those of the last batch, if there are any.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
