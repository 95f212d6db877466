//! Every random choice comes from the run's seed, by what it is for, the epoch and the sample.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Purpose of a random stream. Each has its own, so that a new one changes no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// The first values of a parameter; `sample` is [`Seed::name_index`] of its name.
    Initialization = 1,
    /// The order of the samples of an epoch.
    Order = 2,
    /// Crops, flips and other changes of one image.
    Augmentation = 3,
    /// The patches of one image that are kept.
    Mask = 4,
    /// The blocks that one image skips (stochastic depth).
    DropPath = 5,
    /// The split of a data set into training and validation.
    Split = 6,
    /// The labelled images that are used when labels are scarce.
    LabelSubset = 7,
    /// Mixup or CutMix of one batch; `sample` is the number of the batch in its epoch.
    Mixing = 8,
    /// Choices shared by the samples of one batch, such as the size of its images; `sample` is the number of
    /// the batch in its epoch.
    Batch = 9,
    /// The division of a data set into folders for training, validation and test; `sample` is [`Seed::name_index`] of the
    /// class.
    DataSplit = 10,
    /// The images that are shown with their predictions.
    Shown = 11,
    /// The channels that the heads of a segmentation network drop in one image.
    HeadDropout = 12,
    /// The anchors of one image that the loss of a region proposal network is over.
    AnchorSample = 13,
    /// The regions of one image that the heads of a detector are trained on.
    RegionSample = 14,
    /// The images whose values are looked at for the range of a data set.
    RangeSample = 15,
    /// The files that are checked before a training begins, where there are very many.
    HeaderSample = 16,
    /// The order of images that are packed into shards.
    PackOrder = 17,
}

/// The seed of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The random stream of one (purpose, epoch, sample), independent of all others.
    ///
    /// The four numbers are the 256-bit key of a ChaCha8 generator, so no two streams share a key
    /// and the order in which threads ask cannot matter.
    pub fn stream(self, purpose: Purpose, epoch: u64, sample: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, value) in key.chunks_exact_mut(8).zip([self.0, purpose as u64, epoch, sample]) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }

    /// The first values of the parameter `name`: normal with mean 0 and the given standard deviation.
    /// They depend on the seed and the name only, so other parameters may come and go.
    pub fn initial_values(self, name: &str, count: usize, std: f64) -> Vec<f32> {
        let mut stream = self.stream(Purpose::Initialization, 0, Self::name_index(name));
        let mut draw = || -> f64 { StandardNormal.sample(&mut stream) };
        (0..count).map(|_| (std * draw()) as f32).collect()
    }

    /// The same, uniform between `-bound` and `bound`.
    pub fn initial_uniform(self, name: &str, count: usize, bound: f64) -> Vec<f32> {
        let mut stream = self.stream(Purpose::Initialization, 0, Self::name_index(name));
        (0..count).map(|_| (bound * (2.0 * stream.random::<f64>() - 1.0)) as f32).collect()
    }

    /// A number for a name (FNV-1a, 64 bits), to be used as the `sample` of a stream.
    pub fn name_index(name: &str) -> u64 {
        name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw =
            |seed: u64, purpose, epoch, sample| -> u64 { Seed(seed).stream(purpose, epoch, sample).random() };
        let base = draw(1, Purpose::Mask, 2, 3);
        assert_eq!(base, draw(1, Purpose::Mask, 2, 3));
        for other in [
            draw(0, Purpose::Mask, 2, 3),
            draw(1, Purpose::DropPath, 2, 3),
            draw(1, Purpose::Mask, 3, 3),
            draw(1, Purpose::Mask, 2, 4),
            draw(1, Purpose::Mask, 3, 2),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_generator_is_fixed_for_good() {
        // Runs of other versions resume from these numbers: a change here breaks them.
        assert_eq!(Seed(0).stream(Purpose::Order, 0, 0).random::<u64>(), 13_401_477_096_143_823_361);
        assert_eq!(Seed::name_index("head.weight"), 15_190_259_207_091_184_883);
    }
}
