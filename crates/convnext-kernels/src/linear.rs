//! A linear layer on rows, forward and backward: stem, downsampling, projection, prediction and head.
//!
//! Notation: R rows, I input and O output features.

use bytemuck::cast_slice;

use crate::bf16::implementation::bf16;
use crate::bf16::packed::PackedBf16;
use crate::bf16::rows::pack_rows;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::gemm::epilogue::{Epilogue, Onto, Store};
use crate::isa::isa;
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::precision::Precision;
use crate::profile::Kernel;
use crate::row_blocks::{column_sums, row_block_rows};
use crate::target::{Target, target};

/// The gradients of a linear layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearGradients {
    /// Of the input, `[R, I]`, if it was requested.
    pub rows: Option<Buffer>,
    /// `[O, I]`.
    pub weight: Vec<f32>,
    /// `[O]`.
    pub bias: Vec<f32>,
}

/// The packed weight of a linear layer, for [`linear_forward`].
#[derive(Debug)]
pub struct PackedLinear(PackedLayer);

#[derive(Debug)]
enum PackedLayer {
    F32(Packed),
    Bf16(PackedBf16),
}

impl PackedLinear {
    /// Packs a weight `[O, I]`. The result can be reused until the weight changes.
    ///
    /// # Panics
    /// When the sizes do not fit each other.
    pub fn new(weight: &[f32], outputs: usize, precision: Precision) -> Self {
        let matrix = Matrix::new(weight, outputs, inputs_of(weight, outputs)).transposed();
        Self(match precision {
            Precision::F32 => PackedLayer::F32(Packed::new(isa(), matrix)),
            Precision::Bf16 => PackedLayer::Bf16(PackedBf16::new(bf16(), matrix)),
        })
    }

    pub(crate) fn outputs(&self) -> usize {
        match &self.0 {
            PackedLayer::F32(packed) => packed.columns,
            PackedLayer::Bf16(packed) => packed.columns,
        }
    }
}

/// The input that a bf16 linear layer saves for its backward, row-packed.
#[derive(Debug, Clone)]
pub struct SavedLinear(Buffer);

impl SavedLinear {
    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len() * size_of::<f32>()
    }
}

/// `rows weight^T + bias`: `[R, I]` to `[R, O]`, with a packed weight `[O, I]` and a bias `[O]`. With `save`
/// a bf16 layer also returns the input that [`linear_backward`] takes in place of the rows.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn linear_forward(
    rows: &[f32],
    packed: &PackedLinear,
    bias: &[f32],
    save: bool,
) -> (Buffer, Option<SavedLinear>) {
    forward(target(), rows, packed, bias, save)
}

/// The input of a linear layer.
#[derive(Debug, Clone, Copy)]
pub enum LinearInput<'a> {
    /// The rows, for a backward in f32.
    Rows(&'a [f32]),
    /// The input that the forward saved, for a backward in bf16.
    Bf16(&'a SavedLinear),
}

/// The gradients of [`linear_forward`] for an output gradient `[R, O]`, in the precision of the input. The
/// first layer of a network needs no gradient of its rows.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn linear_backward(
    input: LinearInput<'_>,
    weight: &[f32],
    outputs: usize,
    dout: &[f32],
    wants_rows: bool,
) -> LinearGradients {
    let weight = Matrix::new(weight, outputs, inputs_of(weight, outputs));
    backward(target(), input, weight, dout, wants_rows)
}

fn forward(
    target @ Target { bf16, .. }: Target,
    rows: &[f32],
    packed: &PackedLinear,
    bias: &[f32],
    save: bool,
) -> (Buffer, Option<SavedLinear>) {
    assert_eq!(bias.len(), packed.outputs(), "there is a bias for each output");
    let saved = match &packed.0 {
        PackedLayer::F32(_) => None,
        PackedLayer::Bf16(right) => save.then(|| SavedLinear(pack_rows(bf16, rows, right.inner))),
    };
    (linear_forward_onto(target, rows, packed, Onto::Bias(bias)), saved)
}

/// `rows weight^T` onto something.
pub(crate) fn linear_forward_onto(
    Target { arch, bf16 }: Target,
    rows: &[f32],
    PackedLinear(layer): &PackedLinear,
    onto: Onto<'_>,
) -> Buffer {
    match layer {
        PackedLayer::F32(right) => forward_in(arch, rows, right, onto),
        PackedLayer::Bf16(right) => forward_in(bf16, rows, right, onto),
    }
}

