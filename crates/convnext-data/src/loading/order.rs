//! The order in which an epoch goes through the samples of a data set.

use std::sync::{Arc, Mutex, PoisonError};

use convnext_core::{Purpose, Seed};
use rand::seq::SliceRandom;

use crate::datasets::dataset::Dataset;

/// Samples that are shuffled among each other when they come from shards.
const WINDOW: usize = 16_384;

/// The samples of one epoch in order. It depends on the data set, the seed and the epoch only, and any
/// position can be asked for at any time.
#[derive(Debug)]
pub(crate) enum Order {
    /// As the data set has them; how many there are.
    Plain(usize),
    /// All samples shuffled.
    Shuffled(Vec<u32>),
    /// Shards in random order, and samples shuffled among their neighbours.
    Windowed(WindowedOrder),
}

impl Order {
    /// The order of an epoch: shuffled as the data set allows, or plain.
    pub(crate) fn new(dataset: &Dataset, shuffle: bool, seed: Seed, epoch: u64) -> Self {
        if !shuffle {
            return Self::Plain(dataset.len());
        }
        match dataset.shard_runs() {
            Some(runs) => Self::Windowed(WindowedOrder::new(&runs, WINDOW, seed, epoch)),
            None => {
                let mut order: Vec<u32> = (0..dataset.len() as u32).collect();
                order.shuffle(&mut seed.stream(Purpose::Order, epoch, 0));
                Self::Shuffled(order)
            }
        }
    }

    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Plain(count) => *count,
            Self::Shuffled(order) => order.len(),
            Self::Windowed(order) => order.len(),
        }
    }

    /// The sample at a position below [`Self::len`].
    pub(crate) fn sample(&self, position: usize) -> usize {
        match self {
            Self::Plain(_) => position,
            Self::Shuffled(order) => order[position] as usize,
            Self::Windowed(order) => order.sample(position),
        }
    }
}

/// Shards one after the other in random order, their samples shuffled within windows of that sequence.
/// What is read stays close together, and nothing is kept for each sample.
#[derive(Debug)]
pub(crate) struct WindowedOrder {
    /// The shards in their order of this epoch.
    shards: Vec<Run>,
    window: usize,
    seed: Seed,
    epoch: u64,
    /// The windows asked for last, of which threads need one or two at a time.
    recent: Mutex<Vec<(usize, Arc<[u16]>)>>,
}

/// Consecutive samples of one shard.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The first of them in the data set.
    sample: usize,
    /// Their end in the sequence of this epoch.
    end: usize,
}

impl WindowedOrder {
    /// Windows whose order is kept.
    const RECENT: usize = 4;

    /// The order for shards with these numbers of samples; `window` is at most 65,536.
    pub(crate) fn new(runs: &[usize], window: usize, seed: Seed, epoch: u64) -> Self {
        let mut shards = Vec::with_capacity(runs.len());
        let mut sample = 0;
        for &length in runs {
            // The length stands in `end` until the order is known.
            shards.push(Run { sample, end: length });
            sample += length;
        }
        shards.shuffle(&mut seed.stream(Purpose::Order, epoch, 0));
        let mut end = 0;
        for shard in &mut shards {
            end += shard.end;
            shard.end = end;
        }
        Self { shards, window, seed, epoch, recent: Mutex::default() }
    }

    fn len(&self) -> usize {
        self.shards.last().map_or(0, |last| last.end)
    }

    /// The sample at a position.
    pub(crate) fn sample(&self, position: usize) -> usize {
        let number = position / self.window;
        let first = number * self.window;
        let place = first + usize::from(self.within(number)[position - first]);
        let shard = self.shards.partition_point(|shard| shard.end <= place);
        let start = shard.checked_sub(1).map_or(0, |before| self.shards[before].end);
        self.shards[shard].sample + place - start
    }

