//! Running measures of one layer, and their results.

use convnext_analysis::{
    ChannelActivity, ChannelCounts, ClassMeans, effective_rank, feature_cosine_distance,
};
use convnext_nn::{BlockLayer, LayerPlace};
use serde::Serialize;

/// Bars of the histogram of class selectivity indices, over 0 to 1.
pub const SELECTIVITY_BARS: usize = 20;

/// Running measures of a layer over images.
#[derive(Debug, Clone)]
pub(crate) struct LayerStatistics {
    place: LayerPlace,
    channels: usize,
    /// Sum of the cosine distances, and the images that have one.
    distance: (f64, u64),
    activity: ChannelActivity,
    class_means: ClassMeans,
    /// Means over the positions of each image, `[images, channels]`, of outputs of blocks.
    pooled: Vec<f32>,
}

/// Measures of a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerMeasures {
    /// Name of the layer, such as `stages.2.8.expanded`.
    pub layer: String,
    /// Stage, from 0.
    pub stage: usize,
    /// Block of the stage, from 0.
    pub block: usize,
    /// Place in the block.
    pub part: &'static str,
    /// Channels.
    pub channels: usize,
    /// Feature cosine distance, mean over the images that have one; `None` where all is 0 or maps have one position.
    pub cosine_distance: Option<f64>,
    /// Share of the maps that are close to 0, over all channels and images.
    pub dead_maps: f64,
    /// Share of the maps that have one value, other than 0, nearly everywhere; 0 where maps have one position.
    pub saturated_maps: f64,
    /// Channels whose maps are dead in every image.
    pub dead: usize,
    /// Channels whose maps are saturated in every image.
    pub saturated: usize,
    /// Class selectivity of the channels; `None` without labels.
    pub selectivity: Option<Selectivity>,
    /// Effective rank of the pooled features; of outputs of blocks.
    pub effective_rank: Option<f64>,
}

/// Class selectivity indices of a layer's channels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Selectivity {
    /// Mean over the channels.
    pub mean: f64,
    /// Channels with an index in each twentieth of 0 to 1.
    pub histogram: Vec<u64>,
    /// The index of each channel.
    pub channels: Vec<f64>,
}

impl Selectivity {
    fn of(channels: Vec<f64>) -> Option<Self> {
        let mut histogram = vec![0; SELECTIVITY_BARS];
        for &index in &channels {
            histogram[((index * SELECTIVITY_BARS as f64) as usize).min(SELECTIVITY_BARS - 1)] += 1;
        }
        let mean = channels.iter().sum::<f64>() / channels.len() as f64;
        (!channels.is_empty()).then_some(Self { mean, histogram, channels })
    }
}

impl LayerStatistics {
    pub(crate) fn new(place: LayerPlace, channels: usize, classes: usize) -> Self {
        Self {
            place,
            channels,
            distance: (0.0, 0),
            activity: ChannelActivity::new(channels),
            class_means: ClassMeans::new(channels, classes),
            pooled: Vec::new(),
        }
    }

    pub(crate) fn place(&self) -> LayerPlace {
        self.place
    }

    /// Adds an image, with its class if it has one; `is_pooled` stores the means over its positions.
    ///
    /// # Shapes
    /// - rows: `[positions, channels]`
    pub(crate) fn add(&mut self, rows: &[f32], class: Option<usize>, is_pooled: bool) {
        if let Some(distance) = feature_cosine_distance(rows, self.channels) {
            self.distance = (self.distance.0 + distance, self.distance.1 + 1);
        }
        self.activity.add(rows);
        if let Some(class) = class {
            self.class_means.add(rows, class);
        }
        if is_pooled && self.place.layer == BlockLayer::Output {
            self.pooled.extend(means(rows, self.channels));
        }
    }

    /// Mean of the cosine distance over the images that have one; `None` where none has.
    pub(crate) fn cosine_distance(&self) -> Option<f64> {
        (self.distance.1 > 0).then(|| self.distance.0 / self.distance.1 as f64)
    }

    /// Dead and saturated maps and channels.
    pub(crate) fn counts(&self) -> ChannelCounts {
        self.activity.counts()
    }

    /// Pooled features, `[images, channels]`; empty where there are none.
    pub(crate) fn pooled(&self) -> (&[f32], usize) {
        (&self.pooled, self.channels)
    }

    pub(crate) fn measures(&self) -> LayerMeasures {
        let LayerPlace { stage, block, layer } = self.place;
        let ChannelCounts { channels, dead_maps, saturated_maps, dead, saturated } = self.counts();
        LayerMeasures {
            layer: self.place.to_string(),
            stage,
            block,
            part: layer.name(),
            channels,
            cosine_distance: self.cosine_distance(),
            dead_maps,
            saturated_maps,
            dead,
            saturated,
            selectivity: Selectivity::of(self.class_means.selectivity()),
            effective_rank: (!self.pooled.is_empty()).then(|| effective_rank(&self.pooled, self.channels)),
        }
    }
}

/// The mean of each channel over the positions.
fn means(rows: &[f32], channels: usize) -> impl Iterator<Item = f32> {
    let mut sums = vec![0.0_f64; channels];
    for row in rows.chunks_exact(channels) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let positions = (rows.len() / channels) as f64;
    sums.into_iter().map(move |sum| (sum / positions) as f32)
}
