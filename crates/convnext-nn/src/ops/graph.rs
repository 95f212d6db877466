//! What the operations' nodes in the graph share: gradients on their way to the parents, and the derivative
//! of a default body by automatic differentiation of that body alone.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend};

/// A tensor as the beginning of a graph of its own.
pub(crate) fn leaf<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<Autodiff<B>> {
    <Autodiff<B> as AutodiffBackend>::from_inner(tensor).require_grad()
}

/// The gradients of `leaves` when `output` has the gradient `output_gradient`.
pub(crate) fn pull_back<B: Backend>(
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

/// Hands each gradient to its parent, if that wants one.
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
