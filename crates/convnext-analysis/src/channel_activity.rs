//! Dead and saturated feature maps (paper Figure 3).

use serde::Serialize;

/// The map of a channel in an image is dead when its root mean square is below this share of that of the whole layer in
/// the image.
pub const DEAD_SHARE: f64 = 0.1;

/// A map is saturated when it is not dead and its standard deviation over the positions is below this share of its mean's
/// size: it says the same everywhere.
pub const SATURATED_VARIATION: f64 = 0.1;

/// Running counts of the dead and saturated maps of a layer.
///
/// The paper shows such maps without a definition; ours is by [`DEAD_SHARE`] and [`SATURATED_VARIATION`].
#[derive(Debug, Clone)]
pub struct ChannelActivity {
    /// Of each channel, the images in which its map is dead.
    dead: Vec<u64>,
    /// Of each channel, those in which it is saturated.
    saturated: Vec<u64>,
    images: u64,
}

/// Dead and saturated maps of a layer, and channels that have no others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChannelCounts {
    /// Channels of the layer.
    pub channels: usize,
    /// Share of the maps that are dead, over all channels and images.
    pub dead_maps: f64,
    /// Share of those that are saturated.
    pub saturated_maps: f64,
    /// Channels whose maps are dead in every image.
    pub dead: usize,
    /// Channels whose maps are saturated in every image.
    pub saturated: usize,
}

/// What a map is.
enum Map {
    Dead,
    Saturated,
    Active,
}

impl ChannelActivity {
    /// Of a layer of so many channels, before any image.
    pub fn new(channels: usize) -> Self {
        Self { dead: vec![0; channels], saturated: vec![0; channels], images: 0 }
    }

    /// Adds an image. In maps of one position nothing is saturated.
    ///
    /// # Shapes
    /// - rows: `[positions, channels]`
    pub fn add(&mut self, rows: &[f32]) {
        let channels = self.dead.len();
        let positions = rows.len() / channels.max(1);
        let mut sums = vec![(0.0_f64, 0.0_f64); channels];
        for row in rows.chunks_exact(channels) {
            for ((sum, squares), &value) in sums.iter_mut().zip(row) {
                let value = f64::from(value);
                *sum += value;
                *squares += value * value;
            }
        }
        let count = positions.max(1) as f64;
        let layer = sums.iter().map(|(_, squares)| squares).sum::<f64>() / (count * channels.max(1) as f64);
        let kind = |(sum, squares): (f64, f64)| {
            let (mean, mean_square) = (sum / count, squares / count);
            let deviation = (mean_square - mean * mean).max(0.0).sqrt();
            match mean_square <= DEAD_SHARE * DEAD_SHARE * layer {
                true => Map::Dead,
                false if positions > 1 && deviation < SATURATED_VARIATION * mean.abs() => Map::Saturated,
                false => Map::Active,
            }
        };
        for (channel, sums) in sums.into_iter().enumerate() {
            match kind(sums) {
                Map::Dead => self.dead[channel] += 1,
                Map::Saturated => self.saturated[channel] += 1,
                Map::Active => {}
            }
        }
        self.images += 1;
    }

    /// Counts what was added so far. A layer that is 0 everywhere is dead altogether; before any image nothing is.
    pub fn counts(&self) -> ChannelCounts {
        let channels = self.dead.len();
        let maps = (self.images.max(1) * channels.max(1) as u64) as f64;
        let share = |images: &[u64]| images.iter().sum::<u64>() as f64 / maps;
        let always =
            |images: &[u64]| images.iter().filter(|&&images| images > 0 && images == self.images).count();
        ChannelCounts {
            channels,
            dead_maps: share(&self.dead),
            saturated_maps: share(&self.saturated),
            dead: always(&self.dead),
            saturated: always(&self.saturated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_saturated_and_active_maps_are_told_apart() {
        let mut activity = ChannelActivity::new(4);
        // Dead, saturated, active, and one whose mean is 0.
        activity.add(&[0.001, 5.0, 0.1, 2.0, 0.0, 5.1, 3.0, -2.0]);
        let counts = activity.counts();
        assert_eq!((counts.dead, counts.saturated), (1, 1));
        // In a second image the first channel is alive, and the third dead.
        activity.add(&[1.0, 5.0, 0.0, 2.0, 3.0, 5.1, 0.0, -2.0]);
        let expected =
            ChannelCounts { channels: 4, dead_maps: 0.25, saturated_maps: 0.25, dead: 0, saturated: 1 };
        assert_eq!(activity.counts(), expected);
    }

    #[test]
    fn a_layer_of_zeros_is_dead() {
        let mut activity = ChannelActivity::new(2);
        activity.add(&[0.0; 8]);
        let counts = activity.counts();
        assert_eq!((counts.dead, counts.saturated, counts.dead_maps), (2, 0, 1.0));
    }

    #[test]
    fn maps_of_one_position_are_not_saturated() {
        let mut activity = ChannelActivity::new(2);
        activity.add(&[3.0, 4.0]);
        assert_eq!(activity.counts().saturated, 0);
    }
}
