//! A batch of images with their objects.

use convnext_core::ImageSize;
use convnext_data::{Batch, Instance};

/// Some images with their objects, ready for a model.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionBatch {
    /// Shape `[len, channels, height, width]`, normalised; smaller images are padded at the right and at the bottom.
    pub images: Vec<f32>,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of the largest images, padded to what the network needs.
    pub size: ImageSize,
    /// Height and width of each image without padding.
    pub sizes: Vec<ImageSize>,
    /// The objects of each image.
    pub instances: Vec<Vec<Instance>>,
    /// The index of each image in the data set. Random streams are keyed by it.
    pub samples: Vec<usize>,
    /// The epoch that the batch belongs to.
    pub epoch: u64,
}

impl Batch for DetectionBatch {
    fn len(&self) -> usize {
        self.samples.len()
    }
}
