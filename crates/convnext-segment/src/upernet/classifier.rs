//! The end of both heads: dropout of channels, and a 1x1 convolution to the classes.

use convnext_nn::{Conv2d, FeatureMaps, ModelError, Scope};

/// Standard deviation of a classifier's first weights in mmsegmentation.
const WEIGHT_STD: f64 = 0.01;

/// The 1x1 convolution `conv_seg` from so many channels to the classes, with a bias.
pub(crate) fn classifier(channels: usize, classes: usize, scope: &Scope) -> Conv2d {
    let scope = scope.at("conv_seg");
    let weight = scope.normal_weight("weight", [classes, channels, 1, 1], WEIGHT_STD);
    Conv2d::new(weight, Some(scope.constant([classes], 0.0)))
}

/// The maps with their channels multiplied by these factors, if there are some.
///
/// # Errors
/// [`ModelError::ChannelFactors`] when there is not one for each image and channel.
pub(crate) fn with_dropout(maps: FeatureMaps, factors: Option<Vec<f32>>) -> Result<FeatureMaps, ModelError> {
    match factors {
        None => Ok(maps),
        Some(factors) => maps.scale_channels(factors),
    }
}
