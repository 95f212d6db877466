//! GRN and its alternatives in tensor operations (paper section 4, Tables 2 and 16; "A3. GRN" and "A4. GRN ablations" in
//! `docs/facts.md`).
//!
//! The paper prints neither the constants nor the places of the alternatives. Squeeze and excite (arXiv 1709.01507) and CBAM
//! (arXiv 1807.06521) have no biases, and the latter no batch norm behind its convolution: with these and a ratio of 16
//! Base has the 109 million parameters of Table 2e.
//!
//! Notation: N images, R rows of one image, S = N * R rows, E channels, G those in the bottleneck of a gate.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};
use convnext_core::ResponseNorm;

use crate::ops::block_plan::{BlockPlan, Placement, ResponseParameters};
use crate::ops::reference::{BATCH_NORM_EPSILON, EPSILON, convolve_sites, layer_norm_reference};

/// Added under the root of GRN's norm, so that its derivative at an all-zero channel is 0 and not
/// undefined. Far below f32 rounding of any real norm.
const TINY: f64 = 1e-30;

/// AlexNet's constants of local response normalisation ("A4. GRN ablations" in `docs/facts.md`): added to the sum, and
/// the factor of the sum. The window is five channels wide, and the exponent 3/4.
const LRN: [f64; 2] = [2.0, 1e-4];

/// Channels on each side of the one that local response normalisation divides.
const LRN_REACH: usize = 2;

/// The normalised hidden channels, `[S, E]` to `[S, E]`; batch norm is by its running statistics.
pub(crate) fn response_reference<B: Backend>(
    rows: FloatTensor<B>,
    parameters: ResponseParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> FloatTensor<B> {
    let images = plan.sites.images();
    match parameters {
        ResponseParameters::Absent => without_parameters::<B>(plan.response_norm, rows),
        ResponseParameters::Grn { gamma, beta } => {
            global_response_norm::<B>(plan.response_norm, rows, gamma, beta, images)
        }
        ResponseParameters::LayerNorm { weight, bias } => layer_norm_reference::<B>(rows, weight, bias),
        ResponseParameters::BatchNorm { weight, bias, mean, variance } => {
            batch_norm::<B>(rows, [mean, variance], weight, bias)
        }
        ResponseParameters::SqueezeExcite { reduce, expand } => {
            let pooled = pool::<B>(B::float_mean_dim(by_image::<B>(rows.clone(), images), 1));
            let gate = sigmoid::<B>(bottleneck::<B>(pooled, reduce, expand));
            gate_channels::<B>(rows, gate)
        }
        ResponseParameters::Cbam { reduce, expand, kernel } => {
            let rows = channel_attention::<B>(rows, reduce, expand, images);
            spatial_attention::<B>(rows, kernel, placement, plan)
        }
    }
}

/// The hidden channels of a block whose normalisation has no parameters, `[S, E]` to `[S, E]`.
fn without_parameters<B: Backend>(norm: Option<ResponseNorm>, rows: FloatTensor<B>) -> FloatTensor<B> {
    use ResponseNorm as R;
    match norm {
        None => rows,
        Some(R::Lrn) => local_response_norm::<B>(rows),
        Some(
            R::Grn
            | R::GrnAverage
            | R::GrnL1
            | R::GrnStandardised
            | R::GrnSum
            | R::GrnNoResidual
            | R::GrnNoNorm
            | R::GrnNoPool
            | R::Identity
            | R::Bn
            | R::Ln
            | R::Se
            | R::Cbam,
        ) => unreachable!("a block with this normalisation has its parameters"),
    }
}

/// Batch norm by the statistics of these rows, `[S, E]` to `[S, E]`, and these: mean and unbiased variance, each `[E]`.
pub(crate) fn batch_norm_by_batch<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> (FloatTensor<B>, [FloatTensor<B>; 2]) {
    let shape = rows.shape();
    let (count, channels) = (shape[0], Shape::new([shape[1]]));
    let mean = B::float_mean_dim(rows.clone(), 0);
    let centred = B::float_sub(rows.clone(), mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred), 0);
    let [mean, variance] = [mean, variance].map(|one| B::float_reshape(one, channels.clone()));
    let output = batch_norm::<B>(rows, [mean.clone(), variance.clone()], weight, bias);
    let unbiased = B::float_mul_scalar(variance, (count as f64 / count.saturating_sub(1) as f64).into());
    (output, [mean, unbiased])
}

