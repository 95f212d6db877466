//! A block with GRN and each of its rivals (paper Tables 2 and 16) against PyTorch in f64: `goldens/response_norms.json`
//! and the script beside it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use burn::prelude::*;
use burn::tensor::DType;
use common::golden::{self, Sketch};
use convnext_core::{BlockLayout, ResponseNorm, Seed};
use convnext_kernels::Sites;
use convnext_nn::{Block, Scope, SiteMap, for_each_parameter, replace_parameters};
use serde::Deserialize;

const CHANNELS: usize = 4;
const IMAGES: usize = 2;
const GRID: [usize; 2] = [2, 3];
const TILE: usize = 2;

/// Error in f64 that is accepted: Burn divides in f64 by the reciprocal in a lower precision on some paths.
const TOLERANCE: f64 = 1e-7;

/// The results of a block. Its loss is the sum of the output times the golden cotangent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    norm: ResponseNorm,
    layer_scale: bool,
    /// Kept tiles of each image; `None` is dense.
    kept: Option<Vec<Vec<usize>>>,
    /// `[S, C]`, and so is the gradient of the input.
    output: Sketch,
    input_gradient: Sketch,
    /// Of every learned parameter.
    gradients: BTreeMap<String, Sketch>,
    /// Mean and unbiased variance that batch norm sees.
    #[serde(default)]
    statistics: Option<[Sketch; 2]>,
    /// The output of batch norm by its running statistics.
    #[serde(default)]
    running_output: Option<Sketch>,
}

impl Case {
    fn sites(&self) -> Sites {
        match &self.kept {
            None => Sites::dense(IMAGES, GRID[0] * TILE, GRID[1] * TILE).unwrap(),
            Some(kept) => Sites::tiled(GRID, TILE, kept.clone()).unwrap(),
        }
    }

    /// The block by rule, in this precision.
    fn block(&self, device: &Device, dtype: DType) -> Block {
        let layer_scale = self.layer_scale.then_some(1.0);
        let layout = BlockLayout { channels: CHANNELS, response_norm: Some(self.norm), layer_scale };
        replace_parameters(Block::new(layout, &Scope::root(Seed(0), device)), |parameter| {
            let values = golden::parameter(&parameter.name(), &parameter.shape);
            Some(tensor(values, &parameter.device.inner(), dtype))
        })
    }

    fn check(&self, dtype: DType) {
        let device = Device::flex().autodiff();
        let block = self.block(&device, dtype);
        let sites = self.sites();
        let shape = [sites.rows(), CHANNELS];
        let count = sites.rows() * CHANNELS;
        let map = SiteMap::new(sites.clone(), &device);
        let rows: Vec<f32> = (0..count as u64).map(|index| golden::uniform("rows", index) as f32).collect();
        let input = tensor(rows.clone(), &device, dtype).reshape(shape).require_grad();
        let output = block.forward(input.clone(), &map, None);
        self.compare("output", dtype, &self.output, output.clone());
        let cotangent = tensor(golden::cotangent(count), &device, dtype).reshape(shape);
        let gradients = (output * cotangent).sum().backward();
        self.compare("gradient of the input", dtype, &self.input_gradient, input.grad(&gradients).unwrap());
        let mut found = BTreeMap::new();
        for_each_parameter(&block, |parameter| {
            found.extend(parameter.gradient(&gradients).map(|gradient| (parameter.name(), gradient)));
        });
        assert!(found.keys().eq(self.gradients.keys()), "{:?}: {:?}", self.norm, found.keys());
        for (name, gradient) in found {
            self.compare(&format!("gradient of {name}"), dtype, &self.gradients[&name], gradient);
        }
        self.check_batch_norm(&block, rows, dtype);
    }

    /// Compares what only batch norm has.
    fn check_batch_norm(&self, block: &Block, rows: Vec<f32>, dtype: DType) {
        let found = block.take_statistics();
        assert_eq!(found.is_some(), self.statistics.is_some(), "{:?}", self.norm);
        let Some((found, [mean, variance])) = found.zip(self.statistics.as_ref()) else { return };
        assert_eq!(found.name, "bn");
        self.compare("mean", dtype, mean, found.mean);
        self.compare("variance", dtype, variance, found.variance);
        assert!(block.take_statistics().is_none(), "they are taken once");
        let (device, sites) = (Device::flex(), self.sites());
        let shape = [sites.rows(), CHANNELS];
        let map = SiteMap::new(sites, &device);
        let plain = self.block(&device, dtype);
        let output = plain.forward(tensor(rows, &device, dtype).reshape(shape), &map, None);
        self.compare("output by running statistics", dtype, self.running_output.as_ref().unwrap(), output);
        assert!(plain.take_statistics().is_none());
    }

    fn compare<const D: usize>(&self, what: &str, dtype: DType, expected: &Sketch, found: Tensor<D>) {
        let kept = if self.kept.is_some() { "kept tiles" } else { "dense" };
        let what = format!("{:?}, {kept}, {dtype:?}: {what}", self.norm);
        let data = found.into_data().convert::<f64>();
        let values = data.try_into_vec::<f64>().unwrap();
        if dtype == DType::F32 {
            return expected.check(&what, &values);
        }
        let error = expected.relative_error(&values);
        assert!(error <= TOLERANCE, "{what}: relative error {error:.2e}");
    }
}

fn tensor(values: Vec<f32>, device: &Device, dtype: DType) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]).convert_dtype(dtype), (device, dtype))
}

#[test]
fn every_norm_agrees_with_pytorch_dense_and_sparse() {
    let cases: Vec<Case> = golden::load("response_norms.json");
    for norm in ResponseNorm::ALL {
        assert_eq!(cases.iter().filter(|case| case.norm == norm).count(), 2, "{norm:?}");
    }
    for case in &cases {
        case.check(DType::F64);
        case.check(DType::F32);
    }
}