    /// The order within a window.
    fn within(&self, number: usize) -> Arc<[u16]> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = recent.iter().find(|(known, _)| *known == number) {
            return Arc::clone(order);
        }
        let length = self.window.min(self.len() - number * self.window);
        let mut order: Vec<u16> = (0..length).map(|place| place as u16).collect();
        // Stream 0 is that of the shards.
        order.shuffle(&mut self.seed.stream(Purpose::Order, self.epoch, 1 + number as u64));
        let order: Arc<[u16]> = order.into();
        if recent.len() == Self::RECENT {
            recent.remove(0);
        }
        recent.push((number, Arc::clone(&order)));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(order: &WindowedOrder) -> Vec<usize> {
        (0..order.len()).map(|position| order.sample(position)).collect()
    }

    #[test]
    fn every_sample_comes_once_and_near_its_shard() {
        let runs = [700, 1, 0, 1300, 999, 1000];
        let order = WindowedOrder::new(&runs, 256, Seed(3), 5);
        let all = samples(&order);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..4000).collect::<Vec<_>>());
        // A window of 256 touches at most the shards that lie within 256 places of the sequence.
        let shard_of = |sample: usize| {
            runs.iter()
                .scan(0, |end, length| {
                    *end += length;
                    Some(*end)
                })
                .filter(|&end| end <= sample)
                .count()
        };
        for window in all.chunks(256) {
            let mut shards: Vec<usize> = window.iter().map(|&sample| shard_of(sample)).collect();
            assert!(!window.is_sorted());
            shards.sort_unstable();
            shards.dedup();
            assert!(shards.len() <= 3, "{shards:?}");
        }
    }

    #[test]
    fn seed_and_epoch_decide_and_positions_need_no_history() {
        let of = |seed, epoch| WindowedOrder::new(&[500, 500, 500], 128, Seed(seed), epoch);
        let all = samples(&of(1, 2));
        assert_eq!(all, samples(&of(1, 2)));
        assert_ne!(all, samples(&of(1, 3)));
        assert_ne!(all, samples(&of(2, 2)));
        for position in [1499, 700, 0, 127, 128, 1408] {
            assert_eq!(of(1, 2).sample(position), all[position]);
        }
    }

    #[test]
    fn a_million_samples_need_their_shards_only() {
        let runs = vec![10_000; 100];
        let order = WindowedOrder::new(&runs, WINDOW, Seed(4), 0);
        let mut seen = vec![false; 1_000_000];
        for position in 0..order.len() {
            let sample = order.sample(position);
            assert!(!std::mem::replace(&mut seen[sample], true), "{sample} comes twice");
        }
        assert!(seen.into_iter().all(|seen| seen));
        let windows: usize = order.recent.lock().unwrap().iter().map(|(_, window)| window.len() * 2).sum();
        let bytes = size_of_val(&order.shards[..]) + windows;
        assert!(bytes <= 200_000, "{bytes} bytes");
    }

    #[test]
    fn folders_are_shuffled_as_ever() {
        // Runs of other versions resume from this order: a change here breaks them.
        let mut wide: Vec<usize> = (0..1000).collect();
        wide.shuffle(&mut Seed(7).stream(Purpose::Order, 3, 0));
        let folder = tempfile::tempdir().unwrap();
        for number in 0..1000 {
            std::fs::write(folder.path().join(format!("{number:04}.png")), "").unwrap();
        }
        let dataset = crate::open_unlabelled(folder.path()).unwrap();
        let order = Order::new(&dataset, true, Seed(7), 3);
        let found: Vec<usize> = (0..order.len()).map(|position| order.sample(position)).collect();
        assert_eq!(found, wide);
        assert_eq!(found[..4], [134, 956, 717, 541]);
        let plain = Order::new(&dataset, false, Seed(7), 3);
        assert_eq!((0..3).map(|position| plain.sample(position)).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn places_in_a_window_are_uniform() {
        // Where the first sample of a single shard lands, over many epochs: 8 places, 4000 draws.
        let mut counts = [0_usize; 8];
        for epoch in 0..4000 {
            let order = WindowedOrder::new(&[8], 8, Seed(9), epoch);
            counts[(0..8).position(|position| order.sample(position) == 0).unwrap()] += 1;
        }
        // 500 expected each, with a standard deviation of 21.
        assert!(counts.iter().all(|count| (400..600).contains(count)), "{counts:?}");
    }
}
