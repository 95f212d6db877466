//! Tensors of the CPU backend as the slices that kernels work on, and back, without copies.

use std::borrow::Cow;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{AllocationProperty, Bytes, DType, Shape};
use convnext_kernels::Buffer;

/// The same tensor with its values side by side.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a contiguous tensor to write to, if they are f32: its own where nobody else holds them,
/// or a copy that it owns from now on.
pub(crate) fn slice_mut(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let count = tensor.as_slice::<f32>()?.len();
    let start = tensor.layout().start_offset();
    tensor.storage_mut().get_mut(start..start + count)
}

/// A tensor that holds a buffer, and lets it be used again in the end.
pub(crate) fn buffer_tensor(values: Buffer, shape: Shape) -> FlexTensor {
    let bytes = Bytes::from_shared(bytes::Bytes::from_owner(values), AllocationProperty::Native);
    FlexTensor::new(bytes, Layout::contiguous(shape), DType::F32)
}

/// A tensor that owns these values.
pub(crate) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// The values of an index tensor that is contiguous.
pub(crate) fn indices(tensor: &FlexTensor) -> Option<Cow<'_, [i32]>> {
    if let Some(indices) = tensor.as_slice::<i32>() {
        return Some(Cow::Borrowed(indices));
    }
    let wide = tensor.as_slice::<i64>()?;
    wide.iter().map(|&index| i32::try_from(index).ok()).collect::<Option<Vec<i32>>>().map(Cow::Owned)
}

/// Whether two tensors have one shape and nearly the same values; for tests.
#[cfg(test)]
pub(crate) fn values_close(found: &FlexTensor, expected: &FlexTensor) -> bool {
    use burn::backend::TensorMetadata;
    let [a, b] = [found, expected].map(|tensor| contiguous(tensor.clone()));
    let (Some(x), Some(y)) = (a.as_slice::<f32>(), b.as_slice::<f32>()) else { return false };
    found.shape() == expected.shape() && x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-5)
}
