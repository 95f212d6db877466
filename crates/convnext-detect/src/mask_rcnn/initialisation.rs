//! Layers as MMDetection initialises them; biases start at 0.

use convnext_nn::{Conv2d, Linear, Scope};

/// A convolution from and to so many channels, with a square kernel that keeps the size of the maps: normal weights of this
/// standard deviation.
pub(crate) fn normal_conv2d([outputs, inputs, side]: [usize; 3], std: f64, scope: &Scope) -> Conv2d {
    let weight = scope.normal_weight("weight", [outputs, inputs, side, side], std);
    Conv2d::new(weight, Some(scope.constant([outputs], 0.0)))
}

/// The same by Xavier's rule.
pub(crate) fn xavier_conv2d([outputs, inputs, side]: [usize; 3], scope: &Scope) -> Conv2d {
    let weight = scope.xavier_weight("weight", [outputs, inputs, side, side]);
    Conv2d::new(weight, Some(scope.constant([outputs], 0.0)))
}

/// The same by Kaiming's rule.
pub(crate) fn kaiming_conv2d([outputs, inputs, side]: [usize; 3], scope: &Scope) -> Conv2d {
    let weight = scope.kaiming_weight("weight", [outputs, inputs, side, side]);
    Conv2d::new(weight, Some(scope.constant([outputs], 0.0)))
}

/// A linear layer with normal weights of this standard deviation.
pub(crate) fn normal_linear([outputs, inputs]: [usize; 2], std: f64, scope: &Scope) -> Linear {
    Linear::of(scope.normal_weight("weight", [outputs, inputs], std), scope.constant([outputs], 0.0))
}

/// A linear layer by Xavier's rule.
pub(crate) fn xavier_linear([outputs, inputs]: [usize; 2], scope: &Scope) -> Linear {
    Linear::of(scope.xavier_weight("weight", [outputs, inputs]), scope.constant([outputs], 0.0))
}
