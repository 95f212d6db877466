//! The configuration of a package, whatever file it stood in.

use convnext_core::{COLOURS, ClassNames, Fit, Geometry, ImageSize, Interpolation, Preprocessing};

/// Resizing and cropping in evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PackageCrop {
    /// The short side is resized to the image size over this share, and the centre cut out.
    Centre(f64),
    /// The whole image is warped.
    Whole,
    /// The image is resized in its proportions to at most so many pixels at each side, as those to be segmented.
    Fit {
        /// Most pixels of the longer side.
        long: usize,
        /// Most pixels of the shorter side.
        short: usize,
    },
    /// The image keeps its size, as those to be segmented.
    Unresized,
}

/// Configuration of timm or transformers for the use of weights; `None` is what they do not say.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct PackageConfig {
    /// Size of the images of the training.
    pub image_size: Option<ImageSize>,
    /// Resizing and cropping in evaluation.
    pub crop: Option<PackageCrop>,
    /// Mean of each channel, subtracted from values in [0, 1]; a single one is for all channels.
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of each channel, divided by; a single one is for all channels.
    pub std: Option<Vec<f32>>,
    /// The filter of the resizing.
    pub interpolation: Option<Interpolation>,
    /// Classes of the head; 0 for an encoder alone.
    pub classes: Option<usize>,
    /// Their names, in the order of the logits; empty where they have numbers that do not go from 0 on.
    pub class_names: Option<ClassNames>,
    /// The licence of the weights.
    pub licence: Option<String>,
    /// Settings that are not followed, by the name of the field, and what is done instead.
    pub remarks: Vec<String>,
}

impl PackageConfig {
    /// Preprocessing: what is said here, and the rest as otherwise. Statistics of colours become those of
    /// other channels as in [`Preprocessing::for_channels`].
    pub fn preprocessing(&self, otherwise: Preprocessing) -> Preprocessing {
        let sized = match self.image_size {
            Some(size) => otherwise.at_size(size),
            None => otherwise,
        };
        let channels = sized.channels();
        let of_channels = |stated: &Option<Vec<f32>>, otherwise: Vec<f32>| match stated.as_deref() {
            None => otherwise,
            Some([one]) => vec![*one; channels],
            Some(values) => values.to_vec(),
        };
        let stated = Preprocessing {
            geometry: match (self.crop, sized.image_size()) {
                (Some(PackageCrop::Centre(crop)), Some(size)) => Geometry::CentreCrop { size, crop },
                (Some(PackageCrop::Whole), Some(size)) => Geometry::Warp { size },
                (Some(PackageCrop::Fit { long, short }), _) => Geometry::Fit(Fit { long, short, pad: 1 }),
                (Some(PackageCrop::Unresized), _) => Geometry::None { pad: 1 },
                (None, _) | (_, None) => sized.geometry,
            },
            mean: of_channels(&self.mean, sized.mean),
            std: of_channels(&self.std, sized.std),
            interpolation: self.interpolation.unwrap_or(sized.interpolation),
            ..sized
        };
        // A model that was adapted to other channels still states its colours.
        let is_of_colours = stated.mean.len() == COLOURS && stated.std.len() == COLOURS;
        if is_of_colours { stated.for_channels(channels) } else { stated }
    }
}
