//! ConvNeXt by its definition (docs/facts.md, "Macro structure", "Block", "GRN"): plain loops in f64.

use std::collections::BTreeMap;
use std::f64::consts::{PI, SQRT_2};

use convnext_core::ModelConfig;
use convnext_io::NamedArray;

const EPSILON: f64 = 1e-6;

/// A map of one image: the values `[channels, height, width]`.
#[derive(Clone)]
pub(super) struct Map {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f64>,
}

impl Map {
    fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width, values: vec![0.0; channels * height * width] }
    }

    /// Zero outside.
    fn at(&self, channel: usize, y: isize, x: isize) -> f64 {
        let inside = (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        if inside { self.values[(channel * self.height + y as usize) * self.width + x as usize] } else { 0.0 }
    }

    /// The values of all channels at a site.
    fn site(&self, site: usize) -> Vec<f64> {
        (0..self.channels).map(|channel| self.values[channel * self.height * self.width + site]).collect()
    }

    /// The map whose sites are `change` of those of this one.
    fn map_sites(&self, channels: usize, change: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let mut changed = Self::new(channels, self.height, self.width);
        let sites = self.height * self.width;
        for site in 0..sites {
            for (channel, value) in change(&self.site(site)).into_iter().enumerate() {
                changed.values[channel * sites + site] = value;
            }
        }
        changed
    }
}

/// The weights by official name, behind a prefix.
pub(super) struct Reference<'a> {
    pub(super) prefix: &'a str,
    pub(super) arrays: &'a BTreeMap<String, NamedArray>,
    pub(super) model: &'a ModelConfig,
}

impl Reference<'_> {
    fn weight(&self, name: &str) -> Vec<f64> {
        let array = &self.arrays[&format!("{}{name}", self.prefix)];
        array.to_f32().unwrap().into_iter().map(f64::from).collect()
    }

    /// The maps after the four stages.
    pub(super) fn features(&self, image: Map) -> Vec<Map> {
        let mut map = image;
        let mut maps = Vec::new();
        for stage in 0..4 {
            map = if stage == 0 {
                let map = self.convolution("downsample_layers.0.0", &map, self.model.stem_stride, 0, 1);
                map.map_sites(map.channels, |site| self.norm("downsample_layers.0.1", site))
            } else {
                let norm = format!("downsample_layers.{stage}.0");
                let map = map.map_sites(map.channels, |site| self.norm(&norm, site));
                self.convolution(&format!("downsample_layers.{stage}.1"), &map, 2, 0, 1)
            };
            for index in 0..self.model.depths[stage] {
                map = self.block(&format!("stages.{stage}.{index}"), &map);
            }
            maps.push(map.clone());
        }
        maps
    }

    pub(super) fn logits(&self, image: Map) -> Vec<f64> {
        let map = self.features(image).pop().unwrap();
        let sites = map.height * map.width;
        let pooled: Vec<f64> =
            map.values.chunks(sites).map(|channel| channel.iter().sum::<f64>() / sites as f64).collect();
        self.linear("head", &self.norm("norm", &pooled))
    }

    fn block(&self, name: &str, map: &Map) -> Map {
        let channels = map.channels;
        let convolved = self.convolution(&format!("{name}.dwconv"), map, 1, 3, channels);
        let mut hidden = convolved.map_sites(4 * channels, |site| {
            let normalised = self.norm(&format!("{name}.norm"), site);
            self.linear(&format!("{name}.pwconv1"), &normalised).into_iter().map(gelu).collect()
        });
        if self.model.has_grn() {
            hidden = self.grn(&format!("{name}.grn"), &hidden);
        }
        let mut branch = hidden.map_sites(channels, |site| self.linear(&format!("{name}.pwconv2"), site));
        if self.model.layer_scale.is_some() {
            let gamma = self.weight(&format!("{name}.gamma"));
            branch = branch.map_sites(channels, |site| site.iter().zip(&gamma).map(|(x, g)| x * g).collect());
        }
        for (value, before) in branch.values.iter_mut().zip(&map.values) {
            *value += before;
        }
        branch
    }

    /// Equations 1 to 3 of the paper.
    fn grn(&self, name: &str, map: &Map) -> Map {
        let (gamma, beta) = (self.weight(&format!("{name}.gamma")), self.weight(&format!("{name}.beta")));
        let norms: Vec<f64> = (map.values.chunks(map.height * map.width))
            .map(|channel| channel.iter().map(|x| x * x).sum::<f64>().sqrt())
            .collect();
        let mean = norms.iter().sum::<f64>() / norms.len() as f64;
        map.map_sites(map.channels, |site| {
            let channel = |(c, x): (usize, &f64)| gamma[c] * (x * norms[c] / (mean + EPSILON)) + beta[c] + x;
            site.iter().enumerate().map(channel).collect()
        })
    }

    fn linear(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let weight = self.weight(&format!("{name}.weight"));
        let bias = self.weight(&format!("{name}.bias"));
        let products = weight.chunks(row.len()).map(|w| w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>());
        products.zip(bias).map(|(product, bias)| product + bias).collect()
    }

    fn norm(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let weight = self.weight(&format!("{name}.weight"));
        let bias = self.weight(&format!("{name}.bias"));
        let count = row.len() as f64;
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let normalise =
            |(c, x): (usize, &f64)| weight[c] * (x - mean) / (variance + EPSILON).sqrt() + bias[c];
        row.iter().enumerate().map(normalise).collect()
    }

    /// A weight `[outputs, inputs of a group, side, side]`; what is left over at the end is not seen.
    fn convolution(&self, name: &str, map: &Map, stride: usize, padding: usize, groups: usize) -> Map {
        let shape = &self.arrays[&format!("{}{name}.weight", self.prefix)].shape;
        let &[outputs, inputs, side, _] = shape.as_slice() else { panic!("{name} has shape {shape:?}") };
        let weight = self.weight(&format!("{name}.weight"));
        let bias = self.weight(&format!("{name}.bias"));
        let count = |length: usize| (length + 2 * padding - side) / stride + 1;
        let mut result = Map::new(outputs, count(map.height), count(map.width));
        let sites = result.height * result.width;
        for (index, value) in result.values.iter_mut().enumerate() {
            let (output, y, x) = (index / sites, index % sites / result.width, index % result.width);
            *value = bias[output];
            for (tap, w) in weight[output * inputs * side * side..][..inputs * side * side].iter().enumerate()
            {
                let (input, ky, kx) = (tap / (side * side), tap / side % side, tap % side);
                let channel = output / (outputs / groups) * inputs + input;
                let place = |o: usize, k: usize| (o * stride + k) as isize - padding as isize;
                *value += w * map.at(channel, place(y, ky), place(x, kx));
            }
        }
        result
    }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / SQRT_2))
}

/// Abramowitz and Stegun 7.1.6, whose terms are all of one sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

#[test]
fn erf_is_the_one_of_the_tables() {
    for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)]
    {
        assert!((erf(x) - expected).abs() < 1e-10 && (erf(-x) + expected).abs() < 1e-10, "{x}");
    }
}
