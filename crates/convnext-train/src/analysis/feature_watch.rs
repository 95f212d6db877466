//! Features during a pre-training: their distance, and dead and saturated maps, on the same images each time; and the sizes of
//! what blocks learn to scale them with.

use convnext_analysis::ChannelCounts;
use convnext_core::{ModelConfig, Preprocessing, STAGES, Seed};
use convnext_data::{Dataset, Decoding, OnCorrupt, Orientation};
use convnext_distributed::Ranks;
use convnext_nn::{Backbone, Block, BlockLayer, tensor_values};

use crate::analysis::backbone_analysis::BackboneAnalysis;
use crate::analysis::layer_statistics::LayerStatistics;
use crate::error::TrainError;
use crate::evaluation::inference::EvalLoaderConfig;
use crate::training::metric::{Direction, Metric};

/// Images that are looked at.
const IMAGES: usize = 64;

/// Images that go through the encoder together: the layers of few are held at once.
const BATCH_SIZE: usize = 8;

/// Some images of a training, whole and not augmented, that an encoder is watched on.
#[derive(Debug)]
pub(crate) struct FeatureWatch {
    images: Dataset,
    preprocessing: Preprocessing,
    reading: EvalLoaderConfig,
}

impl FeatureWatch {
    /// Draws the images, and leaves out what cannot be read: training says so of each once, and a watch at every validation.
    pub(crate) fn new(
        dataset: &Dataset,
        preprocessing: Preprocessing,
        (orientation, threads): (Orientation, usize),
        seed: Seed,
    ) -> Self {
        let decoding = Decoding::of(&preprocessing, orientation);
        let mut drawn = dataset.draw(IMAGES, seed);
        drawn.retain(|&index| dataset.image(index, &decoding).is_ok());
        let images = dataset.subset(&drawn);
        // A file may still vanish later.
        let on_corrupt = OnCorrupt::Skip;
        // Every rank looks at all of them.
        let ranks = Ranks::default();
        let reading = EvalLoaderConfig { batch_size: BATCH_SIZE, threads, orientation, on_corrupt, ranks };
        Self { images, preprocessing, reading }
    }

    /// Images that are looked at.
    pub(crate) fn len(&self) -> usize {
        self.images.len()
    }

    /// Of the expanded activations after GRN, where a collapse shows (paper section 4): the cosine distance, mean over all
    /// blocks and over those of each stage that have one, and the shares of dead and of saturated maps. Of the blocks: the
    /// mean absolute value of GRN's gamma, which starts at 0, and of LayerScale's factors.
    pub(crate) fn metrics(&self, backbone: (&Backbone, &ModelConfig)) -> Result<Vec<Metric>, TrainError> {
        if self.images.is_empty() {
            return Ok(Vec::new());
        }
        let analysis =
            BackboneAnalysis::of(backbone, &self.images, &self.preprocessing, &self.reading, |_| ())?;
        let expanded = analysis.layers.iter().filter(|layer| layer.place().layer == BlockLayer::Normalised);
        let layers: Vec<&LayerStatistics> = expanded.collect();
        let distance = |name: String, label: String, stage: Option<usize>| {
            let of_stage =
                layers.iter().filter(|layer| stage.is_none_or(|stage| layer.place().stage == stage));
            let value = mean(of_stage.filter_map(|layer| layer.cosine_distance()));
            Metric::new(name, value, Direction::HigherIsBetter).labelled(label)
        };
        let mut metrics = vec![distance("feature_distance".into(), "feature distance".into(), None)];
        metrics.extend((0..STAGES).map(|stage| {
            let number = stage + 1;
            let label = format!("feature distance, stage {number}");
            distance(format!("feature_distance_stage{number}"), label, Some(stage))
        }));
        let share = |name: &str, label: &str, of: fn(ChannelCounts) -> f64| {
            let value = mean(layers.iter().map(|layer| of(layer.counts())));
            Metric::new(name, value, Direction::LowerIsBetter).fraction().labelled(label)
        };
        metrics.push(share("dead_maps", "dead maps", |counts| counts.dead_maps));
        metrics.push(share("saturated_maps", "saturated maps", |counts| counts.saturated_maps));
        metrics.extend(factors(backbone.0, "grn_gamma", "size of GRN's gamma", |block| {
            block.grn.as_ref().map(|grn| tensor_values(grn.gamma.val()))
        }));
        metrics.extend(factors(backbone.0, "layer_scale", "size of LayerScale", |block| {
            block.gamma.as_ref().map(|gamma| tensor_values(gamma.val()))
        }));
        Ok(metrics)
    }
}

/// The mean absolute value of learned factors over all blocks; `None` where blocks have none.
fn factors(
    backbone: &Backbone,
    name: &str,
    label: &str,
    of: fn(&Block) -> Option<Vec<f32>>,
) -> Option<Metric> {
    let values = backbone.stages.iter().flatten().filter_map(of).flatten();
    let size = mean(values.map(|value| f64::from(value.abs())))?;
    Some(Metric::new(name, Some(size), Direction::HigherIsBetter).labelled(label))
}

/// The mean; `None` of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use convnext_core::find_model;
    use convnext_data::{Image, open_images};
    use convnext_nn::ConvNext;

    use super::*;

    /// Bug: an image that cannot be read was warned of at every validation.
    #[test]
    fn images_that_cannot_be_read_are_not_watched() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Image::new(8, 8, 3, vec![7; 192]).unwrap();
        for name in ["a.png", "b.png"] {
            picture.save_png(&folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("cut.png"), &picture.png()[..40]).unwrap();
        let images = open_images(&[folder.path().to_owned()]).unwrap();
        assert_eq!(images.len(), 3);
        let preprocessing = Preprocessing::for_size(8, 3);
        let watch = FeatureWatch::new(&images, preprocessing, (Orientation::Honour, 1), Seed(0));
        assert_eq!(watch.len(), 2);
    }

    /// Bug: the signs of single numbers entered the mean distance of all blocks.
    #[test]
    fn a_stage_of_one_position_has_no_distance() {
        let folder = tempfile::tempdir().unwrap();
        let levels = (0..32 * 32 * 3).map(|place| (place * 7 % 251) as u8).collect();
        Image::new(32, 32, 3, levels).unwrap().save_png(&folder.path().join("a.png")).unwrap();
        let images = open_images(&[folder.path().to_owned()]).unwrap();
        let preprocessing = Preprocessing::for_size(32, 3);
        let watch = FeatureWatch::new(&images, preprocessing, (Orientation::Honour, 1), Seed(0));
        let config = find_model("micro").unwrap().config();
        let model = ConvNext::new(&config, Seed(1), &Device::flex()).unwrap();
        let metrics = watch.metrics((&model.backbone, model.config())).unwrap();
        let value = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().value;
        assert_eq!(value("feature_distance_stage4"), None);
        let stages = [1, 2, 3].map(|stage| value(&format!("feature_distance_stage{stage}")).unwrap());
        // The third stage has two blocks, the others one.
        let expected = (stages[0] + stages[1] + 2.0 * stages[2]) / 4.0;
        assert!((value("feature_distance").unwrap() - expected).abs() < 1e-9, "{stages:?}");
    }
}
