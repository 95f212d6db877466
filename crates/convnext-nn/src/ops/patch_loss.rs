//! FCMAE's loss: the mean squared error of the predicted patches (paper section 3.1; "C4. Loss" in
//! `docs/facts.md`).
//!
//! Notation: N images, R predicted patches of the batch, V values of a patch in the order (y, x, channel).

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::prelude::*;
use convnext_kernels::PatchedImages;

use crate::ops::flex_slices::{as_indices, buffer_tensor, contiguous, tensor};
use crate::ops::graph::register;
use crate::ops::reference::EPSILON;

/// The settings of the loss.
#[derive(Debug, Clone, Copy)]
pub struct PatchLossPlan {
    /// Shape and patch size of the images.
    pub images: PatchedImages,
    /// Normalise each target by its patch's mean and variance.
    pub normalize: bool,
}

/// The forward of the loss, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait PatchLossBackend: Backend {
    /// The mean squared error, `[1]`, of predictions `[R, V]` of these patches, counted over all patches
    /// of the images `[N, channels, height, width]`. The images are constants to it.
    fn patch_loss(
        predictions: FloatTensor<Self>,
        images: FloatTensor<Self>,
        patches: IntTensor<Self>,
        plan: PatchLossPlan,
    ) -> FloatTensor<Self> {
        let [_, loss] = patch_errors_reference::<Self>(predictions, images, patches, plan);
        loss
    }
}

/// The loss's forward and backward for automatic differentiation.
pub trait DifferentiablePatchLoss: PatchLossBackend {
    /// The errors, `[R, V]`, and [`PatchLossBackend::patch_loss`].
    fn patch_errors(
        predictions: FloatTensor<Self>,
        images: FloatTensor<Self>,
        patches: IntTensor<Self>,
        plan: PatchLossPlan,
    ) -> [FloatTensor<Self>; 2] {
        patch_errors_reference::<Self>(predictions, images, patches, plan)
    }

    /// The gradient of the predictions for the errors and the gradient of the loss, `[1]`.
    fn patch_errors_backward(
        errors: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        patch_loss_backward_reference::<Self>(errors, output_gradient)
    }
}

/// The errors `[R, V]` of predicted patches and the mean of their squares `[1]`, as
/// [`DifferentiablePatchLoss::patch_errors`].
fn patch_errors_reference<B: Backend>(
    predictions: FloatTensor<B>,
    images: FloatTensor<B>,
    patches: IntTensor<B>,
    plan: PatchLossPlan,
) -> [FloatTensor<B>; 2] {
    let PatchedImages { channels, height, width, patch } = plan.images;
    let (count, values) = (images.shape()[0], patch * patch * channels);
    let (rows, columns) = (height / patch, width / patch);
    let cut = B::float_reshape(images, Shape::new([count, channels, rows, patch, columns, patch]));
    let cut = B::float_permute(cut, &[0, 2, 4, 3, 5, 1]);
    let targets = B::float_reshape(cut, Shape::new([count * rows * columns, values]));
    let targets = B::float_select(targets, 0, patches);
    let targets = if plan.normalize { normalize_patches::<B>(targets) } else { targets };
    let errors = B::float_sub(predictions, targets);
    let number = errors.shape().num_elements();
    // Summed dimension by dimension: the order of additions then never depends on threads.
    let squares = B::float_mul(errors.clone(), errors.clone());
    let sum = B::float_reshape(B::float_sum_dim(B::float_sum_dim(squares, 1), 0), Shape::new([1]));
    [errors, B::float_div_scalar(sum, (number as f64).into())]
}

/// Each row minus its mean, over the root of its unbiased variance + 1e-6.
fn normalize_patches<B: Backend>(patches: FloatTensor<B>) -> FloatTensor<B> {
    let values = patches.shape()[1];
    let centred = B::float_sub(patches.clone(), B::float_mean_dim(patches, 1));
    let squares = B::float_sum_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let variance = B::float_div_scalar(squares, ((values - 1) as f64).into());
    B::float_div(centred, B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())))
}

fn patch_loss_backward_reference<B: Backend>(
    errors: FloatTensor<B>,
    output_gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let factor = 2.0 / errors.shape().num_elements() as f64;
    let factor = B::float_mul_scalar(output_gradient, factor.into());
    B::float_mul(errors, B::float_reshape(factor, Shape::new([1, 1])))
}

/// The CPU backend runs the kernels on f32, and the reference implementation on other types.
impl PatchLossBackend for Flex {
    fn patch_loss(
        predictions: FlexTensor,
        images: FlexTensor,
        patches: FlexTensor,
        plan: PatchLossPlan,
    ) -> FlexTensor {
        let [_, loss] = Self::patch_errors(predictions, images, patches, plan);
        loss
    }
}

