//! A fused AdamW step of one parameter: every value is read and written once.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use convnext_kernels::AdamWStep;

use crate::ops::flex_slices::{contiguous, slice_mut};

/// A step of AdamW, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub trait AdamWBackend: Backend {
    /// New values and moments from the old ones and the gradient, all of one shape.
    fn adamw(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        adamw_reference::<Self>(values, gradient, first, second, step)
    }
}

fn adamw_reference<B: Backend>(
    values: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    step: AdamWStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let AdamWStep { step: time, learning_rate, betas: [beta_1, beta_2], epsilon, weight_decay } = step;
    let time = i32::try_from(time).unwrap_or(i32::MAX);
    let scaled = |tensor, factor: f64| B::float_mul_scalar(tensor, factor.into());
    let squares = B::float_mul(gradient.clone(), gradient.clone());
    let first = B::float_add(scaled(first, beta_1), scaled(gradient, 1.0 - beta_1));
    let second = B::float_add(scaled(second, beta_2), scaled(squares, 1.0 - beta_2));
    let root = scaled(B::float_sqrt(second.clone()), (1.0 - beta_2.powi(time)).sqrt().recip());
    let direction = B::float_div(first.clone(), B::float_add_scalar(root, epsilon.into()));
    let change = scaled(direction, learning_rate / (1.0 - beta_1.powi(time)));
    let decayed = scaled(values, 1.0 - learning_rate * weight_decay);
    (B::float_sub(decayed, change), first, second)
}

/// The CPU backend runs the kernel on f32, in place where the tensor is not shared, and the reference
/// implementation on other types.
impl AdamWBackend for Flex {
    fn adamw(
        values: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = contiguous(gradient);
        let [mut values, mut first, mut second] = [values, first, second].map(contiguous);
        let slices = (slice_mut(&mut values), slice_mut(&mut first), slice_mut(&mut second));
        if let (Some(values), Some(first), Some(second)) = slices
            && let Some(gradient) = gradient.as_slice()
        {
            convnext_kernels::adamw(values, gradient, [first, second], step);
        } else {
            return adamw_reference::<Self>(values, gradient, first, second, step);
        }
        (values, first, second)
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

#[cfg(test)]
mod tests {
    use burn::tensor::Shape;

    use super::*;
    use crate::ops::flex_slices::tensor;

    #[test]
    fn the_kernel_matches_the_reference() {
        let values = |factor: f32| -> Vec<f32> { (0..50).map(|i| factor * (i as f32 - 20.5)).collect() };
        let own = |values: Vec<f32>| tensor(values, Shape::new([50]));
        let [mut found, mut expected] =
            [(); 2].map(|()| (own(values(0.1)), own(vec![0.0; 50]), own(vec![0.0; 50])));
        for time in 1..=3 {
            let step = AdamWStep {
                step: time,
                learning_rate: 0.01,
                betas: [0.9, 0.95],
                epsilon: 1e-8,
                weight_decay: 0.1,
            };
            let gradient = || own(values(0.3 / time as f32));
            let (a, b, c) = found;
            found = Flex::adamw(a, gradient(), b, c, step);
            let (a, b, c) = expected;
            expected = adamw_reference::<Flex>(a, gradient(), b, c, step);
        }
        let pairs = [(&found.0, &expected.0), (&found.1, &expected.1), (&found.2, &expected.2)];
        for (found, expected) in pairs {
            let [found, expected] = [found, expected].map(|tensor| tensor.as_slice::<f32>().unwrap());
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn shared_values_are_copied_on_write() {
        let own = |value: f32| tensor(vec![value; 5], Shape::new([5]));
        let before = own(1.0);
        let step =
            AdamWStep { step: 1, learning_rate: 0.1, betas: [0.9, 0.95], epsilon: 1e-8, weight_decay: 0.0 };
        let (after, ..) = Flex::adamw(before.clone(), own(2.0), own(0.0), own(0.0), step);
        assert_eq!(before.as_slice::<f32>().unwrap(), [1.0; 5]);
        assert!(after.as_slice::<f32>().unwrap().iter().all(|value| (value - 0.9).abs() < 1e-6));
    }
}
