//! A block in f64, as the paper defines it, and its kernels on the same values.

use crate::block::block_forward;
use crate::block::input::BlockInput;
use crate::block::packed::PackedBlock;
use crate::block::saved::Save;
use crate::block::weights::{BlockWeights, GrnWeights};
use crate::block_backward::{BlockGradients, block_backward};
use crate::grn_variant::{GrnVariant, Normalisation};
use crate::precision::Precision;
use crate::sites::Sites;
use crate::target::Target;
use crate::testing::noise;

/// The inputs of a block, as one list of tensors in f64.
#[derive(Clone)]
pub(super) struct Example {
    pub(super) sites: Sites,
    pub(super) channels: usize,
    /// Rows, then the parameters in the order of [`BlockWeights`].
    pub(super) tensors: Vec<Vec<f64>>,
    pub(super) scales: Option<Vec<f32>>,
    pub(super) grn: Option<GrnVariant>,
}

pub(super) const ROWS: usize = 0;
const EXPAND_BIAS: usize = 6;
const GAMMA: usize = 9;
const LAYER_SCALE: usize = 11;

impl Example {
    pub(super) fn new(sites: Sites, channels: usize, grn: bool, drop: bool) -> Self {
        let width = 4 * channels;
        let sizes = [
            sites.rows() * channels,
            49 * channels,
            channels,
            channels,
            channels,
            width * channels,
            width,
            channels * width,
            channels,
            width,
            width,
            channels,
        ];
        let tensor = |(index, size): (usize, usize)| {
            let scale = if [5, 7].contains(&index) { 2.0 / (channels as f64).sqrt() } else { 0.6 };
            noise(size, 7 + index as u64)
                .iter()
                .map(|&value| (scale * f64::from(value)) as f32 as f64)
                .collect()
        };
        let scales = drop.then(|| (0..sites.images()).map(|image| [0.0, 1.25, 1.25][image % 3]).collect());
        let grn = grn.then_some(GrnVariant::GRN);
        Self { tensors: sizes.into_iter().enumerate().map(tensor).collect(), sites, channels, scales, grn }
    }

    /// The same with a variant of GRN.
    pub(super) fn with_variant(self, normalisation: Normalisation, is_residual: bool) -> Self {
        Self { grn: Some(GrnVariant { normalisation, is_residual }), ..self }
    }

    /// The same with so many hidden units, the first ones, whose GELU is 0 at every site.
    pub(super) fn with_dead_units(mut self, count: usize) -> Self {
        self.tensors[EXPAND_BIAS][..count].fill(-40.0);
        self
    }

    /// The block as the paper defines it.
    pub(super) fn forward(&self) -> Vec<f64> {
        let [x, taps, tap_bias, norm, norm_bias, expand, expand_bias, project, bias, gamma, beta, scale] =
            <&[Vec<f64>; 12]>::try_from(&self.tensors[..]).unwrap();
        let (c, e) = (self.channels, 4 * self.channels);
        let (height, width) = (self.sites.height(), self.sites.width());
        let places = self.sites.positions();
        let per_image = self.sites.rows_per_image();
        let mut out = x.clone();
        for image in 0..self.sites.images() {
            let factor = self.scales.as_ref().map_or(1.0, |scales| f64::from(scales[image]));
            let rows = image * per_image..(image + 1) * per_image;
            let mut h = vec![vec![0.0; e]; per_image];
            for (h, row) in h.iter_mut().zip(rows.clone()) {
                let (y, x_at) = (places[row] / width % height, places[row] % width);
                let mut values = tap_bias.clone();
                for other in rows.clone() {
                    let (v, u) = (places[other] / width % height, places[other] % width);
                    let (dy, dx) = (v as isize - y as isize + 3, u as isize - x_at as isize + 3);
                    if (0..7).contains(&dy) && (0..7).contains(&dx) {
                        for channel in 0..c {
                            values[channel] +=
                                x[other * c + channel] * taps[channel * 49 + (dy * 7 + dx) as usize];
                        }
                    }
                }
                let mean = values.iter().sum::<f64>() / c as f64;
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / c as f64;
                for (channel, value) in values.iter_mut().enumerate() {
                    *value = (*value - mean) / (variance + 1e-6).sqrt() * norm[channel] + norm_bias[channel];
                }
                for (unit, h) in h.iter_mut().enumerate() {
                    let u: f64 = values.iter().zip(&expand[unit * c..]).map(|(a, b)| a * b).sum();
                    *h = gelu(u + expand_bias[unit]);
                }
            }
            if let Some(variant) = self.grn {
                let norms: Vec<f64> = (0..e)
                    .map(|unit| h.iter().map(|row| row[unit] * row[unit]).sum::<f64>().sqrt())
                    .collect();
                let factors = factors(&norms, variant.normalisation);
                for row in &mut h {
                    for unit in 0..e {
                        let kept = if variant.is_residual { row[unit] } else { 0.0 };
                        row[unit] = kept + gamma[unit] * row[unit] * factors[unit] + beta[unit];
                    }
                }
            }
            for (row, h) in rows.zip(&h) {
                for channel in 0..c {
                    let value: f64 = h.iter().zip(&project[channel * e..]).map(|(a, b)| a * b).sum();
                    let scale = if self.grn.is_some() { 1.0 } else { scale[channel] };
                    out[row * c + channel] += factor * scale * (value + bias[channel]);
                }
            }
        }
        out
    }

