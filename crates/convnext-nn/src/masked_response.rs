//! GRN and its alternatives on ordinary maps `[N, E, H, W]` under a mask: the reference of `ops/response_reference.rs`, with
//! which it shares nothing but the parameters.

use burn::prelude::*;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use convnext_core::{DEPTHWISE_KERNEL_SIZE, ResponseNorm};

use crate::batch_norm::BatchNorm;
use crate::block::Block;
use crate::gates::{Cbam, LinearWeight, SqueezeExcite};
use crate::layers::{Grn, LayerNorm};
use crate::ops::reference::{BATCH_NORM_EPSILON, EPSILON};

/// The normalised hidden channels of a block, over the sites where the mask is 1, or all without one.
///
/// # Shapes
/// - map, output: `[N, E, H, W]`
/// - keep: `[N, 1, H, W]`
pub(crate) fn masked_response_norm(block: &Block, map: Tensor<4>, keep: Option<&Tensor<4>>) -> Tensor<4> {
    let kept = Kept { keep };
    match block {
        Block { grn: Some(grn), .. } => global_response_norm(block.response_norm(), grn, map, kept),
        Block { bn: Some(norm), .. } => batch_norm(block, norm, map, kept),
        Block { ln: Some(norm), .. } => norm_channels(norm, map),
        Block { se: Some(SqueezeExcite { fc1, fc2 }), .. } => {
            map.clone() * sigmoid(bottleneck(kept.mean(map), fc1, fc2))
        }
        Block { cbam: Some(cbam), .. } => attention(cbam, map, kept),
        Block { grn: None, bn: None, ln: None, se: None, cbam: None, .. } => {
            without_parameters(block.response_norm(), map)
        }
    }
}

/// The hidden channels of a block whose normalisation has no parameters.
fn without_parameters(norm: Option<ResponseNorm>, map: Tensor<4>) -> Tensor<4> {
    use ResponseNorm as R;
    match norm {
        None => map,
        Some(R::Lrn) => local_response_norm(map),
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

/// LayerNorm over the channels of each site.
pub(crate) fn norm_channels(norm: &LayerNorm, map: Tensor<4>) -> Tensor<4> {
    let centred = map.clone() - map.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    centred / (variance + EPSILON).sqrt() * per_channel(norm.weight.val()) + per_channel(norm.bias.val())
}

/// `[channels]` as `[1, channels, 1, 1]`.
pub(crate) fn per_channel(values: Tensor<1>) -> Tensor<4> {
    let [channels] = values.dims();
    values.reshape([1, channels, 1, 1])
}

/// The kept sites, by the mask `[N, 1, H, W]`.
#[derive(Clone, Copy)]
struct Kept<'a> {
    keep: Option<&'a Tensor<4>>,
}

impl Kept<'_> {
    /// The map with zeros at the other sites.
    fn only(self, map: Tensor<4>) -> Tensor<4> {
        match self.keep {
            None => map,
            Some(keep) => map * keep.clone(),
        }
    }

    /// The mean over the sites of each image, `[N, E, 1, 1]`.
    fn mean(self, map: Tensor<4>) -> Tensor<4> {
        match self.keep {
            None => map.mean_dim(2).mean_dim(3),
            Some(keep) => self.only(map).sum_dims(&[2, 3]) / keep.clone().sum_dims(&[2, 3]),
        }
    }

    /// The mean over the sites of the batch, `[1, E, 1, 1]`.
    fn mean_of_batch(self, map: Tensor<4>) -> Tensor<4> {
        let count = self.count(&map);
        self.only(map).sum_dims(&[0, 2, 3]) / count
    }

    /// Sites of the batch.
    fn count(self, map: &Tensor<4>) -> f64 {
        let [images, _, height, width] = map.dims();
        match self.keep {
            None => (images * height * width) as f64,
            Some(keep) => f64::from(keep.clone().sum().into_scalar::<f32>()),
        }
    }

    /// The largest value over the sites of each image, `[N, E, 1, 1]`.
    fn largest(self, map: Tensor<4>) -> Tensor<4> {
        let map = match self.keep {
            None => map,
            Some(keep) => {
                let mask = keep.clone().equal_elem(0).expand(map.dims());
                map.mask_fill(mask, f32::MIN)
            }
        };
        map.max_dim(2).max_dim(3)
    }
}

