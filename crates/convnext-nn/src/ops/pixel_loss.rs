//! The loss of segmentation: cross-entropy of pixels, for logits that are resized to the size of the label maps.
//!
//! Notation: N images, h x w sites of a map of logits, H x W pixels of a label map, K classes.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::prelude::*;
use convnext_kernels::{IGNORED_LABEL, LogitMaps, PixelLabels};

use crate::ops::flex_slices::{buffer_tensor, contiguous, tensor};
use crate::ops::graph::register;
use crate::ops::resample_plan::Resampling;

/// The label maps of a batch, and how much their pixels count.
#[derive(Debug, Clone)]
pub struct PixelTargets {
    /// `[N, H, W]`: classes, or [`IGNORED_LABEL`] for pixels that count nowhere.
    pub labels: Arc<[u16]>,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// Weight of the pixels of each class, `[K]`.
    pub class_weights: Arc<[f32]>,
    /// What the sum over all pixels is divided by.
    pub divisor: f64,
}

impl PixelTargets {
    /// N for maps of this size.
    fn images(&self) -> usize {
        self.labels.len() / (self.height * self.width).max(1)
    }
}

/// The forward of the loss, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait PixelLossBackend: Backend {
    /// The weighted cross-entropy, `[1]`, of logits `[N * h * w, K]` on maps of `[h, w]` sites, each resized bilinearly to
    /// the labels: the sum over the pixels with a label, divided by the divisor.
    fn pixel_loss(logits: FloatTensor<Self>, sites: [usize; 2], targets: PixelTargets) -> FloatTensor<Self> {
        let [loss, _] = pixel_loss_reference::<Self>(logits, sites, &targets);
        loss
    }
}

/// The loss with its gradient, for automatic differentiation.
pub trait DifferentiablePixelLoss: PixelLossBackend {
    /// [`PixelLossBackend::pixel_loss`], and the gradient of the logits.
    fn pixel_loss_and_gradient(
        logits: FloatTensor<Self>,
        sites: [usize; 2],
        targets: PixelTargets,
    ) -> [FloatTensor<Self>; 2] {
        pixel_loss_reference::<Self>(logits, sites, &targets)
    }
}

/// The loss and its gradient in tensor operations, which hold several copies of the logits at the size of the labels.
fn pixel_loss_reference<B: Backend>(
    logits: FloatTensor<B>,
    [height, width]: [usize; 2],
    targets: &PixelTargets,
) -> [FloatTensor<B>; 2] {
    let (device, dtype) = (logits.device(), logits.dtype());
    let (classes, images) = (logits.shape()[1], targets.images());
    let upload = |values: Vec<f32>, shape: Vec<usize>| {
        B::float_from_data(TensorData::new(values, shape).convert_dtype(dtype), &device)
    };
    let expanded = |source: usize, target: usize, batch: usize| {
        let matrix = upload(Resampling::Bilinear.matrix(source, target), vec![1, target, source]);
        B::float_expand(matrix, Shape::new([batch, target, source]))
    };
    let of_rows = expanded(height, targets.height, images);
    let of_columns = expanded(width, targets.width, images * targets.height);
    let maps = B::float_reshape(logits, Shape::new([images, height, width * classes]));
    let tall = B::float_matmul(of_rows.clone(), maps);
    let tall = B::float_reshape(tall, Shape::new([images * targets.height, width, classes]));
    let resized = B::float_matmul(of_columns.clone(), tall);
    let resized = B::float_reshape(resized, Shape::new([targets.labels.len(), classes]));

    let (wanted, weights) = weighted_targets(targets, classes);
    let wanted = upload(wanted, vec![targets.labels.len(), classes]);
    let weights = upload(weights, vec![targets.labels.len(), 1]);
    let logs = B::log_softmax(resized, 1);
    let likelihood = B::float_mul(logs.clone(), wanted.clone());
    // Summed dimension by dimension: the order of additions then never depends on threads.
    let sum = B::float_reshape(B::float_sum_dim(B::float_sum_dim(likelihood, 1), 0), Shape::new([1]));
    let loss = B::float_div_scalar(sum, (-targets.divisor).into());

    let errors = B::float_sub(B::float_mul(B::float_exp(logs), weights), wanted);
    let errors = B::float_div_scalar(errors, targets.divisor.into());
    let errors = B::float_reshape(errors, Shape::new([images * targets.height, targets.width, classes]));
    let narrow = B::float_matmul(B::float_swap_dims(of_columns, 1, 2), errors);
    let narrow = B::float_reshape(narrow, Shape::new([images, targets.height, width * classes]));
    let gradient = B::float_matmul(B::float_swap_dims(of_rows, 1, 2), narrow);
    [loss, B::float_reshape(gradient, Shape::new([images * height * width, classes]))]
}

/// The weight of each pixel in the place of its class, `[N * H * W, K]`, and alone; 0 where it is ignored.
fn weighted_targets(targets: &PixelTargets, classes: usize) -> (Vec<f32>, Vec<f32>) {
    let mut wanted = vec![0.0; targets.labels.len() * classes];
    let mut weights = vec![0.0; targets.labels.len()];
    for (pixel, &label) in targets.labels.iter().enumerate().filter(|(_, label)| **label != IGNORED_LABEL) {
        weights[pixel] = targets.class_weights[usize::from(label)];
        wanted[pixel * classes + usize::from(label)] = weights[pixel];
    }
    (wanted, weights)
}

/// The CPU backend runs the kernel on f32, and the reference implementation on other types.
impl PixelLossBackend for Flex {
    fn pixel_loss(logits: FlexTensor, sites: [usize; 2], targets: PixelTargets) -> FlexTensor {
        let [loss, _] = Self::pixel_loss_and_gradient(logits, sites, targets);
        loss
    }
}

