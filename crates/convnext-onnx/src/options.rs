//! Options of an export: inputs and outputs of the file.

use convnext_core::{ImageSize, WeightMetadata};

/// Inputs and outputs of an ONNX file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Size of the images; need not be the one that the weights were trained with. `None` takes that of the weights, and
    /// must not where these leave each image a size of its own.
    pub image_size: Option<ImageSize>,
    /// Batch size.
    pub batch: OnnxBatch,
    /// Outputs.
    pub output: OnnxOutput,
}

impl OnnxOptions {
    /// The image size of the weights, any number of images, and logits if there is a head.
    pub fn of(metadata: &WeightMetadata) -> Self {
        let has_head = metadata.class_count() > 0;
        Self {
            image_size: None,
            batch: OnnxBatch::Dynamic,
            output: if has_head { OnnxOutput::Logits } else { OnnxOutput::Features },
        }
    }
}

/// Batch size of an ONNX file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnnxBatch {
    /// Any number.
    Dynamic,
    /// This many, from 1 to [`Self::MOST`].
    Fixed(usize),
}

impl OnnxBatch {
    /// Most images of a fixed batch.
    pub const MOST: usize = 1_000_000;

    /// The range of a batch in words.
    pub(crate) const RANGE: &str = "from 1 to 1000000, or dynamic";
}

/// Outputs of an ONNX file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnnxOutput {
    /// `logits` `[batch, classes]`.
    Logits,
    /// `stage1` to `stage4` `[batch, C_i, H_i, W_i]`: what each stage puts out, without a norm, as detection and
    /// segmentation take it. Of an autoencoder those of its encoder, which sees the whole image.
    Features,
}
