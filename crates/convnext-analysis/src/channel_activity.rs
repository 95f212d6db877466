//! Dead and saturated channels (paper Figure 3).

use serde::Serialize;

/// A channel is dead when the root mean square of its values is below this share of that of the whole layer.
pub const DEAD_SHARE: f64 = 0.01;

/// A channel is saturated when it is not dead and its standard deviation is below this share of its mean's size.
pub const SATURATED_VARIATION: f64 = 0.1;

/// Running sums of the values of each channel of a layer, over positions and images.
///
/// The paper shows dead and saturated channels without a definition; ours is by [`DEAD_SHARE`] and
/// [`SATURATED_VARIATION`], over all positions of all images together.
#[derive(Debug, Clone)]
pub struct ChannelActivity {
    /// Of each channel, the sum of its values.
    sums: Vec<f64>,
    /// Of each channel, the sum of their squares.
    squares: Vec<f64>,
    positions: u64,
}

/// Numbers of channels of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChannelCounts {
    /// All of them.
    pub channels: usize,
    /// Those that are close to 0 everywhere.
    pub dead: usize,
    /// Those that have the same value, other than 0, nearly everywhere.
    pub saturated: usize,
}

impl ChannelActivity {
    /// Of a layer of so many channels, before any image.
    pub fn new(channels: usize) -> Self {
        Self { sums: vec![0.0; channels], squares: vec![0.0; channels], positions: 0 }
    }

    /// Adds the positions of one or more images.
    ///
    /// # Shapes
    /// - rows: `[positions, channels]`
    pub fn add(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.sums.len()) {
            for ((sum, square), &value) in self.sums.iter_mut().zip(&mut self.squares).zip(row) {
                let value = f64::from(value);
                *sum += value;
                *square += value * value;
            }
            self.positions += 1;
        }
    }

    /// Counts the channels by what was added so far. A layer that is 0 everywhere is dead altogether.
    pub fn counts(&self) -> ChannelCounts {
        let channels = self.sums.len();
        let positions = self.positions.max(1) as f64;
        let layer = self.squares.iter().sum::<f64>() / (positions * channels.max(1) as f64);
        let mut counts = ChannelCounts { channels, dead: 0, saturated: 0 };
        for (&sum, &square) in self.sums.iter().zip(&self.squares) {
            let (mean, mean_square) = (sum / positions, square / positions);
            let variance = (mean_square - mean * mean).max(0.0);
            if mean_square <= DEAD_SHARE * DEAD_SHARE * layer {
                counts.dead += 1;
            } else if variance.sqrt() < SATURATED_VARIATION * mean.abs() {
                counts.saturated += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_saturated_and_living_channels_are_told_apart() {
        let mut activity = ChannelActivity::new(4);
        // Dead, saturated, living, and one whose mean is 0.
        activity.add(&[0.001, 5.0, 0.1, 2.0]);
        activity.add(&[0.0, 5.1, 3.0, -2.0]);
        assert_eq!(activity.counts(), ChannelCounts { channels: 4, dead: 1, saturated: 1 });
    }

    #[test]
    fn a_layer_of_zeros_is_dead() {
        let mut activity = ChannelActivity::new(2);
        activity.add(&[0.0; 8]);
        assert_eq!(activity.counts(), ChannelCounts { channels: 2, dead: 2, saturated: 0 });
    }

    #[test]
    fn images_may_come_in_any_parts() {
        let rows: Vec<f32> = (0..24).map(|index| (index * 7 % 11) as f32).collect();
        let (mut whole, mut parts) = (ChannelActivity::new(3), ChannelActivity::new(3));
        whole.add(&rows);
        rows.chunks(6).for_each(|part| parts.add(part));
        assert_eq!(whole.counts(), parts.counts());
    }
}
