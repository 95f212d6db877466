//! A batch of images with label maps.

use convnext_core::ImageSize;
use convnext_data::Batch;

/// Some images with a label for each pixel, ready for a model.
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
    /// Height and width of what is no padding of an image, at the top and at the left. In training labels of the padding
    /// are ignored; in evaluation it is cut off before logits are resized to the labels.
    pub content: ImageSize,
    /// Shape `[len, labels_height, labels_width]`: indices of classes, or `LabelMap::IGNORED`.
    pub labels: Vec<u16>,
    /// Height and width of the label maps: those of the images in training, those of the image file in evaluation.
    pub labels_size: ImageSize,
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
