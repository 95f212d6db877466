//! Conversions between tensors of the CPU backend and slices, without copies.

use std::borrow::Cow;
use std::sync::Arc;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{AllocationProperty, Bytes, DType, Shape};
use convnext_kernels::Buffer;

/// The tensor in contiguous memory.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a contiguous tensor of f32.
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| unreachable!("kernels support f32 only"))
}

/// A tensor's memory and how it is read, equal to that of its clones until one of them is written to: tensors copy on write,
/// and this shares it. A transposed view has the same memory, but other values at a place.
pub(crate) struct Memory {
    bytes: Arc<Bytes>,
    layout: Layout,
}

impl Memory {
    /// The memory of this tensor.
    pub(crate) fn of(tensor: &FlexTensor) -> Self {
        Self { bytes: tensor.data_arc(), layout: tensor.layout().clone() }
    }
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes) && self.layout == other.layout
    }
}

/// The values of a contiguous tensor for writing, if they are f32: copied first if the tensor is shared.
pub(crate) fn slice_mut(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let count = tensor.as_slice::<f32>()?.len();
    let start = tensor.layout().start_offset();
    tensor.storage_mut().get_mut(start..start + count)
}

/// A tensor that owns a pooled buffer, which returns to the pool when it is dropped.
pub(crate) fn buffer_tensor(values: Buffer, shape: Shape) -> FlexTensor {
    let bytes = Bytes::from_shared(bytes::Bytes::from_owner(values), AllocationProperty::Native);
    FlexTensor::new(bytes, Layout::contiguous(shape), DType::F32)
}

/// A tensor that owns these values.
pub(crate) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// The values of a contiguous index tensor, as i32.
pub(crate) fn as_indices(tensor: &FlexTensor) -> Option<Cow<'_, [i32]>> {
    if let Some(indices) = tensor.as_slice::<i32>() {
        return Some(Cow::Borrowed(indices));
    }
    let wide = tensor.as_slice::<i64>()?;
    wide.iter().map(|&index| i32::try_from(index).ok()).collect::<Option<Vec<i32>>>().map(Cow::Owned)
}

/// `true` if two tensors have the same shape and values to within 1e-5; for tests.
#[cfg(test)]
pub(crate) fn values_close(found: &FlexTensor, expected: &FlexTensor) -> bool {
    use burn::backend::TensorMetadata;
    let [a, b] = [found, expected].map(|tensor| contiguous(tensor.clone()));
    let (Some(x), Some(y)) = (a.as_slice::<f32>(), b.as_slice::<f32>()) else { return false };
    found.shape() == expected.shape() && x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-5)
}
