//! The bytes that blocks save between their forward and their backward, and their peak.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use burn::backend::TensorMetadata;

static NOW: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

/// Bytes that count as saved while this is alive.
#[derive(Debug)]
pub(crate) struct SavedBytes(u64);

impl SavedBytes {
    pub(crate) fn new(bytes: u64) -> Self {
        PEAK.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
        Self(bytes)
    }
}

impl Drop for SavedBytes {
    fn drop(&mut self) {
        NOW.fetch_sub(self.0, Relaxed);
    }
}

/// Bytes of a tensor's values.
pub(crate) fn tensor_bytes(tensor: &impl TensorMetadata) -> usize {
    tensor.shape().num_elements() * tensor.dtype().size()
}

/// Peak of the activation bytes that the blocks of this process saved between their forward and their
/// backward, inputs included.
pub fn peak_activation_bytes() -> u64 {
    PEAK.load(Relaxed)
}
