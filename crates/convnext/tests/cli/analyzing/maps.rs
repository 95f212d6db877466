//! The measures of an analysis by their definitions, of activations that were written.

use safetensors::SafeTensors;

/// Images of each class of the photos, which follow one another.
const OF_CLASS: usize = 4;

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The values of an array, `[images, height, width, channels]`, and that shape.
pub(super) fn array(bytes: &[u8], name: &str) -> (Vec<f32>, Vec<usize>) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values = view.data().chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    (values.collect(), view.shape().to_vec())
}

fn mean_square(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64
}

/// The map of each channel in each image, as the definitions of the measures take them.
pub(super) struct Maps(Vec<Vec<Vec<f64>>>);

impl Maps {
    pub(super) fn of(bytes: &[u8], name: &str) -> Self {
        let (values, shape) = array(bytes, name);
        let map = |rows: &[f32], channel: usize| -> Vec<f64> {
            rows.iter().skip(channel).step_by(shape[3]).map(|&value| f64::from(value)).collect()
        };
        let images = values.chunks_exact(values.len() / shape[0]);
        Self(images.map(|rows| (0..shape[3]).map(|channel| map(rows, channel)).collect()).collect())
    }

    /// Feature cosine distance, over all pairs of the channels of an image that are not 0.
    pub(super) fn distance(&self) -> f64 {
        let of_image = |maps: &Vec<Vec<f64>>| {
            let unit = |map: &Vec<f64>| {
                let length = map.iter().map(|value| value * value).sum::<f64>().sqrt();
                (length > 0.0).then(|| map.iter().map(|value| value / length).collect::<Vec<f64>>())
            };
            let units: Vec<Vec<f64>> = maps.iter().filter_map(unit).collect();
            let mut sum = 0.0;
            for left in &units {
                for right in &units {
                    sum += 0.5 * (1.0 - left.iter().zip(right).map(|(x, y)| x * y).sum::<f64>());
                }
            }
            sum / (units.len() * units.len()) as f64
        };
        mean(&self.0.iter().map(of_image).collect::<Vec<f64>>())
    }

    /// Shares of the maps that are dead and saturated, and the channels that are so in every image.
    pub(super) fn counts(&self) -> [f64; 4] {
        let channels = self.0[0].len();
        let mut images = vec![[0_usize; 2]; channels];
        for maps in &self.0 {
            let of_layer = mean(&maps.iter().map(|map| mean_square(map)).collect::<Vec<f64>>()).sqrt();
            for (map, images) in maps.iter().zip(&mut images) {
                let middle = mean(map);
                let deviation =
                    mean_square(&map.iter().map(|value| value - middle).collect::<Vec<f64>>()).sqrt();
                let is_dead = mean_square(map).sqrt() <= 0.1 * of_layer;
                images[0] += usize::from(is_dead);
                images[1] += usize::from(!is_dead && deviation < 0.1 * middle.abs());
            }
        }
        let of_kind = |kind: usize| images.iter().map(move |images| images[kind]);
        let share = |kind| of_kind(kind).sum::<usize>() as f64 / (self.0.len() * channels) as f64;
        let always = |kind| of_kind(kind).filter(|&count| count == self.0.len()).count() as f64;
        [share(0), share(1), always(0), always(1)]
    }

    /// Class selectivity index of each channel, negative activations counted as 0.
    pub(super) fn selectivity(&self) -> Vec<f64> {
        let of_channel = |channel: usize| {
            let activity = |maps: &Vec<Vec<f64>>| {
                mean(&maps[channel].iter().map(|value| value.max(0.0)).collect::<Vec<f64>>())
            };
            let of_class =
                |images: &[Vec<Vec<f64>>]| mean(&images.iter().map(activity).collect::<Vec<f64>>());
            let mut means: Vec<f64> = self.0.chunks_exact(OF_CLASS).map(of_class).collect();
            means.sort_by(f64::total_cmp);
            let highest = means.pop().unwrap();
            (highest - mean(&means)) / (highest + mean(&means) + 1e-6)
        };
        (0..self.0[0].len()).map(of_channel).collect()
    }

    /// Products of the pooled features of each two images, centred over the images.
    pub(super) fn kernel(&self) -> Vec<f64> {
        let count = self.0.len();
        let mut kernel = vec![0.0; count * count];
        for channel in 0..self.0[0].len() {
            let pooled: Vec<f64> = self.0.iter().map(|maps| mean(&maps[channel])).collect();
            let middle = mean(&pooled);
            for (place, value) in kernel.iter_mut().enumerate() {
                *value += (pooled[place / count] - middle) * (pooled[place % count] - middle);
            }
        }
        kernel
    }
}
