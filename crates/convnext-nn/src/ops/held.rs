//! How many bytes operations hold between their forward and their backward.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static NOW: AtomicU64 = AtomicU64::new(0);
static MOST: AtomicU64 = AtomicU64::new(0);

/// Bytes that are held as long as this lives.
#[derive(Debug)]
pub(crate) struct Held(u64);

impl Held {
    pub(crate) fn new(bytes: u64) -> Self {
        MOST.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
        Self(bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        NOW.fetch_sub(self.0, Relaxed);
    }
}

/// The most bytes that the blocks of this process ever held between their forward and their backward:
/// what went in and what they kept besides.
pub fn peak_activation_bytes() -> u64 {
    MOST.load(Relaxed)
}
