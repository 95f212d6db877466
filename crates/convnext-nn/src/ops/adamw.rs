//! AdamW's step of one parameter: every value is read and written once.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use convnext_kernels::AdamWStep;

use crate::ops::flex_slices::{contiguous, tensor};

/// AdamW's step, for every backend.
#[backend_extension(Flex)]
pub trait AdamWBackend: Backend {
    /// New values and moments from the old ones and the gradient, all of one shape.
    fn adamw(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        adamw_in_tensor_operations::<Self>(values, gradient, first, second, step)
    }
}

fn adamw_in_tensor_operations<B: Backend>(
    values: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    step: AdamWStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let AdamWStep { time, learning_rate, betas: [beta_1, beta_2], epsilon, weight_decay } = step;
    let time = i32::try_from(time).unwrap_or(i32::MAX);
    let scaled = |tensor, factor: f64| B::float_mul_scalar(tensor, factor.into());
    let squares = B::float_mul(gradient.clone(), gradient.clone());
    let first = B::float_add(scaled(first, beta_1), scaled(gradient, 1.0 - beta_1));
    let second = B::float_add(scaled(second, beta_2), scaled(squares, 1.0 - beta_2));
    let root = scaled(B::float_sqrt(second.clone()), (1.0 - beta_2.powi(time)).sqrt().recip());
    let direction = B::float_div(first.clone(), B::float_add_scalar(root, epsilon.into()));
    let change = scaled(direction, learning_rate / (1.0 - beta_1.powi(time)));
    let kept = scaled(values, 1.0 - learning_rate * weight_decay);
    (B::float_sub(kept, change), first, second)
}

/// The CPU backend runs the kernel on f32, in place where nobody else holds the values, and the default
/// body on other types.
impl AdamWBackend for Flex {
    fn adamw(
        values: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let shape = values.shape();
        let gradient = contiguous(gradient);
        let others = [&values, &first, &second];
        let Some(slopes) = gradient.as_slice().filter(|_| others.iter().all(|t| t.dtype() == DType::F32))
        else {
            return adamw_in_tensor_operations::<Self>(values, gradient, first, second, step);
        };
        let own = |tensor: FlexTensor| -> Vec<f32> {
            tensor.into_data().try_into_vec().unwrap_or_else(|_| unreachable!("the type was looked at"))
        };
        let [mut values, mut first, mut second] = [values, first, second].map(own);
        convnext_kernels::adamw(&mut values, slopes, [&mut first, &mut second], step);
        (tensor(values, shape.clone()), tensor(first, shape.clone()), tensor(second, shape))
    }
}

/// One step of a parameter's flat values and of its two moments.
pub fn adamw(
    values: Tensor<1>,
    gradient: Tensor<1>,
    moments: [Tensor<1>; 2],
    step: AdamWStep,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (values, first, second) =
        Dispatch::adamw(values.into_dispatch(), gradient.into_dispatch(), first, second, step);
    (Tensor::from_dispatch(values), [first, second].map(Tensor::from_dispatch))
}
