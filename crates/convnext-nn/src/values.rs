//! Tensors to host memory.

use burn::prelude::*;

/// The values of a tensor, row-major, as f32.
pub fn tensor_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec().unwrap_or_else(|error| unreachable!("the data was just made f32: {error:?}"))
}
