//! Arguments about how a segmentation network looks at images.

use anyhow::bail;
use clap::{Args, ValueEnum};
use convnext::core::{ImageSize, Preprocessing, WeightMetadata};
use convnext::segment::{InferenceMode, InferenceOptions, ResizeRule, SegmentRecipe, SlidingWindow};

use super::values::{count, positive};

/// Pixels of an image from which on windows are the default: more would need many gigabytes at once.
const MAX_WHOLE: usize = 2048 * 2048;

/// Side of windows where nothing says it.
const USUAL_CROP: usize = 512;

/// How a segmentation network looks at images.
#[derive(Debug, Args)]
pub(crate) struct InferenceArguments {
    /// What goes through the network at once [default: whole; slide for images of more than 4 megapixels]
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<ModeName>,
    /// Side of the windows of --mode slide, in pixels [default: that of the crops in training]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) crop: Option<usize>,
    /// Distance of neighbouring windows [default: two thirds of their side]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) stride: Option<usize>,
    /// Size of the network's input: none (that of the image), short:N or fit:LONGxSHORT [default: that of the weights]
    #[arg(long, value_name = "RULE")]
    pub(crate) resize: Option<ResizeRule>,
    /// Look at each image at these scales, such as 0.75,1,1.25, and average the probabilities
    #[arg(long, value_name = "S,S,...", value_delimiter = ',', value_parser = positive)]
    pub(crate) scales: Vec<f64>,
    /// Look at the mirror image as well
    #[arg(long)]
    pub(crate) flip: bool,
}

/// What goes through the network at once, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// The whole image
    Whole,
    /// Windows that overlap, whose logits are averaged
    Slide,
}

impl InferenceArguments {
    /// `true` if any of them is given.
    pub(crate) fn are_given(&self) -> bool {
        self.mode.is_some()
            || self.crop.is_some()
            || self.stride.is_some()
            || self.resize.is_some()
            || !self.scales.is_empty()
            || self.flip
    }

    /// `true` if an image is looked at several times.
    pub(crate) fn has_several_looks(&self) -> bool {
        self.flip || self.scales.len() > 1
    }

    /// Preprocessing with the rule of resizing that is asked for, or that of the weights.
    pub(crate) fn preprocessing(&self, of_weights: Preprocessing) -> Preprocessing {
        match self.resize {
            Some(rule) => Preprocessing { geometry: rule.geometry(), ..of_weights },
            None => of_weights,
        }
    }

    /// The options for images of this size, where it is known.
    ///
    /// # Errors
    /// When values do not fit each other.
    pub(crate) fn options(
        &self,
        weights: &WeightMetadata,
        image: Option<ImageSize>,
    ) -> anyhow::Result<InferenceOptions> {
        let is_large = image.is_some_and(|image| image.pixels() > MAX_WHOLE);
        let has_window = self.crop.is_some() || self.stride.is_some();
        let mode = match self.mode {
            Some(ModeName::Whole) if has_window => {
                bail!("--crop and --stride are about windows; leave them out, or give --mode slide")
            }
            Some(ModeName::Whole) => InferenceMode::Whole,
            Some(ModeName::Slide) => InferenceMode::Slide(self.window(weights)),
            None if has_window || is_large => InferenceMode::Slide(self.window(weights)),
            None => InferenceMode::Whole,
        };
        let scales = if self.scales.is_empty() { vec![1.0] } else { self.scales.clone() };
        let options = InferenceOptions { mode, scales, flip: self.flip, ..InferenceOptions::default() };
        options.validate()?;
        Ok(options)
    }

    fn window(&self, weights: &WeightMetadata) -> SlidingWindow {
        let crop = self.crop.or_else(|| crop_of(weights)).unwrap_or(USUAL_CROP);
        let usual = SlidingWindow::of_crop(crop);
        SlidingWindow { stride: self.stride.unwrap_or(usual.stride), ..usual }
    }
}

/// Side of the crops that weights were trained on, as their recipe says.
fn crop_of(weights: &WeightMetadata) -> Option<usize> {
    let recipe: SegmentRecipe = toml::from_str(&weights.recipe).ok()?;
    Some(recipe.input.image_size.short_side())
}
