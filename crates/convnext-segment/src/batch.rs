//! A batch of images with label maps.

use convnext_data::Batch;

/// Some images with a label for each pixel, ready for a model. Labels of the padding are ignored.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationBatch {
    /// Shape `[len, channels, height, width]`, normalised.
    pub images: Vec<f32>,
    /// Channels of an image.
    pub channels: usize,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Shape `[len, height, width]`: indices of classes, or `LabelMap::IGNORED`.
    pub labels: Vec<u16>,
    /// The index of each image in the data set. Random streams are keyed by it.
    pub samples: Vec<usize>,
    /// The epoch that the batch belongs to.
    pub epoch: u64,
}

impl Batch for SegmentationBatch {
    fn len(&self) -> usize {
        self.samples.len()
    }
}
