//! Reads the golden values of PyTorch in `tests/goldens`, and generates the weights and images that they
//! were computed from. `tests/goldens/README.md` describes the files.
//!
//! Every parameter is a function of its official name ("weights by rule"): the functions here and in
//! `tests/goldens/rule.py` give the same bits.

// Each test includes this file as a module and uses a part of it. The switch of clippy that exempts
// tests reaches `#[test]` functions only, so what helps them says it here.
#![allow(dead_code, unreachable_pub, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Norms below this count as this when errors are made relative.
const NORM_FLOOR: f64 = 1e-7;

/// The relative error that is always accepted.
const TOLERANCE: f64 = 1e-5;

// The rule.

/// FNV-1a of the bytes of a name.
fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// 64 random bits for an index of the name with this hash (splitmix64).
fn bits(hash: u64, index: u64) -> u64 {
    let z = hash.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `count` values of [`uniform`] after `map`, rounded to f32.
fn values(name: &str, count: usize, map: impl Fn(f64) -> f64) -> Vec<f32> {
    let hash = fnv1a64(name);
    (0..count as u64).map(|index| map(from_bits(bits(hash, index))) as f32).collect()
}

fn from_bits(bits: u64) -> f64 {
    (bits >> 11) as f64 * 2.0_f64.powi(-53) * 2.0 - 1.0
}

/// A value in [-1, 1) for each index of a name.
pub fn uniform(name: &str, index: u64) -> f64 {
    from_bits(bits(fnv1a64(name), index))
}

/// A parameter by its official name, row-major in its official PyTorch shape, such as
/// `stages.0.1.pwconv1.weight` [4C, C] or, of FCMAE, `encoder.stages.0.1.grn.gamma` [1, 1, 1, 4C].
pub fn parameter(name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    if name.ends_with(".bias") || name.ends_with(".beta") {
        values(name, count, |u| 0.2 * u)
    } else if name.ends_with(".grn.gamma") || name == "mask_token" {
        values(name, count, |u| 0.5 * u)
    } else if name.ends_with(".gamma") {
        values(name, count, |u| 0.5 + 0.4 * u) // LayerScale
    } else if shape.len() == 1 {
        values(name, count, |u| 1.0 + 0.5 * u) // LayerNorm
    } else {
        let fan_in: usize = shape[1..].iter().product();
        let scale = (3.0 / fan_in as f64).sqrt();
        values(name, count, |u| u * scale)
    }
}

/// The input images, [N, C, H, W].
pub fn images(shape: [usize; 4]) -> Vec<f32> {
    values("images", shape.iter().product(), |u| 1.5 * u)
}

/// The output gradient of the logits [N, classes]: the classifier's loss is its dot product with the logits.
pub fn cotangent(len: usize) -> Vec<f32> {
    values("cotangent", len, |u| u)
}

// Comparing.

/// A tensor by its norm and random projections.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sketch {
    /// Official PyTorch shape.
    pub shape: Vec<usize>,
    /// L2 norm.
    pub norm: f64,
    /// Sums of all values with the signs of random bits: bit k of index i tells the sign (set: +)
    /// of value i in projection k.
    pub projections: [f64; 8],
    /// The relative error of PyTorch in float32.
    pub float32_error: f64,
}

impl Sketch {
    /// Estimates `||values - tensor|| / ||tensor||`, for values in the order of the official shape.
    ///
    /// The estimate has no bias in the square, and is mostly within a factor of two of the truth.
    /// It is NaN when a value is.
    pub fn relative_error<T: Copy + Into<f64>>(&self, values: &[T]) -> f64 {
        let count: usize = self.shape.iter().product();
        assert_eq!(values.len(), count, "a tensor of the shape {:?} has {count} values", self.shape);
        let hash = fnv1a64("sketch");
        let mut found = [0.0_f64; 8];
        for (index, &value) in (0_u64..).zip(values) {
            let bits = bits(hash, index);
            for (k, sum) in found.iter_mut().enumerate() {
                let value: f64 = value.into();
                *sum += if bits >> k & 1 == 1 { value } else { -value };
            }
        }
        let squares = found.iter().zip(self.projections).map(|(found, exact)| (found - exact).powi(2));
        (squares.sum::<f64>() / 8.0).sqrt() / self.norm.max(NORM_FLOOR)
    }

    /// Asserts that the values are the tensor, to [`TOLERANCE`] or twice PyTorch's own error in float32.
    pub fn check<T: Copy + Into<f64>>(&self, what: &str, values: &[T]) {
        let count: usize = self.shape.iter().product();
        assert_eq!(values.len(), count, "{what}: a tensor of the shape {:?}", self.shape);
        check_error(what, self.relative_error(values), self.float32_error, self.norm);
    }
}