    fn narrow(&self) -> Vec<Vec<f32>> {
        self.tensors.iter().map(|tensor| tensor.iter().map(|&value| value as f32).collect()).collect()
    }

    /// Calls `f` with the rows and the parameters.
    pub(super) fn with_weights<T>(&self, f: impl FnOnce(&[f32], &BlockWeights<'_>) -> T) -> T {
        let t = self.narrow();
        let weights = BlockWeights {
            depthwise_weight: &t[1],
            depthwise_bias: &t[2],
            norm_weight: &t[3],
            norm_bias: &t[4],
            expand_weight: &t[5],
            expand_bias: &t[6],
            project_weight: &t[7],
            project_bias: &t[8],
            grn: self.grn.map(|variant| GrnWeights { variant, gamma: &t[9], beta: &t[10] }),
            layer_scale: self.grn.is_none().then_some(&t[11]),
        };
        f(&t[ROWS], &weights)
    }

    pub(super) fn input<'a>(
        &'a self,
        target: Target,
        rows: &'a [f32],
        weights: &'a BlockWeights<'a>,
    ) -> BlockInput<'a> {
        BlockInput { target, ..BlockInput::new(&self.sites, rows, weights, self.scales.as_deref()) }
    }

    /// All gradients for an output gradient, with saved activations.
    pub(super) fn gradients(
        &self,
        target: Target,
        precision: Precision,
        save: Save,
        dout: &[f32],
    ) -> Vec<Vec<f32>> {
        self.with_weights(|rows, weights| {
            let input = self.input(target, rows, weights);
            let packed = PackedBlock::new(weights, precision);
            let (_, saved) = block_forward(&input, &packed, save);
            list(block_backward(&input, precision, saved, dout))
        })
    }

    /// `true` if the block has this tensor.
    pub(super) fn has(&self, tensor: usize) -> bool {
        match tensor {
            LAYER_SCALE => self.grn.is_none(),
            GAMMA.. => self.grn.is_some(),
            _ => true,
        }
    }
}

/// N of an image's norms.
fn factors(norms: &[f64], normalisation: Normalisation) -> Vec<f64> {
    let count = norms.len() as f64;
    let mean = norms.iter().sum::<f64>() / count;
    let variance = norms.iter().map(|norm| (norm - mean).powi(2)).sum::<f64>() / count;
    let factor = |norm: &f64| match normalisation {
        Normalisation::Mean => norm / (mean + 1e-6),
        Normalisation::Standardised => (norm - mean) / (variance + 1e-6).sqrt(),
        Normalisation::Sum => 1.0 / (mean + 1e-6),
        Normalisation::Norm => *norm,
        Normalisation::One => 1.0,
    };
    norms.iter().map(factor).collect()
}

/// Exact GELU in f64: Phi from its series, which converges for all other x that occur here. Below -30 it is 0 in f32.
fn gelu(x: f64) -> f64 {
    if x < -30.0 {
        return 0.0;
    }
    let (mut term, mut sum) = (x, x);
    for k in 1..120 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    x * (0.5 + (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum)
}

/// All gradients in the order of the example's tensors.
pub(super) fn list(gradients: BlockGradients) -> Vec<Vec<f32>> {
    let BlockGradients { rows, grn, layer_scale, .. } = gradients;
    let [gamma, beta] = grn.unwrap_or_default();
    vec![
        rows.to_vec(),
        gradients.depthwise_weight,
        gradients.depthwise_bias,
        gradients.norm_weight,
        gradients.norm_bias,
        gradients.expand_weight,
        gradients.expand_bias,
        gradients.project_weight,
        gradients.project_bias,
        gamma,
        beta,
        layer_scale.unwrap_or_default(),
    ]
}
