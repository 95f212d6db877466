//! Convolution of dense maps, 3x3 with padding 1 or 1x1, forward and backward.
//!
//! A 3x3 convolution is a product of the nine neighbours of each site and the weight, `[9 C, O]`. The neighbours are read
//! where they lie, never copied nine-fold (no im2col). Parts are copied where registers are narrower than a cache line, by
//! the weight gradient, and by bf16, which packs the rows. A 1x1 convolution is a linear layer.
//!
//! Notation: R rows, the sites of all maps, C input and O output channels.
//!
//! **Same bits for any number of threads:** rows and channels are cut by shapes alone, and each value has one writer.

pub(crate) mod bf16;
pub(crate) mod taps;
pub(crate) mod weight_gradient;
pub(crate) mod weights;

use bytemuck::cast_slice;

use crate::bf16::packed::PackedBf16;
use crate::buffer::Buffer;
use crate::convolution::taps::{TAPS, TapRows, sites, steps};
use crate::dense_maps::DenseMaps;
use crate::element::Element;
use crate::gemm::epilogue::{Onto, Store};
use crate::linear::{PackedLinear, linear_backward_of_rows, linear_forward_onto};
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::precision::Precision;
use crate::profile::Kernel;
use crate::row_blocks::row_block_rows;
use crate::storage::Lane;
use crate::target::{Target, target};

/// The packed weight of a convolution, for [`convolution_forward`].
#[derive(Debug)]
pub struct PackedConvolution {
    /// C; bf16 pads the channels of a packed weight.
    inputs: usize,
    layer: PackedLayer,
}

#[derive(Debug)]
enum PackedLayer {
    Pointwise(PackedLinear),
    F32(Packed),
    Bf16(PackedBf16),
}

/// A weight `[O, C, 1, 1]` or `[O, C, 3, 3]`.
#[derive(Debug, Clone, Copy)]
pub struct ConvolutionWeight<'a> {
    /// Its values.
    pub values: &'a [f32],
    /// O.
    pub outputs: usize,
    /// C.
    pub inputs: usize,
}

/// Operation on the sums of a convolution.
#[derive(Debug, Clone, Copy)]
pub enum ConvolutionEpilogue<'a> {
    /// None.
    Plain,
    /// A bias `[O]` is added.
    Bias(&'a [f32]),
    /// A bias `[O]` is added, then ReLU: batch norm with running statistics whose scale is folded into the weight.
    BiasRelu(&'a [f32]),
}

/// The gradients of a convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvolutionGradients {
    /// Of the input, `[R, C]`, if it was requested.
    pub rows: Option<Buffer>,
    /// `[O, C, k, k]`.
    pub weight: Buffer,
}

impl ConvolutionWeight<'_> {
    /// `true` for a 1x1 kernel; checks the sizes.
    fn is_pointwise(&self) -> bool {
        let count = self.outputs * self.inputs;
        assert!(count > 0, "the convolution has input and output channels");
        assert!(self.values.len() == count || self.values.len() == TAPS * count, "the kernel is 1x1 or 3x3");
        self.values.len() == count
    }
}

impl<'a> ConvolutionEpilogue<'a> {
    fn onto(self, outputs: usize) -> Onto<'a> {
        match self {
            Self::Plain => Onto::Nothing,
            Self::Bias(bias) | Self::BiasRelu(bias) => {
                assert_eq!(bias.len(), outputs, "there is a bias for each output channel");
                if matches!(self, Self::Bias(_)) { Onto::Bias(bias) } else { Onto::BiasRelu(bias) }
            }
        }
    }
}

impl PackedConvolution {
    /// Packs a weight. The result can be reused until the weight changes.
    ///
    /// # Panics
    /// When the sizes do not fit each other.
    pub fn new(weight: &ConvolutionWeight<'_>, precision: Precision) -> Self {
        Self::on(target(), weight, precision)
    }

    fn on(Target { arch, bf16 }: Target, weight: &ConvolutionWeight<'_>, precision: Precision) -> Self {
        let layer = match (weight.is_pointwise(), precision) {
            (true, _) => PackedLayer::Pointwise(PackedLinear::new(weight.values, weight.outputs, precision)),
            (false, Precision::F32) => PackedLayer::F32(arch.pack_taps(weight.values, weight.outputs)),
            (false, Precision::Bf16) => PackedLayer::Bf16(bf16.pack_taps(weight.values, weight.outputs)),
        };
        Self { inputs: weight.inputs, layer }
    }
}

/// The convolution of rows `[R, C]` and its epilogue: `[R, O]`.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn convolution_forward(
    rows: &[f32],
    maps: &DenseMaps,
    packed: &PackedConvolution,
    epilogue: ConvolutionEpilogue<'_>,
) -> Buffer {
    forward(target(), rows, maps, packed, epilogue)
}

