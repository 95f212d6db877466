//! The reference implementations in the place of kernels: every backend has them, and they run every plan on
//! tensors of every element type.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};
use burn::tensor::{DType, Shape};

use crate::ops::block_plan::{BlockGradients, BlockParameters, BlockPlan, Placement};
use crate::ops::block_reference::block_reference;
use crate::ops::graph::{leaf, vjp};
use crate::ops::kernels::{BlockKernels, LinearKernels};
use crate::ops::linear_plan::LinearPlan;
use crate::ops::reference::{linear_reference, weight_matrix};
use crate::ops::saved_bytes::tensor_bytes;

/// The reference implementations. Of a forward they save the rows only.
#[derive(Debug)]
pub struct Reference;

impl<B: Backend> BlockKernels<B> for Reference {
    type Saved = FloatTensor<B>;

    fn supports(_plan: &BlockPlan, _dtype: DType) -> bool {
        true
    }

    fn forward(
        rows: FloatTensor<B>,
        parameters: BlockParameters<B>,
        placement: Placement<B>,
        plan: &BlockPlan,
    ) -> FloatTensor<B> {
        block_reference::<B>(rows, parameters, placement, plan)
    }

    fn forward_saving(
        rows: FloatTensor<B>,
        parameters: BlockParameters<B>,
        placement: Placement<B>,
        plan: &BlockPlan,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        (block_reference::<B>(rows.clone(), parameters, placement, plan), rows)
    }

    /// Recomputes the block under a nested automatic differentiation.
    fn backward(
        rows: FloatTensor<B>,
        parameters: BlockParameters<B>,
        placement: Placement<B>,
        plan: &BlockPlan,
        output_gradient: FloatTensor<B>,
    ) -> BlockGradients<B> {
        let rows = leaf::<B>(rows);
        let parameters: BlockParameters<Autodiff<B>> = parameters.map(leaf::<B>);
        let leaves = [vec![rows.clone()], parameters.clone().into_tensors()].concat();
        let output = block_reference::<Autodiff<B>>(rows, parameters.clone(), placement.convert(), plan);
        let mut gradients = vjp::<B>(output, output_gradient, &leaves).into_iter();
        let mut next = || gradients.next().unwrap_or_else(|| unreachable!("one gradient for each leaf"));
        BlockGradients { rows: next(), parameters: parameters.map(|_| next()) }
    }

    fn saved_bytes(rows: &FloatTensor<B>) -> usize {
        tensor_bytes(rows)
    }
}

impl<B: Backend> LinearKernels<B> for Reference {
    type Saved = FloatTensor<B>;

    fn supports(_plan: &LinearPlan, _dtype: DType) -> bool {
        true
    }

    fn forward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        _plan: &LinearPlan,
    ) -> FloatTensor<B> {
        linear_reference::<B>(rows, weight, bias)
    }

    fn forward_saving(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        _plan: &LinearPlan,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        (linear_reference::<B>(rows.clone(), weight, bias), rows)
    }

    fn backward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        dout: FloatTensor<B>,
        wants_rows: bool,
    ) -> (Option<FloatTensor<B>>, [FloatTensor<B>; 2]) {
        let shape = weight.shape();
        let outputs = shape[0];
        let drows = wants_rows.then(|| B::float_matmul(dout.clone(), weight_matrix::<B>(weight)));
        let dweight = B::float_reshape(B::float_matmul(B::float_swap_dims(dout.clone(), 0, 1), rows), shape);
        let dbias = B::float_reshape(B::float_sum_dim(dout, 0), Shape::new([outputs]));
        (drows, [dweight, dbias])
    }
}
