//! The loss of a batch: cross-entropy of the pixels by both heads, and perhaps Dice (docs/facts.md, "F. Segmentation").

use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::activation::softmax;
use convnext_data::LabelMap;
use convnext_nn::ops::pixel_loss::{PixelTargets, pixel_loss};
use convnext_nn::{FeatureMaps, resize_bilinear};
use convnext_train::Loss;

use crate::class_weights::class_weights;
use crate::recipe::sections::{LossRecipe, MeanOver};
use crate::upernet::TrainingLogits;

/// Added to the denominator of Dice, so that a class that is hardly there does not divide by nothing.
const DICE_EPSILON: f64 = 1e-3;

/// The loss of a training.
#[derive(Debug, Clone)]
pub struct SegmentationLoss {
    recipe: LossRecipe,
    /// Weight of the pixels of each class.
    class_weights: Arc<[f32]>,
}

/// Labels of a batch of images of one size.
#[derive(Debug, Clone)]
pub struct BatchLabels {
    /// `[N, H, W]`: classes, or [`LabelMap::IGNORED`].
    pub labels: Arc<[u16]>,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl SegmentationLoss {
    /// The loss that a recipe asks for; `pixels` are those of each class in the training images.
    pub fn new(recipe: LossRecipe, pixels: &[u64]) -> Self {
        Self { recipe, class_weights: class_weights(recipe.class_weights, pixels).into() }
    }

    /// The loss of a batch. Its parts are weighted, so that they add up to it: `decode`, `auxiliary` and `dice`, as far as
    /// they are.
    pub fn of(&self, logits: TrainingLogits, labels: &BatchLabels) -> Loss {
        let TrainingLogits { logits, auxiliary, observed } = logits;
        let targets = self.targets(labels);
        let mut parts = Vec::new();
        if self.recipe.dice > 0.0 {
            parts.push(("dice", dice(logits.clone(), labels) * self.recipe.dice));
        }
        parts.insert(0, ("decode", cross_entropy(logits, targets.clone())));
        if let Some(auxiliary) = auxiliary.filter(|_| self.recipe.auxiliary > 0.0) {
            parts.insert(1, ("auxiliary", cross_entropy(auxiliary, targets) * self.recipe.auxiliary));
        }
        Loss { observed, ..Loss::sum(parts) }
    }

    /// The labels, and the sum of the weights of the pixels that the mean is over, by which PyTorch and mmsegmentation divide.
    fn targets(&self, labels: &BatchLabels) -> PixelTargets {
        let BatchLabels { labels, height, width } = labels.clone();
        let weight_of = |&label: &u16| match (label, self.recipe.mean_over) {
            (LabelMap::IGNORED, MeanOver::All) => 1.0,
            (LabelMap::IGNORED, MeanOver::Labelled) => 0.0,
            _ => f64::from(self.class_weights[usize::from(label)]),
        };
        let sum: f64 = labels.iter().map(weight_of).sum();
        let divisor = if sum > 0.0 { sum } else { 1.0 };
        let class_weights = Arc::clone(&self.class_weights);
        PixelTargets { labels, height, width, class_weights, divisor }
    }
}

/// The cross-entropy, `[1]`, of logits that are resized to the labels.
fn cross_entropy(logits: FeatureMaps, targets: PixelTargets) -> Tensor<1> {
    let sites = logits.size();
    pixel_loss(logits.rows, sites, targets)
}

/// The Dice loss, `[1]`: 1 - 2 sum(p t) / (sum(p^2) + sum(t^2) + 1e-3) over the labelled pixels of a batch, as the mean over
/// the classes that are in it (Milletari et al. 2016).
fn dice(logits: FeatureMaps, labels: &BatchLabels) -> Tensor<1> {
    let classes = logits.channels();
    let resized = resize_bilinear(logits, labels.height, labels.width).rows;
    let device = resized.device();
    let mut targets = vec![0.0_f32; labels.labels.len() * classes];
    for (row, &label) in targets.chunks_exact_mut(classes).zip(labels.labels.iter()) {
        if label != LabelMap::IGNORED {
            row[usize::from(label)] = 1.0;
        }
    }
    let counts = pixels_per_class(&labels.labels, classes);
    let present: Vec<f32> = counts.iter().map(|&count| if count > 0.0 { 1.0 } else { 0.0 }).collect();
    let number = present.iter().sum::<f32>().max(1.0);
    let vector = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [1, classes]), &device);
    let shape = [labels.labels.len(), classes];
    let targets = Tensor::<2>::from_data(TensorData::new(targets, shape), &device);
    let labelled = targets.clone().sum_dim(1);
    let probabilities = softmax(resized, 1) * labelled;
    // Summed dimension by dimension: the order of additions then never depends on threads.
    let overlap = (probabilities.clone() * targets).sum_dim(0) * 2.0;
    let sizes = probabilities.clone().powi_scalar(2).sum_dim(0) + vector(counts) + DICE_EPSILON;
    let losses = (overlap / sizes).neg() + 1.0;
    (losses * vector(present)).sum_dim(1).reshape([1]) / f64::from(number)
}

/// The number of labelled pixels of each class. They are counted as whole numbers, because a sum of single ones in `f32` stands
/// still at 2^24.
fn pixels_per_class(labels: &[u16], classes: usize) -> Vec<f32> {
    let mut counts = vec![0_u64; classes];
    for &label in labels.iter().filter(|&&label| label != LabelMap::IGNORED) {
        counts[usize::from(label)] += 1;
    }
    counts.into_iter().map(|count| count as f32).collect()
}

