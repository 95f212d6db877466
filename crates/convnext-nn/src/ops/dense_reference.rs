//! The reference implementations of the operations on dense maps: convolution, batch norm, resampling.
//!
//! Notation: N images, H x W their maps, R rows, I input and O output channels, C channels.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Shape, TensorData};

use crate::ops::convolution_plan::{ConvolutionGradients, ConvolutionPlan, Epilogue, WantedGradients};
use crate::ops::graph::{leaf, vjp};
use crate::ops::kernels::{BatchNormKernels, ConvolutionKernels, ResampleKernels};
use crate::ops::reference::{BATCH_NORM_EPSILON, weight_matrix};
use crate::ops::reference_kernels::Reference;
use crate::ops::resample_plan::{ResamplePlan, Resampling, TAPS};

impl<B: Backend> ConvolutionKernels<B> for Reference {
    type Saved = FloatTensor<B>;

    fn supports(_plan: &ConvolutionPlan, _dtype: DType) -> bool {
        true
    }

    fn forward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        epilogue: Epilogue<B>,
        plan: &ConvolutionPlan,
    ) -> FloatTensor<B> {
        epilogue_reference::<B>(convolve::<B>(rows, weight, plan), epilogue)
    }

    fn forward_saving(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Option<FloatTensor<B>>,
        plan: &ConvolutionPlan,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let epilogue = bias.map_or(Epilogue::Plain, |bias| Epilogue::Bias { bias });
        (epilogue_reference::<B>(convolve::<B>(rows.clone(), weight, plan), epilogue), rows)
    }

    /// Convolves again under a nested automatic differentiation.
    fn backward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        dout: FloatTensor<B>,
        wanted: WantedGradients,
        plan: &ConvolutionPlan,
    ) -> ConvolutionGradients<B> {
        let bias = wanted.bias.then(|| channel_sums::<B>(dout.clone()));
        let weight = leaf::<B>(weight);
        let rows = if wanted.rows { leaf::<B>(rows) } else { FloatTensor::<Autodiff<B>>::new(rows) };
        let mut leaves = vec![weight.clone()];
        leaves.extend(wanted.rows.then(|| rows.clone()));
        let output = convolve::<Autodiff<B>>(rows, weight, plan);
        let mut gradients = vjp::<B>(output, dout, &leaves).into_iter();
        let weight = gradients.next().unwrap_or_else(|| unreachable!("one gradient for each leaf"));
        ConvolutionGradients { rows: gradients.next(), weight, bias }
    }
}

/// The sums of a convolution: `[N H W, I]` to `[N H' W', O]`.
fn convolve<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    plan: &ConvolutionPlan,
) -> FloatTensor<B> {
    if plan.is_pointwise() {
        return B::float_matmul(rows, B::float_swap_dims(weight_matrix::<B>(weight), 0, 1));
    }
    let ([height, width], inputs) = (plan.input, rows.shape()[1]);
    let ([output_height, output_width], outputs) = (plan.output(), weight.shape()[0]);
    let map = B::float_reshape(rows, Shape::new([plan.images, height, width, inputs]));
    let options = ConvOptions::new(plan.stride, plan.padding, [1, 1], 1);
    let map = B::conv2d(B::float_permute(map, &[0, 3, 1, 2]), weight, None, options);
    let shape = Shape::new([plan.images * output_height * output_width, outputs]);
    B::float_reshape(B::float_permute(map, &[0, 2, 3, 1]), shape)
}

/// An epilogue on sums `[R, O]`.
pub(crate) fn epilogue_reference<B: Backend>(sums: FloatTensor<B>, epilogue: Epilogue<B>) -> FloatTensor<B> {
    let row = Shape::new([1, sums.shape()[1]]);
    let row = |values| B::float_reshape(values, row.clone());
    match epilogue {
        Epilogue::Plain => sums,
        Epilogue::Bias { bias } => B::float_add(sums, row(bias)),
        Epilogue::BatchNormRelu { weight, bias, mean, variance } => {
            let deviation = B::float_sqrt(B::float_add_scalar(variance, BATCH_NORM_EPSILON.into()));
            let scale = B::float_div(weight, deviation);
            let shift = B::float_sub(bias, B::float_mul(mean, scale.clone()));
            B::relu(B::float_add(B::float_mul(sums, row(scale)), row(shift)))
        }
    }
}

/// The sum of each column: `[R, C]` to `[C]`.
fn channel_sums<B: Backend>(rows: FloatTensor<B>) -> FloatTensor<B> {
    let channels = rows.shape()[1];
    B::float_reshape(B::float_sum_dim(rows, 0), Shape::new([channels]))
}

/// Rows of zero mean and unit variance, before scale and shift, and the inverse of the deviation `[1, C]`.
fn normalise<B: Backend>(
    rows: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
) -> [FloatTensor<B>; 2] {
    let row = Shape::new([1, rows.shape()[1]]);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, BATCH_NORM_EPSILON.into()));
    let inverse = B::float_reshape(B::float_recip(deviation), row.clone());
    let centred = B::float_sub(rows, B::float_reshape(mean, row));
    [B::float_mul(centred, inverse.clone()), inverse]
}

impl<B: Backend> BatchNormKernels<B> for Reference {
    fn supports(_dtype: DType) -> bool {
        true
    }

