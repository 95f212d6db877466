//! The encoders of FCMAE: a backbone, and what becomes of removed patches in it (paper Table 1).

use burn::prelude::*;
use convnext_core::{EncoderKind, FcmaeConfig, Mask, STAGES};

use crate::backbone::Backbone;
use crate::drop_path::DropPath;
use crate::encoded_stages::EncodedStages;
use crate::error::ModelError;
use crate::feature_maps::map_to_rows;
use crate::masked_dense::forward_masked_dense;
use crate::site_map::SitePyramid;

/// The features of all stages for masks that fit the images.
///
/// # Shapes
/// - images: `[N, channels, height, width]`
/// - token: `[1, C_0, 1, 1]`, of an encoder with tokens
///
/// # Errors
/// [`ModelError`] when the images have other channels than the encoder, or the masks do not fit each other.
pub(crate) fn encode_stages(
    encoder: &Backbone,
    token: Option<Tensor<4>>,
    config: &FcmaeConfig,
    images: Tensor<4>,
    masks: &[Mask],
) -> Result<EncodedStages, ModelError> {
    let device = images.device();
    let kept = || SitePyramid::masked(masks, &device);
    match config.encoder_kind {
        EncoderKind::Sparse => {
            let kept = kept()?;
            let rows = encoder.forward(images, &kept, &DropPath::none())?;
            Ok(EncodedStages::at_sites(rows, kept))
        }
        EncoderKind::MaskedDense => {
            let kept = kept()?;
            encoder.check_statistics(&kept, &device)?;
            let maps = forward_masked_dense(encoder, images, masks)?;
            Ok(EncodedStages::of_maps(maps.map(map_to_rows), kept))
        }
        EncoderKind::Leaky | EncoderKind::Tokens => {
            // Dense encoders: what happens at kept sites depends on removed ones, and the other way round.
            let [count, _, height, width] = images.dims();
            let all = SitePyramid::dense(&config.encoder, count, height, width, &device)?;
            encoder.check_channels(&images)?;
            let stem = encoder.stem.forward(images, all.stage(0))?;
            let keep = keep_column(masks, 1 << (STAGES - 1), &stem);
            let zeroed = stem * keep.clone();
            let first = match token {
                None => zeroed,
                Some(token) => zeroed + (keep * -1.0 + 1.0) * token.reshape([1, -1]),
            };
            let maps = encoder.forward_stages(first, &all, &DropPath::none());
            let seen = if config.encoder_kind.fills_removed_patches() { all } else { kept()? };
            Ok(EncodedStages::of_maps(maps, seen))
        }
    }
}

/// 1 at rows of kept patches and 0 elsewhere, `[N * H * W, 1]`, on the device and of the element type of other rows.
fn keep_column(masks: &[Mask], scale: usize, like: &Tensor<2>) -> Tensor<2> {
    let values: Vec<f32> =
        masks.iter().flat_map(|mask| mask.upsample(scale)).map(|kept| f32::from(u8::from(kept))).collect();
    let count = values.len();
    let data = TensorData::new(values, [count, 1]).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}
