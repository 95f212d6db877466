//! The layers on regions of dense maps in a row: regions inside, across an edge, without a size, and on cells of each other.

use burn::module::Param;
use burn::prelude::*;
use convnext_core::Seed;
use convnext_nn::{FeatureMaps, Region, RoiSampling, Scope, TransposedConv2d, roi_align, subsample};

/// The input maps are a parameter, too.
#[derive(Module, Debug)]
pub(crate) struct RegionLayers {
    maps: Param<Tensor<4>>,
    upsample: TransposedConv2d,
}

impl RegionLayers {
    pub(crate) fn new(device: &Device) -> Self {
        let scope = Scope::root(Seed(0), device);
        let upsample = TransposedConv2d::new(scope.weight("weight", [3, 4, 2, 2]), scope.constant([4], 0.0));
        Self { maps: scope.weight("maps", [2, 3, 9, 11]), upsample }
    }

    /// The sum of the squares of the output.
    pub(crate) fn loss(&self) -> Tensor<1> {
        let bounds = [
            (1, [3.0, 2.5, 20.0, 15.0]),
            (0, [-5.0, -4.0, 9.0, 12.0]),
            (0, [4.0, 4.0, 4.0, 9.0]),
            (0, [0.0, 0.0, 44.0, 36.0]),
        ];
        let regions = bounds.map(|(image, bounds)| Region { image, bounds });
        let maps =
            roi_align(&FeatureMaps::from(self.maps.val()), &regions, [5, 3], 0.25, RoiSampling::Aligned);
        let maps = self.upsample.forward(&subsample(&maps));
        assert_eq!((maps.images, maps.size()), (4, [6, 4]));
        maps.rows.square().sum()
    }
}