/// GRN and its variants (paper equations 1 to 3, Tables 2 and 16).
fn global_response_norm(norm: Option<ResponseNorm>, grn: &Grn, map: Tensor<4>, kept: Kept<'_>) -> Tensor<4> {
    use ResponseNorm as R;
    let x = kept.only(map.clone());
    let l2 = || (x.clone().square().sum_dims(&[2, 3]) + 1e-30).sqrt();
    let divided = |response: Tensor<4>| response.clone() / (response.mean_dim(1) + EPSILON);
    let factor = match norm {
        Some(R::Grn | R::GrnNoResidual) => Some(divided(l2())),
        Some(R::Identity) => None,
        Some(R::GrnAverage) => {
            let response = kept.mean(map.clone());
            Some(response.clone() / (response.abs().mean_dim(1) + EPSILON))
        }
        Some(R::GrnL1) => Some(divided(x.clone().abs().sum_dims(&[2, 3]))),
        Some(R::GrnStandardised) => {
            let centred = l2() - l2().mean_dim(1);
            Some(centred.clone() / (centred.square().mean_dim(1) + EPSILON).sqrt())
        }
        Some(R::GrnSum) => Some((l2().mean_dim(1) + EPSILON).recip()),
        Some(R::GrnNoNorm) => Some(l2()),
        Some(R::GrnNoPool) => Some(divided(map.clone())),
        None | Some(R::Lrn | R::Bn | R::Ln | R::Se | R::Cbam) => {
            unreachable!("a block with this normalisation has no parameters of GRN")
        }
    };
    let normalised = match factor {
        None => map.clone(),
        Some(factor) => map.clone() * factor,
    };
    let [gamma, beta] = [&grn.gamma, &grn.beta].map(|values| values.val().permute([0, 3, 1, 2]));
    let output = gamma * normalised + beta;
    if norm == Some(R::GrnNoResidual) { output } else { output + map }
}

/// Batch norm: by the kept sites of the batch on a device that tracks gradients, elsewhere by its running statistics.
fn batch_norm(block: &Block, norm: &BatchNorm, map: Tensor<4>, kept: Kept<'_>) -> Tensor<4> {
    let (mean, variance) = if map.device().is_autodiff() {
        let mean = kept.mean_of_batch(map.clone());
        let variance = kept.mean_of_batch((map.clone() - mean.clone()).square());
        let count = kept.count(&map);
        let flat = |values: &Tensor<4>| values.clone().inner().flatten::<1>(0, 3);
        block.store_statistics([flat(&mean), flat(&variance) * (count / (count - 1.0))]);
        (mean, variance)
    } else {
        let [mean, variance] =
            [&norm.running_mean, &norm.running_var].map(|one| per_channel(one.get().val()));
        (mean, variance)
    };
    let normalised = (map - mean) / (variance + BATCH_NORM_EPSILON).sqrt();
    normalised * per_channel(norm.weight.val()) + per_channel(norm.bias.val())
}

/// AlexNet's local response normalisation over five channels, as a convolution of the squares with ones.
fn local_response_norm(map: Tensor<4>) -> Tensor<4> {
    let channels = map.dims()[1];
    let places = Tensor::<1, Int>::arange(0..channels as i64, &map.device());
    let distance = places.clone().reshape([channels, 1]) - places.reshape([1, channels]);
    let near = distance.abs().lower_elem(3).float().cast(map.dtype());
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let sums = conv2d(map.clone().square(), near.reshape([channels, channels, 1, 1]), None, options);
    map / (sums * 1e-4 + 2.0).powf_scalar(0.75)
}

/// CBAM: a gate for each channel of an image, then one for each site.
fn attention(cbam: &Cbam, map: Tensor<4>, kept: Kept<'_>) -> Tensor<4> {
    let Cbam { fc1, fc2, conv } = cbam;
    let of_mean = bottleneck(kept.mean(map.clone()), fc1, fc2);
    let of_largest = bottleneck(kept.largest(map.clone()), fc1, fc2);
    let map = map * sigmoid(of_mean + of_largest);
    let pooled = Tensor::cat(vec![map.clone().max_dim(1), map.clone().mean_dim(1)], 1);
    let options = ConvOptions::new([1, 1], [DEPTHWISE_KERNEL_SIZE / 2; 2], [1, 1], 1);
    map * sigmoid(conv2d(kept.only(pooled), conv.weight.val(), None, options))
}

/// The two linear layers of a gate, `[N, E, 1, 1]` to the same.
fn bottleneck(pooled: Tensor<4>, reduce: &LinearWeight, expand: &LinearWeight) -> Tensor<4> {
    let options = || ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let kernel = |layer: &LinearWeight| layer.weight.val().unsqueeze_dims::<4>(&[2, 3]);
    conv2d(relu(conv2d(pooled, kernel(reduce), None, options())), kernel(expand), None, options())
}
