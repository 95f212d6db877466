//! Drop path, stochastic depth ("A2. Block" in `docs/facts.md`).

use convnext_core::{Purpose, Seed};
use rand::RngExt;

/// The factors of the residual branches of one batch, `[blocks][images]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DropPath {
    scales: Vec<Vec<f32>>,
}

impl DropPath {
    /// Nothing is dropped: evaluation, and FCMAE pre-training.
    pub fn none() -> Self {
        Self::default()
    }

    /// Draws the dropped branches of each sample. `rates` has one rate for each block
    /// ([`convnext_core::ModelConfig::drop_path_rates`]). A sample's draws depend on (seed, epoch, sample)
    /// only, not on its batch.
    pub fn draw(rates: &[f64], seed: Seed, epoch: u64, samples: &[usize]) -> Self {
        if rates.iter().all(|&rate| rate == 0.0) {
            return Self::none();
        }
        let mut scales = vec![vec![1.0; samples.len()]; rates.len()];
        for (image, &sample) in samples.iter().enumerate() {
            let mut stream = seed.stream(Purpose::DropPath, epoch, sample as u64);
            for (block, &rate) in rates.iter().enumerate() {
                let active = stream.random::<f64>() >= rate;
                scales[block][image] = if active { (1.0 / (1.0 - rate)) as f32 } else { 0.0 };
            }
        }
        Self { scales }
    }

    /// `true` when there is one factor for each of `images` in each of `blocks`, or nothing is dropped.
    pub(crate) fn fits(&self, blocks: usize, images: usize) -> bool {
        self.scales.is_empty()
            || self.scales.len() == blocks && self.scales.iter().all(|scales| scales.len() == images)
    }

    /// Given factors: `scales[block][image]`.
    pub fn from_scales(scales: Vec<Vec<f32>>) -> Self {
        Self { scales }
    }

    /// The factors of one block, `None` when nothing is dropped.
    pub(crate) fn of_block(&self, block: usize) -> Option<Vec<f32>> {
        self.scales.get(block).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_dropped_branches_is_the_rate() {
        let samples: Vec<usize> = (0..4000).collect();
        let drop = DropPath::draw(&[0.0, 0.25], Seed(3), 1, &samples);
        assert!(drop.scales[0].iter().all(|&scale| scale == 1.0));
        let dropped = drop.scales[1].iter().filter(|&&scale| scale == 0.0).count();
        // 4000 draws at 0.25: mean 1000, standard deviation 27.
        assert!((880..1120).contains(&dropped), "{dropped}");
        assert!(drop.scales[1].iter().all(|&scale| scale == 0.0 || (scale - 4.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn a_samples_draws_do_not_depend_on_its_batch() {
        let rates = [0.5; 8];
        let alone = DropPath::draw(&rates, Seed(0), 2, &[7]);
        let together = DropPath::draw(&rates, Seed(0), 2, &[1, 7]);
        for block in 0..8 {
            assert_eq!(alone.scales[block][0], together.scales[block][1]);
        }
        assert_ne!(alone, DropPath::draw(&rates, Seed(0), 3, &[7]));
        assert_eq!(DropPath::draw(&[0.0; 8], Seed(0), 0, &[1]), DropPath::none());
    }
}
