//! Arguments about how a segmentation network looks at images.

use anyhow::bail;
use clap::{Args, ValueEnum};
use convnext::core::Preprocessing;
use convnext::core::ResizeRule;
use convnext::segment::{InferenceMode, InferenceOptions, SlidingWindow};

use super::values::{count, positive};

/// How a segmentation network looks at images.
#[derive(Debug, Args)]
pub(crate) struct InferenceArguments {
    /// What goes through the network at once [default: that of the weights' recipe, whole for most; slide where the network's input has more than 4 megapixels]
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
        self.resize.is_some() || self.are_given_besides_resize()
    }

    /// `true` if any of them but the size of the network's input is given.
    pub(crate) fn are_given_besides_resize(&self) -> bool {
        self.mode.is_some()
            || self.crop.is_some()
            || self.stride.is_some()
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
            Some(rule) => of_weights.resized_by(rule, 1),
            None => of_weights,
        }
    }

    /// The options: those asked for, and for the rest those of the weights.
    ///
    /// # Errors
    /// When values do not fit each other.
    pub(crate) fn options(&self, of_weights: InferenceOptions) -> anyhow::Result<InferenceOptions> {
        let has_window = self.crop.is_some() || self.stride.is_some();
        let (mode, large_inputs) = match self.mode {
            Some(ModeName::Whole) if has_window => {
                bail!("--crop and --stride are about windows; leave them out, or give --mode slide")
            }
            Some(ModeName::Whole) => (InferenceMode::Whole, None),
            None if !has_window => (of_weights.mode, of_weights.large_inputs),
            _ => (InferenceMode::Slide(self.window(&of_weights)), None),
        };
        let scales = if self.scales.is_empty() { vec![1.0] } else { self.scales.clone() };
        let options = InferenceOptions { mode, large_inputs, scales, flip: self.flip, ..of_weights };
        options.validate()?;
        Ok(options)
    }

    /// The windows that are asked for, otherwise those of the weights.
    fn window(&self, of_weights: &InferenceOptions) -> SlidingWindow {
        let usual = match (self.crop, of_weights.mode) {
            (Some(crop), _) => SlidingWindow::of_crop(crop),
            (None, InferenceMode::Slide(window)) => window,
            (None, InferenceMode::Whole) => of_weights.large_inputs.unwrap_or_default(),
        };
        SlidingWindow { stride: self.stride.unwrap_or(usual.stride), ..usual }
    }
}