/// The gradients of [`convolution_forward`] without epilogue for an output gradient `[R, O]`. The gradient of a bias is
/// [`crate::column_sums`].
///
/// # Panics
/// When the sizes do not fit each other.
pub fn convolution_backward(
    (rows, maps): (&[f32], &DenseMaps),
    weight: &ConvolutionWeight<'_>,
    precision: Precision,
    dout: &[f32],
    wants_rows: bool,
) -> ConvolutionGradients {
    backward(target(), (rows, maps), (weight, precision), dout, wants_rows)
}

fn forward(
    Target { arch, bf16 }: Target,
    rows: &[f32],
    maps: &DenseMaps,
    PackedConvolution { inputs, layer }: &PackedConvolution,
    epilogue: ConvolutionEpilogue<'_>,
) -> Buffer {
    assert_eq!(rows.len(), maps.rows() * inputs, "the rows are [R, C]");
    match layer {
        PackedLayer::Pointwise(packed) => {
            linear_forward_onto(Target { arch, bf16 }, rows, packed, epilogue.onto(packed.outputs()))
        }
        PackedLayer::F32(right) => {
            let rows = Matrix::new(rows, maps.rows(), *inputs);
            forward_in(arch, Kernel::ConvolutionForward, (rows, maps), right, epilogue)
        }
        PackedLayer::Bf16(right) => {
            let rows = Matrix::new(rows, maps.rows(), *inputs);
            forward_in(bf16, Kernel::ConvolutionForward, (rows, maps), right, epilogue)
        }
    }
}

/// A 3x3 convolution in an element type, which may pad the channels of rows and weight.
fn forward_in<E: Element>(
    element: E,
    kernel: Kernel,
    (rows, maps): (Matrix<'_>, &DenseMaps),
    right: &E::Packed,
    epilogue: ConvolutionEpilogue<'_>,
) -> Buffer {
    let [inner, outputs] = E::shape(right);
    let channels = inner / TAPS;
    let onto = epilogue.onto(outputs);
    let mut out = Buffer::take(maps.rows() * outputs);
    let packed = element.pack_tap_rows(rows.values, rows.columns);
    let lanes: &[E::Lane] = cast_slice(packed.as_deref().unwrap_or(rows.values));
    let zeros = vec![bytemuck::Zeroable::zeroed(); E::Lane::count(channels)];
    let (steps, mc) = (steps(maps), row_block_rows(maps.rows()));
    parallel::for_each(out.chunks_mut(mc * outputs).enumerate(), |(block, out)| {
        let sites = sites(maps, block * mc..block * mc + out.len() / outputs);
        let left = TapRows { rows: lanes, zeros: &zeros, steps: &steps, sites: &sites };
        element.gemm_taps(kernel, left, right, &mut Store { out, columns: outputs, onto });
    });
    out
}

fn backward(
    Target { arch, bf16 }: Target,
    (rows, maps): (&[f32], &DenseMaps),
    (weight, precision): (&ConvolutionWeight<'_>, Precision),
    dout: &[f32],
    wants_rows: bool,
) -> ConvolutionGradients {
    assert_eq!(rows.len(), maps.rows() * weight.inputs, "the rows are [R, C]");
    assert_eq!(dout.len(), maps.rows() * weight.outputs, "the output gradient is [R, O]");
    if weight.is_pointwise() {
        let weight = Matrix::new(weight.values, weight.outputs, weight.inputs);
        let (rows, weight) =
            linear_backward_of_rows(Target { arch, bf16 }, rows, (weight, precision), dout, wants_rows);
        let mut dweight = Buffer::take(weight.len());
        dweight.copy_from_slice(&weight);
        return ConvolutionGradients { rows, weight: dweight };
    }
    match precision {
        Precision::F32 => backward_in(arch, (rows, maps), weight, dout, wants_rows),
        Precision::Bf16 => backward_in(bf16, (rows, maps), weight, dout, wants_rows),
    }
}

/// [`backward`] of a 3x3 convolution in an element type.
fn backward_in<E: Element>(
    element: E,
    (rows, maps): (&[f32], &DenseMaps),
    weight: &ConvolutionWeight<'_>,
    dout: &[f32],
    wants_rows: bool,
) -> ConvolutionGradients {
    let ConvolutionWeight { values, outputs, inputs } = *weight;
    let [rows, dout] =
        [(rows, inputs), (dout, outputs)].map(|(v, columns)| Matrix::new(v, maps.rows(), columns));
    let drows = wants_rows.then(|| {
        let right = element.pack_rotated_taps(values, outputs);
        let kernel = Kernel::ConvolutionInputGradient;
        forward_in(element, kernel, (dout, maps), &right, ConvolutionEpilogue::Plain)
    });
    let weight = match maps.rows() {
        0 => zeros(values.len()),
        _ => element.tap_weight_gradient(maps, rows, dout),
    };
    ConvolutionGradients { rows: drows, weight }
}

fn zeros(count: usize) -> Buffer {
    let mut values = Buffer::take(count);
    values.fill(0.0);
    values
}

#[cfg(test)]
mod tests;