/// [`linear_forward_onto`] in an element type.
fn forward_in<E: Element>(element: E, rows: &[f32], right: &E::Packed, onto: Onto<'_>) -> Buffer {
    let [inputs, outputs] = E::shape(right);
    let mut out = Buffer::take(count_rows(rows, inputs) * outputs);
    by_row_block(rows, &mut out, [inputs, outputs], |rows, out| {
        let mut epilogue = Store { out, columns: outputs, onto };
        multiply(element, Kernel::GemmForward, rows, right, &mut epilogue);
    });
    out
}

fn backward(
    Target { arch, bf16 }: Target,
    input: LinearInput<'_>,
    weight: Matrix<'_>,
    dout: &[f32],
    wants_rows: bool,
) -> LinearGradients {
    match input {
        LinearInput::Rows(rows) => {
            let count = count_rows(dout, weight.rows);
            assert_eq!(rows.len(), count * weight.columns, "there is an output gradient for each row");
            backward_in(arch, rows, weight, dout, wants_rows)
        }
        LinearInput::Bf16(SavedLinear(rows)) => backward_in(bf16, rows, weight, dout, wants_rows),
    }
}

/// The gradients of rows, if requested, and weight, from the rows of the input in either precision.
pub(crate) fn linear_backward_of_rows(
    Target { arch, bf16 }: Target,
    rows: &[f32],
    (weight, precision): (Matrix<'_>, Precision),
    dout: &[f32],
    wants_rows: bool,
) -> (Option<Buffer>, Vec<f32>) {
    match precision {
        Precision::F32 => gradients_in(arch, rows, weight, dout, wants_rows),
        Precision::Bf16 => {
            gradients_in(bf16, &pack_rows(bf16, rows, weight.columns), weight, dout, wants_rows)
        }
    }
}

/// [`backward`] in an element type.
fn backward_in<E: Element>(
    element: E,
    input: &[f32],
    weight: Matrix<'_>,
    dout: &[f32],
    wants_rows: bool,
) -> LinearGradients {
    let outputs = weight.rows;
    let (rows, weight) = gradients_in(element, input, weight, dout, wants_rows);
    LinearGradients { rows, weight, bias: column_sums(dout, outputs) }
}

/// The gradients of rows and weight in an element type, from the input as a side of the weight gradient.
fn gradients_in<E: Element>(
    element: E,
    input: &[f32],
    weight: Matrix<'_>,
    dout: &[f32],
    wants_rows: bool,
) -> (Option<Buffer>, Vec<f32>) {
    let (outputs, inputs) = (weight.rows, weight.columns);
    let count = count_rows(dout, outputs);
    let drows = wants_rows.then(|| {
        let right = element.pack(weight);
        let mut drows = Buffer::take(count * inputs);
        by_row_block(dout, &mut drows, [outputs, inputs], |dout, drows| {
            let mut epilogue = Store { out: drows, columns: inputs, onto: Onto::Nothing };
            multiply(element, Kernel::GemmInputGradient, dout, &right, &mut epilogue);
        });
        drows
    });
    let packed = element.pack_side(dout, outputs);
    let sides = [cast_slice(packed.as_deref().unwrap_or(dout)), cast_slice(input)];
    let mut dweight = vec![0.0; outputs * inputs];
    element.gemm_tn_accumulate(sides, [outputs, inputs], &mut dweight);
    (drows, dweight)
}

/// Runs `work` on row blocks of an input and an output, of so many columns each.
fn by_row_block(
    input: &[f32],
    out: &mut [f32],
    [inputs, outputs]: [usize; 2],
    work: impl Fn(&[f32], &mut [f32]) + Sync,
) {
    let mc = row_block_rows(input.len() / inputs);
    let row_blocks = input.chunks(mc * inputs).zip(out.chunks_mut(mc * outputs));
    parallel::for_each(row_blocks, |(input, out)| work(input, out));
}

/// `rows right`, given to `epilogue`.
fn multiply<E: Element>(
    element: E,
    kernel: Kernel,
    rows: &[f32],
    right: &E::Packed,
    epilogue: &mut impl Epilogue<E::Lane>,
) {
    let packed = element.pack_left(rows, E::shape(right)[0]);
    element.gemm(kernel, cast_slice(packed.as_deref().unwrap_or(rows)), right, epilogue);
}

fn inputs_of(weight: &[f32], outputs: usize) -> usize {
    assert!(outputs > 0 && !weight.is_empty(), "the layer has inputs and outputs");
    assert!(weight.len().is_multiple_of(outputs), "the weight is [O, I]");
    weight.len() / outputs
}

fn count_rows(rows: &[f32], inputs: usize) -> usize {
    assert!(rows.len().is_multiple_of(inputs), "the rows are [R, features]");
    rows.len() / inputs
}

#[cfg(test)]
mod tests;
