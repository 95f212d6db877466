//! The encoder as masked dense convolution on ordinary maps `[N, C, H, W]`: the paper's other
//! implementation, and the reference for the sparse one. With no mask it is the plain network.
//!
//! It shares only the parameters with the implementation on rows, so that it is an independent reference: it computes in f32 and
//! saves every value for its backward, whatever the blocks are told of precision and activations.

use burn::prelude::*;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use convnext_core::{DEPTHWISE_KERNEL_SIZE, Mask, STAGES};

use crate::backbone::Backbone;
use crate::block::Block;
use crate::error::ModelError;
use crate::layers::{Convolution, exact_gelu};
use crate::masked_response::{masked_response_norm, norm_channels, per_channel};

/// The feature maps of all four stages. Values at sites of removed patches are undefined.
///
/// # Shapes
/// - images: `[N, channels, height, width]`
/// - masks: one for each image, or none at all to keep everything
/// - output: `[N, C_i, H_i, W_i]` for i = 0 to 3
///
/// # Errors
/// [`ModelError::Channels`] when the images have other channels than the stem,
/// [`ModelError::MaskCount`] when there are some masks but not one for each image.
pub fn forward_masked_dense(
    backbone: &Backbone,
    images: Tensor<4>,
    masks: &[Mask],
) -> Result<[Tensor<4>; STAGES], ModelError> {
    backbone.check_channels(&images)?;
    let count = images.dims()[0];
    if !masks.is_empty() && masks.len() != count {
        return Err(ModelError::MaskCount { images: count, masks: masks.len() });
    }
    let device = images.device();
    let keep = |stage: usize| (!masks.is_empty()).then(|| keep_map(masks, STAGES - 1 - stage, &device));
    let stride = backbone.stem.conv.weight.lazy_shape()[2];
    let mut map = norm_channels(&backbone.stem.norm, convolve(&backbone.stem.conv, images, stride));
    Ok(std::array::from_fn(|stage| {
        if stage > 0 {
            let layer = &backbone.downsampling[stage - 1];
            map = convolve(&layer.conv, norm_channels(&layer.norm, map.clone()), 2);
        }
        let keep = keep(stage);
        for block in &backbone.stages[stage] {
            map = block_forward(block, map.clone(), keep.as_ref());
        }
        map.clone()
    }))
}

/// 1 at sites of kept patches and 0 elsewhere, each patch `2^log2_scale` sites wide.
///
/// # Shapes
/// - output: `[N, 1, rows 2^log2_scale, columns 2^log2_scale]`
fn keep_map(masks: &[Mask], log2_scale: usize, device: &Device) -> Tensor<4> {
    let scale = 1 << log2_scale;
    let grid = masks[0].grid();
    let values: Vec<f32> =
        masks.iter().flat_map(|mask| mask.upsample(scale)).map(|kept| f32::from(u8::from(kept))).collect();
    let shape = [masks.len(), 1, grid.rows * scale, grid.columns * scale];
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn block_forward(block: &Block, map: Tensor<4>, keep: Option<&Tensor<4>>) -> Tensor<4> {
    let masked = |map: Tensor<4>| match keep {
        None => map,
        Some(keep) => map * keep.clone(),
    };
    let channels = map.dims()[1];
    let options = ConvOptions::new([1, 1], [DEPTHWISE_KERNEL_SIZE / 2; 2], [1, 1], channels);
    let bias = Some(block.dwconv.bias.val());
    let branch = masked(conv2d(masked(map.clone()), block.dwconv.weight.val(), bias, options));
    let branch = norm_channels(&block.norm, branch);
    let branch = exact_gelu(pointwise(branch, block.pwconv1.weight.val(), block.pwconv1.bias.val()));
    let branch = masked_response_norm(block, branch, keep);
    let branch = pointwise(branch, block.pwconv2.weight.val(), block.pwconv2.bias.val());
    let branch = match &block.gamma {
        None => branch,
        Some(gamma) => branch * per_channel(gamma.val()),
    };
    map + branch
}

fn convolve(layer: &Convolution, map: Tensor<4>, stride: usize) -> Tensor<4> {
    let options = ConvOptions::new([stride, stride], [0, 0], [1, 1], 1);
    conv2d(map, layer.weight.val(), Some(layer.bias.val()), options)
}

fn pointwise(map: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<4> {
    let [outputs, inputs] = weight.dims();
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    conv2d(map, weight.reshape([outputs, inputs, 1, 1]), Some(bias), options)
}
