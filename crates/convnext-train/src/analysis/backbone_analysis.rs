//! Measures of all layers of a backbone over a set of images.

use burn::prelude::*;
use convnext_analysis::CentredKernel;
use convnext_core::{ModelConfig, Preprocessing};
use convnext_data::{Dataset, ImageBatch};
use convnext_distributed::Ranks;
use convnext_nn::{Backbone, BlockLayer, tensor_values};

use crate::analysis::layer_statistics::{LayerMeasures, LayerStatistics};
use crate::error::TrainError;
use crate::evaluation::inference::EvalLoaderConfig;
use crate::training::task::batch_images;

/// Images whose pooled outputs are compared, at most: a kernel has a value for each pair of them.
pub const MAX_POOLED_IMAGES: usize = 2000;

/// Measures of every layer of a backbone, over the images of a data set.
#[derive(Debug, Clone)]
pub struct BackboneAnalysis {
    pub(crate) layers: Vec<LayerStatistics>,
    /// Images that were looked at, and all of them.
    images: usize,
    all_images: usize,
    /// Classes of the images, ascending, as they stand in the data set.
    classes: Vec<usize>,
}

impl BackboneAnalysis {
    /// Looks at every image, whole: no patch is removed. Classes are those of the images. Similarities and effective ranks are
    /// of at most [`MAX_POOLED_IMAGES`], spread evenly over all of them. `progress` is told how many images are done. What is kept of an image is too large to be sent
    /// around, so ranks do not share the images: each looks at all of them.
    ///
    /// # Errors
    /// What reading the images reports, [`TrainError::Model`] for images that do not fit the backbone, and
    /// [`TrainError::NotFinite`] with the layer whose activations are not.
    pub fn of(
        (backbone, config): (&Backbone, &ModelConfig),
        dataset: &Dataset,
        preprocessing: &Preprocessing,
        reading: &EvalLoaderConfig,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, TrainError> {
        let device = backbone.stem.conv.weight.lazy_device();
        let mut classes: Vec<usize> = (0..dataset.len()).filter_map(|index| dataset.label(index)).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut analysis = Self { layers: Vec::new(), images: 0, all_images: dataset.len(), classes };
        let compute = |mut batch: ImageBatch| {
            analysis.add((backbone, config), batch_images(&mut batch, &device), &batch.labels)?;
            Ok(analysis.images)
        };
        let reading = EvalLoaderConfig { ranks: Ranks::default(), ..reading.clone() };
        reading.loader(dataset, preprocessing)?.for_each(compute, |images| {
            progress(images);
            Ok::<(), TrainError>(())
        })?;
        Ok(analysis)
    }

    fn add(
        &mut self,
        (backbone, config): (&Backbone, &ModelConfig),
        images: Tensor<4>,
        labels: &[Option<usize>],
    ) -> Result<(), TrainError> {
        let class = |label: &Option<usize>| self.classes.binary_search(&(*label)?).ok();
        let labels: Vec<Option<usize>> = labels.iter().map(class).collect();
        let (mut next, mut damaged) = (0, None);
        backbone.forward_layers(config, images, &mut |place, _, rows| {
            let channels = rows.dims()[1];
            let values = tensor_values(rows);
            if damaged.is_none() && !values.iter().all(|value| value.is_finite()) {
                damaged = Some(place);
            }
            if next == self.layers.len() {
                self.layers.push(LayerStatistics::new(place, channels, self.classes.len()));
            }
            let layer = &mut self.layers[next];
            let of_images = values.chunks_exact(values.len() / labels.len());
            for (index, (rows, &label)) in (self.images..).zip(of_images.zip(&labels)) {
                layer.add(rows, label, is_pooled(index, self.all_images));
            }
            next += 1;
        })?;
        self.images += labels.len();
        match damaged {
            None => Ok(()),
            Some(place) => Err(TrainError::NotFinite { what: format!("the activations of {place}") }),
        }
    }

    /// Images that were looked at.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Number of classes that the images are of; 0 without labels.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Measures of each layer, in their order.
    pub fn measures(&self) -> Vec<LayerMeasures> {
        self.layers.iter().map(LayerStatistics::measures).collect()
    }

    /// Names and kernels of the pooled outputs of all blocks, for [`alignments`].
    pub fn kernels(&self) -> Vec<(String, CentredKernel)> {
        let outputs = self.layers.iter().filter(|layer| layer.place().layer == BlockLayer::Output);
        let kernel = |layer: &LayerStatistics| {
            let (features, width) = layer.pooled();
            (layer.place().to_string(), CentredKernel::of(features, width))
        };
        outputs.map(kernel).collect()
    }
}

/// Linear CKA of the blocks of two models on the same images: a row for each block of the first.
pub fn alignments(
    left: &[(String, CentredKernel)],
    right: &[(String, CentredKernel)],
) -> Vec<Vec<Option<f64>>> {
    let row = |kernel: &CentredKernel| right.iter().map(|(_, other)| kernel.alignment(other)).collect();
    left.iter().map(|(_, kernel)| row(kernel)).collect()
}

/// `true` for at most [`MAX_POOLED_IMAGES`] of so many images, spread evenly: images of one class often follow each other.
fn is_pooled(index: usize, all: usize) -> bool {
    let before = |index: usize| index as u128 * MAX_POOLED_IMAGES as u128 / all.max(1) as u128;
    all <= MAX_POOLED_IMAGES || before(index) < before(index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_images_are_spread_over_all_classes() {
        for all in [1, 1999, 2000, 2001, 2300, 50_000] {
            let pooled: Vec<usize> = (0..all).filter(|&index| is_pooled(index, all)).collect();
            assert_eq!(pooled.len(), all.min(MAX_POOLED_IMAGES), "of {all}");
            let second_half = pooled.iter().filter(|&&index| index >= all / 2).count();
            assert!(second_half.abs_diff(pooled.len() / 2) <= 1, "{second_half} of {all}");
        }
    }
}