/// Batch norm by these statistics, mean and biased variance: `[S, E]` to `[S, E]`, the others `[E]`.
fn batch_norm<B: Backend>(
    rows: FloatTensor<B>,
    statistics: [FloatTensor<B>; 2],
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let one_row = Shape::new([1, rows.shape()[1]]);
    let row = |values| B::float_reshape(values, one_row.clone());
    let [mean, variance] = statistics;
    let deviation = B::float_sqrt(B::float_add_scalar(row(variance), BATCH_NORM_EPSILON.into()));
    let normalised = B::float_div(B::float_sub(rows, row(mean)), deviation);
    B::float_add(B::float_mul(normalised, row(weight)), row(bias))
}

/// GRN and its variants over the rows of each image (paper equations 1 to 3, Algorithm 1, Tables 2 and 16):
/// `gamma * X * N(G(X)) + beta + X`, `[S, E]` to `[S, E]`; gamma and beta have E values.
///
/// `G` aggregates a channel over the kept sites of one image, never over the batch; `N` divides by the mean over
/// channels, because footnote 1 scales the printed sum by the channel count. So does that of [`ResponseNorm::GrnSum`], which
/// has one factor for all channels of an image.
fn global_response_norm<B: Backend>(
    norm: Option<ResponseNorm>,
    rows: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    images: usize,
) -> FloatTensor<B> {
    let shape = rows.shape();
    let x = by_image::<B>(rows, images);
    let one_row = Shape::new([1, 1, shape[1]]);
    let [gamma, beta] = [gamma, beta].map(|values| B::float_reshape(values, one_row.clone()));
    let scaled = match normalised_response::<B>(norm, x.clone()) {
        None => gamma,
        Some(response) => B::float_mul(response, gamma),
    };
    let is_residual = norm != Some(ResponseNorm::GrnNoResidual);
    let scale = if is_residual { B::float_add_scalar(scaled, 1.0_f64.into()) } else { scaled };
    B::float_reshape(B::float_add(B::float_mul(x, scale), beta), shape)
}

/// `N(G(X))` of `[N, R, E]`, as `[N, 1, E]`; as `[N, R, E]` where nothing is aggregated, and as `[N, 1, 1]` where all channels
/// have one factor. `None` stands for 1.
fn normalised_response<B: Backend>(norm: Option<ResponseNorm>, x: FloatTensor<B>) -> Option<FloatTensor<B>> {
    use ResponseNorm as R;
    let over = |values, divisor| B::float_div(values, B::float_add_scalar(divisor, EPSILON.into()));
    Some(match norm {
        Some(R::Grn | R::GrnNoResidual) => {
            let response = l2_norm::<B>(x);
            over(response.clone(), B::float_mean_dim(response, 2))
        }
        Some(R::GrnAverage) => {
            let response = B::float_mean_dim(x, 1);
            over(response.clone(), B::float_mean_dim(B::float_abs(response), 2))
        }
        Some(R::GrnL1) => {
            let response = B::float_sum_dim(B::float_abs(x), 1);
            over(response.clone(), B::float_mean_dim(response, 2))
        }
        Some(R::GrnStandardised) => {
            let response = l2_norm::<B>(x);
            let centred = B::float_sub(response.clone(), B::float_mean_dim(response, 2));
            let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 2);
            B::float_div(centred, B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())))
        }
        Some(R::GrnSum) => {
            let mean = B::float_mean_dim(l2_norm::<B>(x), 2);
            B::float_recip(B::float_add_scalar(mean, EPSILON.into()))
        }
        Some(R::GrnNoNorm) => l2_norm::<B>(x),
        Some(R::GrnNoPool) => over(x.clone(), B::float_mean_dim(x, 2)),
        Some(R::Identity) => return None,
        None | Some(R::Lrn | R::Bn | R::Ln | R::Se | R::Cbam) => {
            unreachable!("a block with this normalisation has no parameters of GRN")
        }
    })
}

/// The L2 norm of each channel over the rows of each image, `[N, R, E]` to `[N, 1, E]`.
fn l2_norm<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let squares = B::float_sum_dim(B::float_mul(x.clone(), x), 1);
    B::float_sqrt(B::float_add_scalar(squares, TINY.into()))
}

