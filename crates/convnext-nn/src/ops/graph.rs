//! Helpers of the operations' autograd nodes: registering gradients with the parents, and the vector-Jacobian
//! product of a reference implementation by nested automatic differentiation.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend};

/// A tensor as a leaf of a new graph.
pub(crate) fn leaf<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<Autodiff<B>> {
    <Autodiff<B> as AutodiffBackend>::from_inner(tensor).require_grad()
}

/// The vector-Jacobian product: the gradients of `leaves` for the gradient of `output`.
pub(crate) fn vjp<B: Backend>(
    output: FloatTensor<Autodiff<B>>,
    output_gradient: FloatTensor<B>,
    leaves: &[FloatTensor<Autodiff<B>>],
) -> Vec<FloatTensor<B>> {
    let output_gradient = <Autodiff<B> as AutodiffBackend>::from_inner(output_gradient);
    let product = <Autodiff<B> as FloatTensorOps<Autodiff<B>>>::float_mul(output, output_gradient);
    let sum = <Autodiff<B> as FloatTensorOps<Autodiff<B>>>::float_sum(product);
    let mut gradients = <Autodiff<B> as AutodiffBackend>::backward(sum);
    let mut gradient = |leaf| {
        <Autodiff<B> as AutodiffBackend>::grad_remove(leaf, &mut gradients)
            .unwrap_or_else(|| unreachable!("every input of the operation reaches its output"))
    };
    leaves.iter().map(&mut gradient).collect()
}

/// Registers each gradient with its parent, if that requires one.
pub(crate) fn register<B: Backend, const N: usize>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; N],
    gradients: impl IntoIterator<Item = Option<FloatTensor<B>>>,
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let (Some(parent), Some(gradient)) = (parent, gradient) {
            grads.register::<B>(parent, gradient);
        }
    }
}
