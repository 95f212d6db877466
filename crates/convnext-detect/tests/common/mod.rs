//! Mask R-CNN with the weights, images and loss of `tests/goldens/make_network.py`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers: each test binary uses its own part"
)]

#[path = "../../../convnext-nn/tests/common/golden.rs"]
pub mod golden;

use std::collections::BTreeMap;
use std::path::Path;

use burn::prelude::*;
use convnext_core::{BOX_MAP_SIDE, MASK_MAP_SIDE, MaskRcnnConfig, ModelConfig, Seed, find_model};
use convnext_detect::{MaskRcnn, extract};
use convnext_nn::{DropPath, FeatureMaps, Region, replace_parameters};
use golden::Sketch;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    depths: [usize; 4],
    widths: [usize; 4],
    grn: bool,
    classes: usize,
    head_width: usize,
    box_width: usize,
    masks: bool,
}

/// A file `goldens/network-*.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkGolden {
    config: NetworkConfig,
    batch: usize,
    height: usize,
    width: usize,
    /// Image, left, top, right and bottom of each region.
    boxes: Vec<(usize, f32, f32, f32, f32)>,
    /// The regions that get masks.
    masks: Vec<usize>,
    pub loss: f64,
    pub input_gradient: Sketch,
    /// By name, in PyTorch's layout.
    pub outputs: BTreeMap<String, Sketch>,
    pub gradients: BTreeMap<String, Sketch>,
}

/// The names of the goldens: with a mask head on V2, without one on V1.
pub const GOLDENS: [&str; 2] = ["96x160", "v1-100x75"];

pub fn read(name: &str) -> NetworkGolden {
    read_golden(&format!("network-{name}"))
}

/// The file `goldens/NAME.json`.
pub fn read_golden<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/goldens/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl NetworkConfig {
    /// The network with its weights by rule.
    pub fn network(&self, device: &Device) -> MaskRcnn {
        let Self { depths, widths, grn, classes, head_width, box_width, masks } = *self;
        let size = find_model(if grn { "micro" } else { "v1-micro" }).unwrap();
        let config = ModelConfig { depths, widths, classes, ..size.config() };
        let head = MaskRcnnConfig { head_width, box_width, masks, ..MaskRcnnConfig::PAPER };
        let model = MaskRcnn::new(&config, &head, Seed(0), device).unwrap();
        replace_parameters(model, |parameter| {
            let values = golden::parameter(&parameter.name(), &parameter.shape);
            let count = values.len();
            Some(Tensor::from_data(TensorData::new(values, [count]), &parameter.device.inner()))
        })
    }
}

impl NetworkGolden {
    pub fn network(&self, device: &Device) -> MaskRcnn {
        self.config.network(device)
    }

    pub fn images(&self, device: &Device) -> Tensor<4> {
        let shape = [self.batch, 3, self.height, self.width];
        Tensor::from_data(TensorData::new(golden::images(shape), shape), device)
    }

    fn regions(&self) -> Vec<Region> {
        let region =
            |&(image, left, top, right, bottom)| Region { image, bounds: [left, top, right, bottom] };
        self.boxes.iter().map(region).collect()
    }

    /// Every output by its name in the golden, in PyTorch's layout with one flat row.
    pub fn run(&self, model: &MaskRcnn, images: Tensor<4>) -> BTreeMap<String, Tensor<1>> {
        let pyramid = model.pyramid(images, &DropPath::none()).unwrap();
        let mut found = BTreeMap::new();
        let flat = |maps: FeatureMaps| maps.into_tensor().reshape([-1]);
        for (level, maps) in (2..).zip(&pyramid) {
            let output = model.rpn_head.forward(maps);
            found.insert(format!("p{level}"), flat(maps.clone()));
            found.insert(format!("objectness.p{level}"), flat(maps.with_rows(output.objectness)));
            found.insert(format!("deltas.p{level}"), flat(maps.with_rows(output.deltas)));
        }
        let (regions, rules) = (self.regions(), model.head().rules);
        let boxes = model.box_head.forward(&extract(&pyramid, &regions, [BOX_MAP_SIDE; 2], rules));
        found.insert("scores".into(), boxes.scores.reshape([-1]));
        found.insert("box_deltas".into(), boxes.deltas.reshape([-1]));
        if let Some(head) = &model.mask_head {
            let regions: Vec<Region> = self.masks.iter().map(|&index| regions[index]).collect();
            let masks = head.forward(&extract(&pyramid, &regions, [MASK_MAP_SIDE; 2], rules));
            found.insert("mask_logits".into(), flat(masks));
        }
        found
    }
}

/// The sum of all outputs, each value by a factor of its name.
pub fn loss(outputs: &BTreeMap<String, Tensor<1>>) -> Tensor<1> {
    let part = |(name, output): (&String, &Tensor<1>)| {
        let name = format!("factors.{name}");
        let [count] = output.dims();
        let factors: Vec<f32> = (0..count as u64).map(|index| golden::uniform(&name, index) as f32).collect();
        let factors = TensorData::new(factors, [count]).convert_dtype(output.dtype());
        (output.clone() * Tensor::from_data(factors, &output.device())).sum()
    };
    outputs.iter().map(part).reduce(|sum, part| sum + part).unwrap()
}
