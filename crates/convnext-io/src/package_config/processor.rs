//! `preprocessor_config.json` of transformers.

use convnext_core::{ImageSize, Interpolation};
use serde::Deserialize;
use serde_json::Value;

use super::forms::{Numbers, Size};
use super::segmentation;
use super::settings::{PackageConfig, PackageCrop};
use crate::convert::TRANSFORMERS_WARP_FROM;

/// Defaults of `ConvNextImageProcessor`.
const USUAL_SHARE: f64 = 224.0 / 256.0;
const USUAL_STATISTICS: f32 = 0.5;

/// An image processor: ConvNeXt's, or one that warps (`ViTImageProcessor`) or resizes and cuts out the centre
/// (`BitImageProcessor`), or that of segmentation networks (`SegformerImageProcessor`).
#[derive(Deserialize)]
pub(super) struct ImageProcessor {
    #[serde(alias = "feature_extractor_type")]
    image_processor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Size>,
    crop_pct: Option<f64>,
    /// Pillow's number of a way of resizing.
    resample: Option<Value>,
    do_center_crop: Option<bool>,
    crop_size: Option<Size>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<Numbers>,
    image_std: Option<Numbers>,
    // What nothing here does.
    rescale_offset: Option<bool>,
    do_flip_channel_order: Option<bool>,
    do_pad: Option<bool>,
}

impl ImageProcessor {
    /// Settings that go before those of the description; `None` where it cuts out images that are no squares,
    /// in another way than it is done here.
    pub(super) fn into_config(self, described: PackageConfig) -> Option<PackageConfig> {
        let mut remarks = described.remarks.clone();
        self.remark(&mut remarks);
        let (image_size, crop) = self.input(&described, &mut remarks)?;
        let interpolation = self.interpolation(&mut remarks).or(described.interpolation);
        let (mean, std) = self.statistics(&described);
        Some(PackageConfig { image_size, crop, mean, std, interpolation, remarks, ..described })
    }

    fn is_of_convnext(&self) -> bool {
        self.has_type("ConvNext")
    }

    fn is_of_segmentation(&self) -> bool {
        self.has_type("Segformer")
    }

    fn has_type(&self, start: &str) -> bool {
        self.image_processor_type.as_deref().is_some_and(|name| name.starts_with(start))
    }

    /// Names what cannot be done.
    fn remark(&self, remarks: &mut Vec<String>) {
        let is_of_segmentation = self.is_of_segmentation();
        if self.do_resize == Some(false) && !is_of_segmentation {
            remarks.push(
                "do_resize is false, but models are given images of one size: images are resized".to_owned(),
            );
        }
        if let Some(Size::ShortestEdge { shortest_edge, longest_edge: Some(longest) }) = self.size
            && !is_of_segmentation
        {
            remarks.push(format!(
                "size has longest_edge {longest}, which is not supported: the short side is resized, by \
                 shortest_edge {shortest_edge}"
            ));
        }
        for (name, value) in [
            ("rescale_offset", self.rescale_offset),
            ("do_flip_channel_order", self.do_flip_channel_order),
            ("do_pad", self.do_pad),
        ] {
            if value == Some(true) {
                remarks.push(format!("{name} is true, which is not supported"));
            }
        }
    }

    /// Size of the input, and the resizing and cropping to it.
    fn input(
        &self,
        described: &PackageConfig,
        remarks: &mut Vec<String>,
    ) -> Option<(Option<ImageSize>, Option<PackageCrop>)> {
        if self.is_of_segmentation() {
            return Some(segmentation::input(self.size, self.do_resize, remarks));
        }
        let size = self.size.map(Size::sides);
        let is_warped = matches!(self.size, Some(Size::Box { .. }));
        if let (Some(true), Some(cut)) = (self.do_center_crop, self.crop_size.map(Size::sides)) {
            let size = size.unwrap_or(cut);
            let are_squares = size.is_square() && cut.is_square();
            if !is_warped && !are_squares {
                return None;
            }
            return Some((Some(cut), Some(self.centre(cut, size, is_warped, remarks))));
        }
        if self.do_center_crop == Some(false) && !is_warped && !self.is_of_convnext() {
            remarks.push(
                "do_center_crop is false, but models are given squares: the centre is cut out".to_owned(),
            );
        }
        let size = size.or(described.image_size);
        if !is_warped && size.is_some_and(|size| !size.is_square()) {
            return None;
        }
        let share = self.crop_pct.or(self.is_of_convnext().then_some(USUAL_SHARE)).map(PackageCrop::Centre);
        let crop = match size {
            Some(size) if size.short_side() >= TRANSFORMERS_WARP_FROM => Some(PackageCrop::Whole),
            _ if is_warped && self.crop_pct.is_none() => Some(PackageCrop::Whole),
            _ => share.or(described.crop),
        };
        Some((size, crop))
    }

    /// A centre of `cut` after resizing to `size`, two squares unless images are warped.
    fn centre(
        &self,
        cut: ImageSize,
        size: ImageSize,
        is_warped: bool,
        remarks: &mut Vec<String>,
    ) -> PackageCrop {
        if is_warped || size.height < cut.height {
            if size != cut {
                let [size, cut] = [size, cut].map(ImageSize::with_unit);
                remarks
                    .push(format!("size is {size} and crop_size {cut}: the whole image is warped to {cut}"));
            }
            return PackageCrop::Whole;
        }
        // The share is turned into pixels again, rounded down.
        let (cut, side) = (cut.height as f64, size.height as f64);
        let share = cut / side;
        PackageCrop::Centre(if (cut / share).floor() == side { share } else { cut / (side + 0.5) })
    }

    fn interpolation(&self, remarks: &mut Vec<String>) -> Option<Interpolation> {
        let stated = self.resample.as_ref().filter(|value| !value.is_null())?;
        let number = stated.as_u64().and_then(|number| usize::try_from(number).ok());
        let found = number.and_then(|number| Interpolation::PILLOW.get(number)).copied();
        if found.is_none() {
            remarks.push(format!("resample {stated} is not a filter of Pillow: images are resized bicubic"));
        }
        found
    }

    /// Mean and standard deviation for values in [0, 1]: what is computed is
    /// `(level * factor - mean) / std`, and a factor other than 1 / 255 is put into the two.
    fn statistics(self, described: &PackageConfig) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
        let usual = self.is_of_convnext().then(|| vec![USUAL_STATISTICS]);
        let (mean, std) = match self.do_normalize {
            Some(false) => (Some(vec![0.0]), Some(vec![1.0])),
            _ => (
                self.image_mean
                    .map(Numbers::into_list)
                    .or_else(|| described.mean.clone())
                    .or_else(|| usual.clone()),
                self.image_std.map(Numbers::into_list).or_else(|| described.std.clone()).or(usual),
            ),
        };
        let factor = match self.do_rescale {
            Some(false) => 1.0,
            _ => self.rescale_factor.unwrap_or(1.0 / 255.0),
        };
        let unit = 255.0 * factor;
        if (unit - 1.0).abs() < 1e-6 {
            return (mean, std);
        }
        let scaled =
            |values: Vec<f32>| values.iter().map(|&value| (f64::from(value) / unit) as f32).collect();
        (mean.map(scaled), std.map(scaled))
    }
}
