//! Layers without biases, of which gates in the place of GRN are made (paper Table 2e).

use burn::module::Param;
use burn::prelude::*;

/// A linear layer without a bias.
#[derive(Module, Debug)]
pub struct LinearWeight {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
}

/// A convolution without a bias.
#[derive(Module, Debug)]
pub struct Kernel {
    /// `[out, in, height, width]`.
    pub weight: Param<Tensor<4>>,
}

/// Squeeze and excite over E channels, G of them in the middle.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    /// `[G, E]`.
    pub fc1: LinearWeight,
    /// `[E, G]`.
    pub fc2: LinearWeight,
}

/// Convolutional block attention over E channels, G of them in the middle.
#[derive(Module, Debug)]
pub struct Cbam {
    /// The first layer of the channel gate, `[G, E]`.
    pub fc1: LinearWeight,
    /// The second, `[E, G]`.
    pub fc2: LinearWeight,
    /// The gate over sites, `[1, 2, 7, 7]`.
    pub conv: Kernel,
}
