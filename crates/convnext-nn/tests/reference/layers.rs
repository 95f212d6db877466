//! The layers on dense maps in a row, each with something that a gradient must get right: a stride that drops a row, batch norm
//! and ReLU, bins that overlap and repeat, cells that are copied.

use burn::module::Param;
use burn::prelude::*;
use convnext_core::Seed;
use convnext_nn::{
    Conv2d, ConvNorm, FeatureMaps, NormStatistics, Scope, adaptive_average_pool, resize_bilinear,
    resize_nearest,
};

/// The input maps are a parameter, too.
#[derive(Module, Debug)]
pub(crate) struct Layers {
    maps: Param<Tensor<4>>,
    strided: Conv2d,
    layer: ConvNorm,
    pointwise: ConvNorm,
    last: Conv2d,
}

impl Layers {
    pub(crate) fn new(device: &Device) -> Self {
        let scope = Scope::root(Seed(0), device);
        let weight = |name: &str, shape| scope.at(name).weight("weight", shape);
        let bias = |channels| Some(scope.constant([channels], 0.0));
        Self {
            maps: scope.weight("maps", [2, 3, 6, 7]),
            strided: Conv2d::new(weight("strided", [4, 3, 3, 3]), bias(4)).with_stride([2, 2]),
            layer: ConvNorm::new([5, 4, 3, 3], &scope.at("layer")),
            pointwise: ConvNorm::new([3, 5, 1, 1], &scope.at("pointwise")),
            last: Conv2d::new(weight("last", [2, 3, 1, 2]), bias(2)).with_padding([0, 0]),
        }
    }

    /// The sum of the squares of the output.
    pub(crate) fn loss(&self) -> Tensor<1> {
        let mut statistics = NormStatistics::Batch(Vec::new());
        let maps = self.strided.forward(&FeatureMaps::from(self.maps.val()));
        assert_eq!(maps.size(), [3, 4]);
        let maps = resize_bilinear(maps, 5, 6);
        let maps = self.layer.forward(&maps, &mut statistics).unwrap();
        let maps = adaptive_average_pool(maps, 3, 7);
        let maps = self.pointwise.forward(&maps, &mut statistics).unwrap();
        self.last.forward(&resize_nearest(maps, 7, 3)).rows.square().sum()
    }
}