impl DifferentiablePixelLoss for Flex {
    fn pixel_loss_and_gradient(
        logits: FlexTensor,
        sites: [usize; 2],
        targets: PixelTargets,
    ) -> [FlexTensor; 2] {
        let logits = contiguous(logits);
        let Some(values) = logits.as_slice::<f32>() else {
            return pixel_loss_reference::<Self>(logits, sites, &targets);
        };
        let [height, width] = sites;
        let maps = LogitMaps { images: targets.images(), height, width, classes: logits.shape()[1] };
        // The kernel sums up; a mean is the same with smaller weights.
        let share = |weight: &f32| (f64::from(*weight) / targets.divisor) as f32;
        let class_weights: Vec<f32> = targets.class_weights.iter().map(share).collect();
        let labels = PixelLabels {
            labels: &targets.labels,
            height: targets.height,
            width: targets.width,
            class_weights: &class_weights,
        };
        let (loss, gradient) = convnext_kernels::pixel_cross_entropy(values, maps, labels);
        [tensor(vec![loss as f32], Shape::new([1])), buffer_tensor(gradient, logits.shape())]
    }
}

/// The autograd node of one loss.
#[derive(Debug)]
struct PixelLossNode;

impl<B: DifferentiablePixelLoss> Backward<B, 1> for PixelLossNode {
    /// The gradient of the logits for a gradient of 1 of the loss.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let factor = B::float_reshape(output_gradient, Shape::new([1, 1]));
        let dlogits = B::float_mul(ops.state, factor);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 1>(grads, parents, [Some(dlogits)]);
    }
}

impl<B: DifferentiablePixelLoss, C: CheckpointStrategy> PixelLossBackend for Autodiff<B, C> {
    fn pixel_loss(logits: FloatTensor<Self>, sites: [usize; 2], targets: PixelTargets) -> FloatTensor<Self> {
        let (logits, of_logits) = logits.into_parts();
        match PixelLossNode.prepare::<C>([of_logits]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let [loss, gradient] = B::pixel_loss_and_gradient(logits, sites, targets);
                node.finish(gradient, loss)
            }
            OpsKind::UnTracked(node) => node.finish(B::pixel_loss(logits, sites, targets)),
        }
    }
}

/// Weighted cross-entropy of pixels, `[1]`: logits of dense maps, resized bilinearly to the labels.
///
/// # Shapes
/// - logits: `[N * h * w, K]`, in the order (image, y, x), with `sites` h and w
/// - output: `[1]`
///
/// # Panics
/// When the sizes do not fit each other, or a label is no class.
pub fn pixel_loss(logits: Tensor<2>, sites: [usize; 2], targets: PixelTargets) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::pixel_loss(logits.into_dispatch(), sites, targets))
}

#[cfg(test)]
mod tests {
    use burn::backend::ops::FloatTensorOps;
    use burn::tensor::{DType, FloatDType};

    use super::*;
    use crate::ops::flex_slices::values_close;

    fn targets() -> PixelTargets {
        let label = |pixel: usize| match pixel * 7 % 5 {
            4 => IGNORED_LABEL,
            label => label as u16,
        };
        PixelTargets {
            labels: (0..2 * 5 * 7).map(label).collect(),
            height: 5,
            width: 7,
            class_weights: [1.0, 0.5, 2.0, 1.5].into(),
            divisor: 61.0,
        }
    }

    fn logits() -> Vec<f32> {
        (0..2 * 6 * 4).map(|place| 2.0 * (place as f32 * 0.7).sin()).collect()
    }

    #[test]
    fn the_kernel_matches_the_reference() {
        let maps = || tensor(logits(), Shape::new([12, 4]));
        let found = Flex::pixel_loss_and_gradient(maps(), [2, 3], targets());
        let expected = pixel_loss_reference::<Flex>(maps(), [2, 3], &targets());
        assert!(found.iter().zip(&expected).all(|(a, b)| values_close(a, b)), "{found:?} {expected:?}");
    }

    #[test]
    fn the_reference_takes_logits_in_f64() {
        let data = TensorData::new(logits(), [12, 4]).convert_dtype(DType::F64);
        let maps = Flex::float_from_data(data, &Default::default());
        let found = Flex::pixel_loss_and_gradient(maps, [2, 3], targets());
        let found = found.map(|tensor| Flex::float_cast(tensor, FloatDType::F32));
        let expected =
            Flex::pixel_loss_and_gradient(tensor(logits(), Shape::new([12, 4])), [2, 3], targets());
        assert!(found.iter().zip(&expected).all(|(a, b)| values_close(a, b)), "{found:?} {expected:?}");
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let device = Device::flex().autodiff();
        let loss = |values: Vec<f32>, device: &Device| {
            let logits = Tensor::<2>::from_data(TensorData::new(values, [12, 4]), device);
            let logits = if device.is_autodiff() { logits.require_grad() } else { logits };
            (logits.clone(), pixel_loss(logits, [2, 3], targets()) * 3.0)
        };
        let (leaf, output) = loss(logits(), &device);
        let gradient = leaf.grad(&output.backward()).unwrap().into_data().try_into_vec::<f32>().unwrap();
        for place in [0, 5, 17, 47] {
            let moved = |by: f32| {
                let mut values = logits();
                values[place] += by;
                f64::from(loss(values, &Device::flex()).1.into_scalar::<f32>())
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(gradient[place]) - slope).abs() < 1e-4, "{place}: {slope}");
        }
    }
}
