//! Dropout of whole channels in front of the classifiers of decode and auxiliary head (PyTorch's `Dropout2d`; docs/facts.md,
//! "F. Segmentation").

use convnext_core::{Purpose, Seed, UperNetConfig};
use rand::RngExt;

/// The factors of the channels of both heads for one batch: 0 where a channel is dropped and 1 / (1 - rate) elsewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeadDropout {
    decode: Option<Vec<f32>>,
    auxiliary: Option<Vec<f32>>,
}

impl HeadDropout {
    /// Nothing is dropped: inference.
    pub fn none() -> Self {
        Self::default()
    }

    /// Given factors of both heads: `[images * head width]` and `[images * auxiliary width]`.
    pub fn from_factors(decode: Vec<f32>, auxiliary: Vec<f32>) -> Self {
        Self { decode: Some(decode), auxiliary: Some(auxiliary) }
    }

    /// Draws the dropped channels of each sample at a rate in [0, 1). A sample's draws depend on (seed, epoch, sample) only,
    /// not on its batch.
    pub fn draw(rate: f64, head: &UperNetConfig, seed: Seed, epoch: u64, samples: &[usize]) -> Self {
        if rate == 0.0 {
            return Self::none();
        }
        let scale = (1.0 / (1.0 - rate)) as f32;
        let (mut decode, mut auxiliary) = (Vec::new(), Vec::new());
        for &sample in samples {
            let mut stream = seed.stream(Purpose::HeadDropout, epoch, sample as u64);
            let mut factor = || if stream.random::<f64>() >= rate { scale } else { 0.0 };
            decode.extend((0..head.head_width).map(|_| factor()));
            auxiliary.extend((0..head.auxiliary_width.unwrap_or(0)).map(|_| factor()));
        }
        Self::from_factors(decode, auxiliary)
    }

    /// Factors of the decode head, `[images * head width]`; `None` when nothing is dropped.
    pub(crate) fn of_decode_head(&self) -> Option<Vec<f32>> {
        self.decode.clone()
    }

    /// Factors of the auxiliary head, `[images * auxiliary width]`; `None` when nothing is dropped.
    pub(crate) fn of_auxiliary_head(&self) -> Option<Vec<f32>> {
        self.auxiliary.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: UperNetConfig = UperNetConfig { head_width: 60, auxiliary_width: Some(40) };

    #[test]
    fn the_share_of_dropped_channels_is_the_rate() {
        let samples: Vec<usize> = (0..100).collect();
        let dropout = HeadDropout::draw(0.25, &HEAD, Seed(3), 1, &samples);
        for (factors, width) in [(dropout.decode.unwrap(), 60), (dropout.auxiliary.unwrap(), 40)] {
            assert_eq!(factors.len(), 100 * width);
            assert!(factors.iter().all(|&factor| factor == 0.0 || (factor - 4.0 / 3.0).abs() < 1e-6));
            let share = factors.iter().filter(|&&factor| factor == 0.0).count() as f64 / factors.len() as f64;
            // 4,000 draws at 0.25: standard deviation 0.007.
            assert!((share - 0.25).abs() < 0.03, "{share}");
        }
        assert_eq!(HeadDropout::draw(0.0, &HEAD, Seed(3), 1, &samples), HeadDropout::none());
    }

    #[test]
    fn a_samples_draws_do_not_depend_on_its_batch() {
        let alone = HeadDropout::draw(0.5, &HEAD, Seed(0), 2, &[7]);
        let together = HeadDropout::draw(0.5, &HEAD, Seed(0), 2, &[1, 7]);
        assert_eq!(alone.decode.unwrap()[..], together.decode.unwrap()[60..]);
        assert_eq!(alone.auxiliary.unwrap()[..], together.auxiliary.unwrap()[40..]);
        assert_ne!(
            HeadDropout::draw(0.5, &HEAD, Seed(0), 2, &[7]),
            HeadDropout::draw(0.5, &HEAD, Seed(0), 3, &[7])
        );
    }
}