/// Asserts that an error is at most [`TOLERANCE`] or twice that of PyTorch in float32.
fn check_error(what: &str, error: f64, float32_error: f64, norm: f64) {
    let allowed = TOLERANCE.max(2.0 * float32_error);
    // Not `error > allowed`: NaN must fail.
    assert!(
        error <= allowed,
        "{what}: relative error {error:.2e}, allowed {allowed:.2e} (PyTorch in float32: {float32_error:.2e}; \
         norm {norm:.3e})"
    );
}

/// `||found - exact|| / ||exact||`.
pub fn relative_error(found: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(found.len(), exact.len(), "number of values");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(exact).map(|(&found, exact)| f64::from(found) - exact));
    difference / norm(&mut exact.iter().copied()).max(NORM_FLOOR)
}

// The files.

/// The configuration of an encoder or classifier.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelGolden {
    /// Blocks in each stage.
    pub depths: [usize; 4],
    /// Channels of each stage.
    pub widths: [usize; 4],
    /// Global Response Normalization in each block.
    pub grn: bool,
    /// LayerScale in each block.
    pub layer_scale: bool,
    /// Number of classes; 0 for the encoder of FCMAE.
    pub classes: usize,
    /// Channels of the images.
    pub input_channels: usize,
    /// Side and stride of the stem convolution.
    pub stem_stride: usize,
}

/// The decoder of FCMAE.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderGolden {
    /// Number of blocks.
    pub depth: usize,
    /// Channels.
    pub width: usize,
    /// Global Response Normalization in each block.
    pub grn: bool,
    /// LayerScale in each block.
    pub layer_scale: bool,
}

/// A file of `goldens/classifier`. The gradients are those of the sum of logits times [`cotangent`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierGolden {
    /// Name of the file without `.json`.
    pub name: String,
    /// The model.
    pub config: ModelGolden,
    /// Number of images.
    pub batch: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
    /// [N, classes].
    pub logits: Vec<Vec<f64>>,
    /// The relative error of the logits of PyTorch in float32.
    pub logits_float32_error: f64,
    /// Output of each stage, [N, C, H, W].
    pub features: [Sketch; 4],
    /// Gradient of the images, [N, C, H, W].
    pub input_gradient: Sketch,
    /// Gradient of every parameter, by official name and in the official shape.
    pub gradients: BTreeMap<String, Sketch>,
}

impl ClassifierGolden {
    /// Shape of the images, for [`images`].
    pub fn image_shape(&self) -> [usize; 4] {
        [self.batch, self.config.input_channels, self.height, self.width]
    }

    /// Asserts that these are the logits [N, classes], under the tolerance of sketches.
    pub fn check_logits(&self, logits: &[f32]) {
        let exact = self.logits.concat();
        let norm = exact.iter().map(|value| value * value).sum::<f64>().sqrt();
        let what = format!("{}: logits", self.name);
        check_error(&what, relative_error(logits, &exact), self.logits_float32_error, norm);
    }
}

/// A file of `goldens/fcmae`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcmaeGolden {
    /// Name of the file without `.json`.
    pub name: String,
    /// The encoder.
    pub config: ModelGolden,
    /// The decoder.
    pub decoder: DecoderGolden,
    /// The target is normalised within each patch.
    pub normalize_target: bool,
    /// Fraction of removed patches, which determines the number of kept ones.
    pub mask_ratio: f64,
    /// Number of images.
    pub batch: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
    /// The patches of each image that are kept, ascending.
    pub kept: Vec<Vec<usize>>,
    /// Mean squared error over the values of the removed patches.
    pub loss: f64,
    /// The relative error of the loss of PyTorch in float32.
    pub loss_float32_error: f64,
    /// Prediction at removed patches in the order (image, patch), [removed in all images, values];
    /// the values of a patch in the order (row, column, channel), channel fastest.
    pub prediction: Sketch,
    /// Gradient of every parameter, by official name and in the official shape.
    pub gradients: BTreeMap<String, Sketch>,
}

impl FcmaeGolden {
    /// Shape of the images, for [`images`].
    pub fn image_shape(&self) -> [usize; 4] {
        [self.batch, self.config.input_channels, self.height, self.width]
    }

    /// Asserts that this is the loss, to 1e-5.
    pub fn check_loss(&self, loss: f32) {
        let error = relative_error(&[loss], &[self.loss]);
        let Self { name, loss: exact, .. } = self;
        assert!(error <= 1e-5, "{name}: loss {loss}, PyTorch {exact}, relative error {error:.2e}");
    }
}

/// Reads one golden file; the path is relative to `tests/goldens`.
pub fn load<T: DeserializeOwned>(path: impl AsRef<Path>) -> T {
    let path = folder().join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All golden files of a folder of `tests/goldens`, by name.
///
/// ```ignore
/// for golden in golden::all::<ClassifierGolden>("classifier") { … }
/// ```
pub fn all<T: DeserializeOwned>(name: &str) -> impl Iterator<Item = T> {
    let path = folder().join(name);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", path.display())).path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .collect();
    assert!(!files.is_empty(), "{} holds no golden files", path.display());
    files.sort();
    files.into_iter().map(load)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}
