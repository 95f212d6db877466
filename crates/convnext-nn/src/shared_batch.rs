//! Batches that are normalised together by processes which have a part of them each.

use std::fmt;
use std::sync::Arc;

/// Adds up values over all processes that have a part of a batch, as synchronised batch norm does. All of them call it as often
/// and with as many values.
#[derive(Clone)]
pub struct SharedBatch(Arc<Sum>);

type Sum = dyn Fn(&mut [f32]) + Send + Sync;

impl fmt::Debug for SharedBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SharedBatch")
    }
}

impl SharedBatch {
    /// Sums by `sum`, which puts those over all processes in the place of a process's own values.
    pub fn new(sum: impl Fn(&mut [f32]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sum))
    }

    /// The sums over all processes.
    pub(crate) fn sum(&self, mut values: Vec<f32>) -> Vec<f32> {
        (self.0)(&mut values);
        values
    }
}