#[cfg(test)]
mod tests {
    use convnext_train::ClassWeights;

    use super::*;

    const IGNORED: u16 = LabelMap::IGNORED;

    fn recipe() -> LossRecipe {
        LossRecipe {
            mean_over: MeanOver::Labelled,
            auxiliary: 0.4,
            class_weights: ClassWeights::Equal,
            dice: 0.0,
        }
    }

    /// One image of 2 x 2 pixels at the size of its logits, of three classes.
    fn logits() -> TrainingLogits {
        let values = [[1.0_f32, 0.0, 0.0], [0.0, 2.0, 0.0], [0.5, 0.0, 0.0], [9.0, 9.0, 0.0]];
        let rows = Tensor::<2>::from_data(values, &Device::flex());
        let maps = FeatureMaps { rows, images: 1, height: 2, width: 2 };
        TrainingLogits { logits: maps.clone(), auxiliary: Some(maps), observed: Vec::new() }
    }

    fn labels() -> BatchLabels {
        BatchLabels { labels: [0, 1, 1, IGNORED].into(), height: 2, width: 2 }
    }

    fn parts(recipe: LossRecipe) -> Vec<(&'static str, f32)> {
        let loss = SegmentationLoss::new(recipe, &[1, 1, 1]).of(logits(), &labels());
        let total = loss.total.into_scalar::<f32>();
        let parts: Vec<(&str, f32)> =
            loss.parts.into_iter().map(|(name, part)| (name, part.into_scalar::<f32>())).collect();
        assert!((parts.iter().map(|(_, part)| part).sum::<f32>() - total).abs() < 1e-6);
        parts
    }

    /// `-log softmax` of the three labelled pixels.
    fn surprises() -> [f32; 3] {
        let sum = |values: [f32; 3]| values.iter().map(|value| value.exp()).sum::<f32>().ln();
        [sum([1.0, 0.0, 0.0]) - 1.0, sum([0.0, 2.0, 0.0]) - 2.0, sum([0.5, 0.0, 0.0])]
    }

    #[test]
    fn the_mean_is_over_all_pixels_or_those_with_a_label() {
        let sum: f32 = surprises().iter().sum();
        for (mean_over, pixels) in [(MeanOver::Labelled, 3.0), (MeanOver::All, 4.0)] {
            let found = parts(LossRecipe { mean_over, ..recipe() });
            assert_eq!((found[0].0, found[1].0), ("decode", "auxiliary"));
            assert!((found[0].1 - sum / pixels).abs() < 1e-6, "{found:?}");
            assert!((found[1].1 - 0.4 * sum / pixels).abs() < 1e-6, "{found:?}");
        }
        assert_eq!(parts(LossRecipe { auxiliary: 0.0, ..recipe() }).len(), 1);
    }

    /// As PyTorch's `cross_entropy` with weights.
    #[test]
    fn the_mean_is_over_the_weights_of_the_pixels() {
        let recipe = LossRecipe { auxiliary: 0.0, class_weights: ClassWeights::Balanced, ..recipe() };
        let pixels = [90, 9, 1];
        let weights = class_weights(ClassWeights::Balanced, &pixels);
        let found = SegmentationLoss::new(recipe, &pixels).of(logits(), &labels()).total.into_scalar::<f32>();
        let of_pixels = [0, 1, 1].map(|label: usize| weights[label]);
        let sum: f32 = of_pixels.iter().zip(surprises()).map(|(weight, surprise)| weight * surprise).sum();
        assert!((found - sum / of_pixels.iter().sum::<f32>()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn dice_is_the_formula() {
        let found = parts(LossRecipe { auxiliary: 0.0, dice: 0.5, ..recipe() });
        assert_eq!(found[1].0, "dice");
        let softmax = |values: [f32; 3]| {
            let sum: f32 = values.iter().map(|value| value.exp()).sum();
            values.map(|value| value.exp() / sum)
        };
        let pixels = [softmax([1.0, 0.0, 0.0]), softmax([0.0, 2.0, 0.0]), softmax([0.5, 0.0, 0.0])];
        // The third class is in no label, and does not count.
        let of_class = |class: usize, of: &[usize]| {
            let overlap: f32 = of.iter().map(|&pixel| pixels[pixel][class]).sum();
            let squares: f32 = pixels.iter().map(|pixel| pixel[class] * pixel[class]).sum();
            1.0 - 2.0 * overlap / (squares + of.len() as f32 + 1e-3)
        };
        let expected = 0.5 * (of_class(0, &[0]) + of_class(1, &[1, 2])) / 2.0;
        assert!((found[1].1 - expected).abs() < 1e-6, "{found:?} {expected}");
    }

    /// Bug: more than 2^24 pixels of a class counted as 2^24.
    #[test]
    fn dice_counts_any_number_of_pixels() {
        let mut labels = vec![0; (1 << 24) + 2];
        labels.extend([2, IGNORED]);
        assert_eq!(pixels_per_class(&labels, 3), [16_777_218.0, 0.0, 1.0]);
    }

    #[test]
    fn a_batch_without_labels_has_no_loss() {
        let labels = BatchLabels { labels: [IGNORED; 4].into(), height: 2, width: 2 };
        let recipe = LossRecipe { dice: 1.0, ..recipe() };
        let loss = SegmentationLoss::new(recipe, &[1, 1, 1]).of(logits(), &labels);
        assert_eq!(loss.total.into_scalar::<f32>(), 0.0);
    }
}