    fn forward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        has_relu: bool,
    ) -> (FloatTensor<B>, [FloatTensor<B>; 2]) {
        let (channels, row) = (Shape::new([rows.shape()[1]]), Shape::new([1, rows.shape()[1]]));
        let mean = B::float_mean_dim(rows.clone(), 0);
        let centred = B::float_sub(rows.clone(), mean.clone());
        let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred), 0);
        let [mean, variance] = [mean, variance].map(|sums| B::float_reshape(sums, channels.clone()));
        let [normalised, _] = normalise::<B>(rows, mean.clone(), variance.clone());
        let [weight, bias] = [weight, bias].map(|values| B::float_reshape(values, row.clone()));
        let output = B::float_add(B::float_mul(normalised, weight), bias);
        (if has_relu { B::relu(output) } else { output }, [mean, variance])
    }

    /// With `x` the normalised rows and `d` the output gradient, with ReLU where the output is above 0 alone, over R rows:
    /// `drows = weight / deviation * (d - sum(d) / R - x * sum(d * x) / R)`.
    fn backward(
        rows: FloatTensor<B>,
        [weight, bias]: [FloatTensor<B>; 2],
        [mean, variance]: [FloatTensor<B>; 2],
        dout: FloatTensor<B>,
        has_relu: bool,
    ) -> [FloatTensor<B>; 3] {
        let (count, channels, dtype) = (rows.shape()[0] as f64, rows.shape()[1], rows.dtype());
        let row = |values| B::float_reshape(values, Shape::new([1, channels]));
        let [x, inverse] = normalise::<B>(rows, mean, variance);
        let d = if has_relu {
            let output = B::float_add(B::float_mul(x.clone(), row(weight.clone())), row(bias));
            let active = B::float_greater_elem(output, 0.0.into(), burn::tensor::BoolDType::Native);
            B::float_mul(dout, B::bool_into_float(active, dtype.into()))
        } else {
            dout
        };
        let dbias = channel_sums::<B>(d.clone());
        let dweight = channel_sums::<B>(B::float_mul(d.clone(), x.clone()));
        let mean_of = |sums: &FloatTensor<B>| row(B::float_div_scalar(sums.clone(), count.into()));
        let correction = B::float_add(B::float_mul(x, mean_of(&dweight)), mean_of(&dbias));
        let scale = B::float_mul(row(weight), inverse);
        [B::float_mul(B::float_sub(d, correction), scale), dweight, dbias]
    }
}

impl<B: Backend> ResampleKernels<B> for Reference {
    fn supports(_plan: &ResamplePlan, _dtype: DType) -> bool {
        true
    }

    fn forward(rows: FloatTensor<B>, onto: Option<FloatTensor<B>>, plan: &ResamplePlan) -> FloatTensor<B> {
        let matrices = axis_matrices::<B>(&rows, plan);
        let rows = match plan.rule {
            Resampling::BilinearTaps => exchange_sides::<B>(rows, plan, Sides::OfLines),
            _ => rows,
        };
        let resampled = along_axes::<B>(rows, plan.images, plan.input, matrices);
        match onto {
            None => resampled,
            Some(onto) => B::float_add(onto, resampled),
        }
    }

    fn backward(dout: FloatTensor<B>, plan: &ResamplePlan) -> FloatTensor<B> {
        let matrices = axis_matrices::<B>(&dout, plan).map(|matrix| B::float_swap_dims(matrix, 1, 2));
        let rows = along_axes::<B>(dout, plan.images, plan.output, matrices);
        match plan.rule {
            Resampling::BilinearTaps => exchange_sides::<B>(rows, plan, Sides::OfCells),
            _ => rows,
        }
    }
}

/// The order of the rows of maps with 3 x 3 sites to a cell.
#[derive(Clone, Copy)]
enum Sides {
    /// (image, y, x).
    OfLines,
    /// (image, cell, y, x).
    OfCells,
}

/// The rows of a plan's input maps in the wanted order, from the other one.
fn exchange_sides<B: Backend>(rows: FloatTensor<B>, plan: &ResamplePlan, wanted: Sides) -> FloatTensor<B> {
    let (shape, [height, width]) = (rows.shape(), plan.input.map(|side| side / TAPS));
    // The columns of cells, and the lines within a cell, change places.
    let sides = match wanted {
        Sides::OfLines => [width, TAPS],
        Sides::OfCells => [TAPS, width],
    };
    let parts = Shape::new([plan.images * height, sides[0], sides[1], TAPS * shape[1]]);
    B::float_reshape(B::float_swap_dims(B::float_reshape(rows, parts), 1, 2), shape)
}

/// The matrix of each axis, `[1, output, input]`, in the element type and on the device of a tensor.
fn axis_matrices<B: Backend>(like: &FloatTensor<B>, plan: &ResamplePlan) -> [FloatTensor<B>; 2] {
    std::array::from_fn(|axis| {
        let (input, output) = (plan.input[axis], plan.output[axis]);
        let data = TensorData::new(plan.rule.matrix(input, output), [1, output, input]);
        B::float_from_data(data.convert_dtype(like.dtype()), &like.device())
    })
}

/// Maps `[N H W, C]` multiplied by a matrix `[1, H', H]` along their height and one `[1, W', W]` along their width: `[N
/// H' W', C]`.
fn along_axes<B: Backend>(
    rows: FloatTensor<B>,
    images: usize,
    [height, width]: [usize; 2],
    [vertical, horizontal]: [FloatTensor<B>; 2],
) -> FloatTensor<B> {
    let channels = rows.shape()[1];
    let (new_height, new_width) = (vertical.shape()[1], horizontal.shape()[1]);
    let lines = B::float_reshape(rows, Shape::new([images, height, width * channels]));
    let lines = B::float_matmul(vertical, lines);
    let columns = B::float_reshape(lines, Shape::new([images * new_height, width, channels]));
    let columns = B::float_matmul(horizontal, columns);
    B::float_reshape(columns, Shape::new([images * new_height * new_width, channels]))
}
