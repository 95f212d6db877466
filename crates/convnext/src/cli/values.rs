//! Values that several commands share, with their ranges. A value out of its range ends with code 2.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use convnext::core::{ImageSize, MAX_BLOCKS, MAX_CHANNELS, MAX_IMAGE_SIDE, ModelSize, find_model};
use convnext::data::{OnCorrupt, Orientation, is_collection};
use convnext::detect::Tiles;
use convnext::distributed::Ranks;
use convnext::nn::{DeviceName, Precision};
use convnext::train::{EvalLoaderConfig, GradientSum};

/// A model's name, as `convnext models` lists them.
pub(crate) fn model(name: &str) -> Result<&'static ModelSize, String> {
    find_model(name).map_err(|error| error.to_string())
}

/// A count of at least 1.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match usize::from_str(text) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err("expected a whole number of at least 1".into()),
    }
}

fn count_to(text: &str, most: usize) -> Result<usize, String> {
    match usize::from_str(text) {
        Ok(value) if (1..=most).contains(&value) => Ok(value),
        _ => Err(format!("expected a whole number from 1 to {most}")),
    }
}

/// A number of threads; more than this is a typo.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    count_to(text, 1024)
}

/// Images of a batch that is timed; more than this is a typo.
pub(crate) fn timed_batch(text: &str) -> Result<usize, String> {
    count_to(text, 65_536)
}

/// Steps that are timed; more than this is a typo.
pub(crate) fn timed_steps(text: &str) -> Result<usize, String> {
    count_to(text, 1_000_000)
}

/// Height and width of an image in pixels, or the side of a square.
pub(crate) fn image_size(text: &str) -> Result<ImageSize, String> {
    let expected = || format!("expected a whole number from 1 to {MAX_IMAGE_SIDE}, or two as HEIGHTxWIDTH");
    text.parse().map_err(|_| expected())
}

/// Channels of images: more than any camera has is a typo.
pub(crate) fn channels(text: &str) -> Result<usize, String> {
    count_to(text, 256)
}

/// The side of tiles in pixels; 0 for none.
pub(crate) fn tile_side(text: &str) -> Result<usize, String> {
    let least = Tiles::LEAST_SIDE;
    match usize::from_str(text) {
        Ok(side) if side == 0 || (least..=MAX_IMAGE_SIDE).contains(&side) => Ok(side),
        _ => Err(format!("expected a whole number from {least} to {MAX_IMAGE_SIDE}, or 0")),
    }
}

/// The share of a tile that the next one covers as well.
pub(crate) fn tile_overlap(text: &str) -> Result<f64, String> {
    let most = Tiles::MOST_OVERLAP;
    match f64::from_str(text) {
        Ok(overlap) if (0.0..=most).contains(&overlap) => Ok(overlap),
        _ => Err(format!("expected a number from 0 to {most}")),
    }
}

/// Blocks of a decoder.
pub(crate) fn decoder_depth(text: &str) -> Result<usize, String> {
    count_to(text, MAX_BLOCKS)
}

/// Channels of a decoder.
pub(crate) fn decoder_width(text: &str) -> Result<usize, String> {
    count_to(text, MAX_CHANNELS)
}

/// A page to write; a name that is none of a page may be that of something dear.
pub(crate) fn page(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_page = |extension: &OsStr| ["html", "htm"].iter().any(|page| extension.eq_ignore_ascii_case(page));
    match path.extension() {
        Some(extension) if is_page(extension) => Ok(path),
        _ => Err("expected a file that ends in .html".into()),
    }
}

/// A key and a value.
pub(crate) fn setting(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected key=value".into()),
    }
}

/// The side and stride of the stem.
pub(crate) fn stem_stride(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "2" => Ok(2),
        "4" => Ok(4),
        _ => Err("expected 1, 2 or 4".into()),
    }
}

/// A share strictly between 0 and 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match f64::from_str(text) {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("expected a number between 0 and 1, both excluded".into()),
    }
}

/// A share that may be 0.
pub(crate) fn share_or_zero(text: &str) -> Result<f64, String> {
    match f64::from_str(text) {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1, 1 excluded".into()),
    }
}

/// A positive, finite number.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match f64::from_str(text) {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("expected a number above 0".into()),
    }
}

/// Order in which ranks add up gradients, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum GradientSumName {
    /// That of the micro-batches: the bits of one process, for any number of ranks
    #[default]
    Ordered,
    /// Each rank adds up its own first: less to send, but the bits depend on the number of ranks
    Fast,
}

impl From<GradientSumName> for GradientSum {
    fn from(name: GradientSumName) -> Self {
        match name {
            GradientSumName::Ordered => Self::Ordered,
            GradientSumName::Fast => Self::Fast,
        }
    }
}

/// Precision in which linear layers multiply, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PrecisionName {
    /// 32-bit floating point
    #[default]
    F32,
    /// Products of values rounded to bf16, summed up in f32; on the CPU only
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

/// Threads, device and precision to compute with.
#[derive(Debug, Args)]
pub(crate) struct MachineArguments {
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// Where to compute: cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceName,
    /// What linear layers compute with
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub(crate) precision: PrecisionName,
}

/// Arguments for reading images.
#[derive(Debug, Args)]
pub(crate) struct DecodeArguments {
    /// Do not turn images as their EXIF data says (most Python pipelines do not)
    #[arg(long)]
    pub(crate) ignore_orientation: bool,
}

impl DecodeArguments {
    pub(crate) fn orientation(&self) -> Orientation {
        if self.ignore_orientation { Orientation::Ignore } else { Orientation::Honour }
    }

    /// Loader configuration for images that go through a network once. Files that were named must be readable;
    /// in folders and archives an unreadable image is left out, unless `strict`.
    pub(crate) fn reading(
        &self,
        named: &[PathBuf],
        batch_size: usize,
        threads: usize,
        strict: bool,
    ) -> EvalLoaderConfig {
        let tolerant = !strict && named.iter().any(|path| is_collection(path));
        let on_corrupt = if tolerant { OnCorrupt::Skip } else { OnCorrupt::Fail };
        EvalLoaderConfig {
            batch_size,
            threads,
            orientation: self.orientation(),
            on_corrupt,
            ranks: Ranks::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert_eq!(count("3"), Ok(3));
        assert!(["0", "-1", "1.5", "x"].iter().all(|text| count(text).is_err()));
        assert!(["0", "1", "1.2", "-0.1", "nan"].iter().all(|text| share(text).is_err()));
        assert!(["0", "-1", "inf", "nan"].iter().all(|text| positive(text).is_err()));
        assert_eq!(image_size("32x48"), Ok([32, 48].into()));
        assert!(["0", "1025"].iter().all(|text| threads(text).is_err()));
        assert!(
            ["0", "100000000", "32x", "32x0", "-1x5", "1x2x3"].iter().all(|text| image_size(text).is_err())
        );
        assert!(["0", "100000000"].iter().all(|text| decoder_width(text).is_err()));
        assert!(["0", "257", "x"].iter().all(|text| channels(text).is_err()));
        assert!(["0", "3", "8"].iter().all(|text| stem_stride(text).is_err()));
        assert!(["weights.safetensors", "html", "a"].iter().all(|text| page(text).is_err()));
        assert!(page("a/B.HTML").is_ok());
        assert!(["epochs", "=3"].iter().all(|text| setting(text).is_err()));
        assert!(model("giant").unwrap_err().contains("known models: atto"));
    }
}
