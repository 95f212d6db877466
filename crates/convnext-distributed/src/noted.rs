//! Ranks that tell how long their operations take.

use std::fmt;
use std::time::{Duration, Instant};

use crate::collective::Collective;
use crate::ranks::Ranks;

/// Ranks, and whoever is told of each of their operations when it ended.
struct Noted<N> {
    ranks: Ranks,
    note: N,
}

impl<N> fmt::Debug for Noted<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Noted").field(&self.ranks).finish()
    }
}

impl Ranks {
    /// The same ranks; `note` is told the time of each operation, waiting for the others included.
    #[must_use]
    pub fn noted(self, note: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self::new(Noted { ranks: self, note })
    }
}

impl<N: Fn(Duration)> Noted<N> {
    fn time(&self, operation: impl FnOnce()) {
        let clock = Instant::now();
        operation();
        (self.note)(clock.elapsed());
    }
}

impl<N: Fn(Duration) + Send + Sync> Collective for Noted<N> {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn local_size(&self) -> usize {
        self.ranks.local_size()
    }

    fn host(&self) -> String {
        self.ranks.host()
    }

    fn exchange(&self, pieces: &[f32], received: &mut [f32]) {
        self.time(|| self.ranks.exchange(pieces, received));
    }

    fn all_gather_values(&self, own: &[f32], all: &mut [f32]) {
        self.time(|| self.ranks.all_gather_values(own, all));
    }

    fn all_gather_bytes(&self, own: &[u8], all: &mut [u8]) {
        self.time(|| self.ranks.all_gather_bytes(own, all));
    }

    fn all_reduce_sum(&self, values: &mut [f32]) {
        self.time(|| self.ranks.all_reduce_sum(values));
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) {
        self.time(|| self.ranks.broadcast(bytes, root));
    }

    fn abort(&self, code: i32) -> ! {
        self.ranks.abort(code)
    }
}