/// Local response normalisation over neighbouring channels, `[S, E]` to `[S, E]`: `x / (k + alpha sum x^2)^(3/4)`, whose
/// window ends where the channels do.
fn local_response_norm<B: Backend>(rows: FloatTensor<B>) -> FloatTensor<B> {
    let (count, channels) = (rows.shape()[0], rows.shape()[1]);
    let squares = B::float_mul(rows.clone(), rows.clone());
    let beyond = B::float_zeros(Shape::new([count, LRN_REACH]), &squares.device(), squares.dtype().into());
    let padded = B::float_cat(vec![beyond.clone(), squares.clone(), beyond], 1);
    let shifted = |by: usize| {
        let window: [Slice; 2] = [(0..count).into(), (by..by + channels).into()];
        B::float_slice(padded.clone(), &window)
    };
    let sum = (1..=2 * LRN_REACH).fold(shifted(0), |sum, by| B::float_add(sum, shifted(by)));
    let [constant, factor] = LRN;
    let base = B::float_add_scalar(B::float_mul_scalar(sum, factor.into()), constant.into());
    let root = B::float_sqrt(base);
    B::float_div(rows, B::float_mul(root.clone(), B::float_sqrt(root)))
}

/// CBAM's gate of each channel of an image, by mean and maximum over its rows: `[S, E]` to `[S, E]`.
fn channel_attention<B: Backend>(
    rows: FloatTensor<B>,
    reduce: FloatTensor<B>,
    expand: FloatTensor<B>,
    images: usize,
) -> FloatTensor<B> {
    let x = by_image::<B>(rows.clone(), images);
    let pooled = [B::float_mean_dim(x.clone(), 1), B::float_max_dim(x, 1)];
    let [mean, largest] =
        pooled.map(|pooled| bottleneck::<B>(pool::<B>(pooled), reduce.clone(), expand.clone()));
    gate_channels::<B>(rows, sigmoid::<B>(B::float_add(mean, largest)))
}

/// CBAM's gate of each site, by a 7x7 convolution of maximum and mean over its channels: `[S, E]` to `[S, E]`. Sites that
/// are not kept count as zero.
fn spatial_attention<B: Backend>(
    rows: FloatTensor<B>,
    kernel: FloatTensor<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> FloatTensor<B> {
    let pooled = vec![B::float_max_dim(rows.clone(), 1), B::float_mean_dim(rows.clone(), 1)];
    let pooled = B::float_cat(pooled, 1);
    let gate = convolve_sites::<B>(pooled, (kernel, None), 1, placement, &plan.sites);
    B::float_mul(rows, sigmoid::<B>(gate))
}

/// The two linear layers of a gate, without biases and with ReLU between them: `[N, E]` to `[N, E]`, with weights
/// `[G, E]` and `[E, G]`.
fn bottleneck<B: Backend>(
    pooled: FloatTensor<B>,
    reduce: FloatTensor<B>,
    expand: FloatTensor<B>,
) -> FloatTensor<B> {
    let middle = B::relu(B::float_matmul(pooled, B::float_swap_dims(reduce, 0, 1)));
    B::float_matmul(middle, B::float_swap_dims(expand, 0, 1))
}

/// Multiplies the rows `[S, E]` of each image by its gates `[N, E]`.
fn gate_channels<B: Backend>(rows: FloatTensor<B>, gate: FloatTensor<B>) -> FloatTensor<B> {
    let (shape, images, channels) = (rows.shape(), gate.shape()[0], gate.shape()[1]);
    let gate = B::float_reshape(gate, Shape::new([images, 1, channels]));
    B::float_reshape(B::float_mul(by_image::<B>(rows, images), gate), shape)
}

/// `1 / (1 + exp(-x))`. Not Burn's own, which computes in f32 whatever the type.
fn sigmoid<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let half = B::float_tanh(B::float_mul_scalar(x, 0.5_f64.into()));
    B::float_mul_scalar(B::float_add_scalar(half, 1.0_f64.into()), 0.5_f64.into())
}

/// `[S, E]` to `[N, R, E]`.
fn by_image<B: Backend>(rows: FloatTensor<B>, images: usize) -> FloatTensor<B> {
    let (count, channels) = (rows.shape()[0], rows.shape()[1]);
    B::float_reshape(rows, Shape::new([images, count / images, channels]))
}

/// `[N, 1, E]` to `[N, E]`.
fn pool<B: Backend>(pooled: FloatTensor<B>) -> FloatTensor<B> {
    let (images, channels) = (pooled.shape()[0], pooled.shape()[2]);
    B::float_reshape(pooled, Shape::new([images, channels]))
}