impl DifferentiablePatchLoss for Flex {
    fn patch_errors(
        predictions: FlexTensor,
        images: FlexTensor,
        patches: FlexTensor,
        plan: PatchLossPlan,
    ) -> [FlexTensor; 2] {
        let [predictions, images, patches] = [predictions, images, patches].map(contiguous);
        let slices = (predictions.as_slice::<f32>(), images.as_slice::<f32>(), as_indices(&patches));
        if let (Some(p), Some(x), Some(found)) = slices {
            let (errors, loss) = convnext_kernels::patch_errors(p, x, plan.images, &found, plan.normalize);
            return [buffer_tensor(errors, predictions.shape()), tensor(vec![loss], Shape::new([1]))];
        }
        patch_errors_reference::<Self>(predictions, images, patches, plan)
    }

    fn patch_errors_backward(errors: FlexTensor, output_gradient: FlexTensor) -> FlexTensor {
        if let (Some(values), Some(&[gradient])) = (errors.as_slice(), output_gradient.as_slice::<f32>()) {
            let found = convnext_kernels::patch_errors_backward(values, gradient);
            return buffer_tensor(found, errors.shape());
        }
        patch_loss_backward_reference::<Self>(errors, output_gradient)
    }
}

/// The autograd node of one loss.
#[derive(Debug)]
struct PatchLossNode;

impl<B: DifferentiablePatchLoss> Backward<B, 1> for PatchLossNode {
    /// The errors.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let dpredictions = B::patch_errors_backward(ops.state, output_gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 1>(grads, parents, [Some(dpredictions)]);
    }
}

impl<B: DifferentiablePatchLoss, C: CheckpointStrategy> PatchLossBackend for Autodiff<B, C> {
    fn patch_loss(
        predictions: FloatTensor<Self>,
        images: FloatTensor<Self>,
        patches: IntTensor<Self>,
        plan: PatchLossPlan,
    ) -> FloatTensor<Self> {
        let (predictions, of_predictions) = predictions.into_parts();
        let (images, _) = images.into_parts();
        match PatchLossNode.prepare::<C>([of_predictions]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let [errors, loss] = B::patch_errors(predictions, images, patches, plan);
                node.finish(errors, loss)
            }
            OpsKind::UnTracked(node) => node.finish(B::patch_loss(predictions, images, patches, plan)),
        }
    }
}

/// FCMAE's loss, on the backend of its tensors.
pub(crate) fn patch_loss(
    predictions: Tensor<2>,
    images: Tensor<4>,
    patches: Tensor<1, Int>,
    plan: PatchLossPlan,
) -> Tensor<1> {
    let (predictions, images) = (predictions.into_dispatch(), images.into_dispatch());
    Tensor::from_dispatch(Dispatch::patch_loss(predictions, images, patches.into_dispatch(), plan))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bytes, DType};

    use super::*;
    use crate::ops::flex_slices::values_close;

    #[test]
    fn the_kernel_matches_the_reference() {
        let images = PatchedImages { channels: 3, height: 4, width: 6, patch: 2 };
        let values = |count: usize| -> Vec<f32> { (0..count).map(|i| (i as f32 * 0.7).sin()).collect() };
        let pixels = tensor(values(2 * 72), Shape::new([2, 3, 4, 6]));
        let predictions = tensor(values(36), Shape::new([3, 12]));
        let layout = burn::backend::flex::Layout::contiguous(Shape::new([3]));
        let patches = FlexTensor::new(Bytes::from_elems(vec![1_i32, 5, 9]), layout, DType::I32);
        for normalize in [false, true] {
            let plan = PatchLossPlan { images, normalize };
            let all = || (predictions.clone(), pixels.clone(), patches.clone());
            let (p, x, i) = all();
            let found = Flex::patch_errors(p, x, i, plan);
            let (p, x, i) = all();
            let expected = patch_errors_reference::<Flex>(p, x, i, plan);
            assert!(found.iter().zip(&expected).all(|(a, b)| values_close(a, b)), "{found:?} {expected:?}");

            let [errors, _] = found;
            let gradient = || tensor(vec![-1.5], Shape::new([1]));
            let found = Flex::patch_errors_backward(errors.clone(), gradient());
            let expected = patch_loss_backward_reference::<Flex>(errors, gradient());
            assert_eq!(found.as_slice::<f32>(), expected.as_slice::<f32>());
        }
    }
}
