//! Sums of gradients over ranks with the bits of one process.

use std::ops::Range;

use crate::ranks::Ranks;

/// Values that are exchanged at a time, 4 MiB: the largest pieces in flight, and twice that much more memory.
const BUCKET: usize = 1 << 20;

/// The sum of the vectors of a step's micro-batches in their order, of which every rank holds a shard.
///
/// Each round, every rank gives one vector: all-to-all brings the pieces of a shard to its owner, who adds them in the order
/// of the ranks and goes on from the round before. With micro-batch m on rank m modulo R in round m / R, that is the order in
/// which one process accumulates, so that the sum has the same bits for every number of ranks. At one round a rank
/// sends 2 (R - 1) / R times the bytes of a vector, as the best all-reduce does.
#[derive(Debug)]
pub struct OrderedSum<'a> {
    ranks: &'a Ranks,
    length: usize,
    shard: Vec<f32>,
    has_begun: bool,
    pieces: Vec<f32>,
    received: Vec<f32>,
}

impl<'a> OrderedSum<'a> {
    /// An empty sum of vectors of this length.
    pub fn new(ranks: &'a Ranks, length: usize) -> Self {
        let own: usize = buckets(length, ranks.size()).map(|bucket| bucket.shard).sum();
        Self {
            ranks,
            length,
            shard: vec![0.0; own],
            has_begun: false,
            pieces: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Adds the vectors of the first `count` ranks, rank 0 first; those of the others are not looked at. `values` has the
    /// length of the sum.
    ///
    /// # Panics
    /// When it has not.
    pub fn add(&mut self, values: &[f32], count: usize) {
        assert_eq!(values.len(), self.length, "values of another sum");
        let mut at = 0;
        for Bucket { range, shard } in buckets(self.length, self.ranks.size()) {
            let whole = shard * self.ranks.size();
            self.pieces.clear();
            self.pieces.extend_from_slice(&values[range]);
            self.pieces.resize(whole, 0.0);
            self.received.resize(whole, 0.0);
            self.ranks.exchange(&self.pieces, &mut self.received[..whole]);
            let sum = &mut self.shard[at..at + shard];
            for (number, piece) in self.received.chunks_exact(shard).take(count).enumerate() {
                match number == 0 && !self.has_begun {
                    // Not added to zeros, which would turn -0 into 0.
                    true => sum.copy_from_slice(piece),
                    false => sum.iter_mut().zip(piece).for_each(|(sum, value)| *sum += value),
                }
            }
            at += shard;
        }
        self.has_begun = self.has_begun || count > 0;
    }

    /// The whole sum, on every rank.
    pub fn finish(mut self) -> Vec<f32> {
        let mut all = vec![0.0; self.length];
        let mut at = 0;
        for Bucket { range, shard } in buckets(self.length, self.ranks.size()) {
            let whole = shard * self.ranks.size();
            self.received.resize(whole, 0.0);
            self.ranks.all_gather_values(&self.shard[at..at + shard], &mut self.received[..whole]);
            let length = range.len();
            all[range].copy_from_slice(&self.received[..length]);
            at += shard;
        }
        all
    }
}

/// A part of a vector that is exchanged at a time, cut into a shard for each rank; the last shards are padded with zeros.
struct Bucket {
    range: Range<usize>,
    shard: usize,
}

fn buckets(length: usize, ranks: usize) -> impl Iterator<Item = Bucket> {
    (0..length).step_by(BUCKET).map(move |start| {
        let range = start..(start + BUCKET).min(length);
        Bucket { shard: range.len().div_ceil(ranks), range }
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::threads::run_threads;

    /// Values of very different sizes, for which every order of additions has its own sum.
    fn vector(number: usize, length: usize) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(number as u64);
        let value = |word: u32| f32::from_bits(word & 0x807f_ffff | (100 + word % 40) << 23);
        (0..length).map(|_| value(random.next_u32())).collect()
    }

    fn one_process(count: usize, length: usize) -> Vec<u32> {
        let mut sum = vector(0, length);
        for number in 1..count {
            sum.iter_mut().zip(vector(number, length)).for_each(|(sum, value)| *sum += value);
        }
        sum.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn any_number_of_ranks_has_the_bits_of_one_process() {
        for (length, count) in [(1, 5), (7, 12), (1000, 12), (BUCKET + 3, 7)] {
            let expected = one_process(count, length);
            for size in [1, 2, 3, 4, 6] {
                let sums = run_threads(size, |ranks| {
                    let mut sum = OrderedSum::new(&ranks, length);
                    for first in (0..count).step_by(size) {
                        // A rank that has no micro-batch left is not looked at, whatever it brings.
                        sum.add(&vector(first + ranks.rank(), length), (count - first).min(size));
                    }
                    sum.finish()
                });
                for sum in sums {
                    let found: Vec<u32> = sum.into_iter().map(f32::to_bits).collect();
                    assert!(found == expected, "{count} vectors of {length} on {size} ranks");
                }
            }
        }
    }

    #[test]
    fn a_sum_of_negative_zeros_stays_one() {
        let sums = run_threads(2, |ranks| {
            let mut sum = OrderedSum::new(&ranks, 3);
            sum.add(&[-0.0, -0.0, 0.0], 2);
            sum.finish()
        });
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert!(sums.iter().all(|sum| bits(sum) == bits(&[-0.0, -0.0, 0.0])));
    }
}
