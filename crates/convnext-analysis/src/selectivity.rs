//! Class selectivity index (paper Figure 7; Morcos et al. 2018).

/// Added to the index's denominator, as in later work on it ("H. Analyses" in `docs/facts.md`).
pub const SELECTIVITY_EPSILON: f64 = 1e-6;

/// The mean activity of each channel for each class.
///
/// The activity of a channel in an image is the mean over positions of its values, negative ones counted as 0: the
/// index was made for activities after a ReLU, and the output of a residual block has none.
#[derive(Debug, Clone)]
pub struct ClassMeans {
    channels: usize,
    /// Sums of the activities, `[classes, channels]`.
    sums: Vec<f64>,
    /// Images of each class.
    images: Vec<u64>,
}

impl ClassMeans {
    /// Of a layer, before any image.
    pub fn new(channels: usize, classes: usize) -> Self {
        Self { channels, sums: vec![0.0; channels * classes], images: vec![0; classes] }
    }

    /// Adds an image of a class, which must be below the number of classes.
    ///
    /// # Shapes
    /// - rows: `[positions, channels]`
    pub fn add(&mut self, rows: &[f32], class: usize) {
        let positions = (rows.len() / self.channels.max(1)).max(1) as f64;
        let sums = &mut self.sums[class * self.channels..][..self.channels];
        for row in rows.chunks_exact(self.channels) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value.max(0.0)) / positions;
            }
        }
        self.images[class] += 1;
    }

    /// The index of each channel, 0 (all classes are one to it) to 1 (it answers to one class alone):
    /// `(highest - others) / (highest + others + 1e-6)`, where `others` is the mean over the other classes' means.
    /// Classes without images are left out. Empty when fewer than two classes have images.
    pub fn selectivity(&self) -> Vec<f64> {
        let classes: Vec<usize> = (0..self.images.len()).filter(|&class| self.images[class] > 0).collect();
        if classes.len() < 2 {
            return Vec::new();
        }
        let mean = |class: usize, channel: usize| {
            self.sums[class * self.channels + channel] / self.images[class] as f64
        };
        let of_channel = |channel| {
            let means = classes.iter().map(|&class| mean(class, channel));
            let (sum, highest) =
                means.fold((0.0, 0.0), |(sum, highest): (f64, f64), mean| (sum + mean, highest.max(mean)));
            let others = (sum - highest) / (classes.len() - 1) as f64;
            (highest - others) / (highest + others + SELECTIVITY_EPSILON)
        };
        (0..self.channels).map(of_channel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_for_one_class_is_selective_and_one_for_all_is_not() {
        let mut means = ClassMeans::new(3, 4);
        // Two positions an image. Class 3 has no images.
        means.add(&[1.0, 2.0, -5.0, 3.0, 2.0, -1.0], 0);
        means.add(&[0.0, 2.0, 4.0, 0.0, 2.0, 0.0], 1);
        means.add(&[0.0, 2.0, 2.0, 0.0, 2.0, 0.0], 2);
        let found = means.selectivity();
        assert!((found[0] - 2.0 / (2.0 + 1e-6)).abs() < 1e-12, "{found:?}");
        assert!(found[1].abs() < 1e-12, "{found:?}");
        // Means 0, 2 and 1.
        assert!((found[2] - 1.5 / (2.5 + 1e-6)).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn one_class_has_no_index() {
        let mut means = ClassMeans::new(1, 2);
        means.add(&[1.0], 0);
        assert!(means.selectivity().is_empty());
    }
}
