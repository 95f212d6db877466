//! A batch of images.

use crate::loading::source::Batch;

/// Some images, ready for a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// Shape `[len, channels, height, width]`, normalised.
    pub images: Vec<f32>,
    /// Channels of an image.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// The class of each image.
    pub labels: Vec<Option<usize>>,
    /// The index of each image in the data set. Random streams are keyed by it.
    pub samples: Vec<usize>,
    /// The epoch that the batch belongs to.
    pub epoch: u64,
    /// Mixup or CutMix of the batch, if any.
    pub mix: Option<LabelMix>,
}

impl Batch for ImageBatch {
    fn len(&self) -> usize {
        self.samples.len()
    }
}

/// Mixup or CutMix of a batch: the image i was mixed with the image `len - 1 - i`, its partner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelMix {
    /// Weight of an image's own label, in [0, 1]. The label of its partner has the rest: the target is
    /// `lam` x own + (1 - `lam`) x partner. With CutMix it is the fraction of the area that the
    /// image has kept.
    pub lam: f32,
}

impl LabelMix {
    /// The targets of mixed images, from those of the images themselves: `[N, classes]`, and the same again.
    #[must_use]
    pub fn apply(self, targets: &[f32], classes: usize) -> Vec<f32> {
        let Self { lam } = self;
        let partners = targets.chunks_exact(classes.max(1)).rev().flatten();
        let mix = |(own, partner): (&f32, &f32)| lam * own + (1.0 - lam) * partner;
        targets.iter().zip(partners).map(mix).collect()
    }
}
