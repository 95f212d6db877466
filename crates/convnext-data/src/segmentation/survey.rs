//! Survey of the masks of a data set: what is in them and what is wrong with them.

use std::collections::BTreeMap;
use std::path::Path;

use convnext_core::{ImageSize, Seed};
use serde::Serialize;

use crate::error::DataError;
use crate::loading::corrupt_file::CorruptFile;
use crate::pixels::label_map::LabelMap;
use crate::segmentation::data::{SegmentationData, SegmentationLayout};
use crate::segmentation::found::Found;
use crate::segmentation::open::{Opened, data_of};
use crate::segmentation::seen::{MaskCounts, Seen, SeenValues};
use crate::segmentation::set::SegmentationSet;
use crate::segmentation::value::MaskValue;

/// Result of [`survey_masks`]. Everything is in the order of the data.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentationSurvey {
    /// Number of images with a mask, readable or not.
    pub pairs: usize,
    /// The names of the classes; empty where the masks are refused.
    pub classes: Vec<String>,
    /// The parts, as training takes them.
    pub parts: Vec<SurveyedLabels>,
    /// The values of the masks.
    pub values: Vec<SurveyedValue>,
    /// Number of masks by the kind of their pixels.
    pub kinds: BTreeMap<String, usize>,
    /// The sizes with the fewest and the most pixels; `None` when no mask can be used.
    pub sizes: Option<[ImageSize; 2]>,
    /// What was decided about the masks, in words.
    pub decisions: Vec<String>,
    /// Reason why the values do not tell classes, with a remedy.
    pub refusal: Option<String>,
    /// Masks that cannot be read or do not fit their images. All else is about the others.
    pub unusable: Vec<CorruptFile>,
    /// Images without a mask.
    pub images_alone: Vec<String>,
    /// Masks without an image.
    pub masks_alone: Vec<String>,
    /// The images and label maps; `None` where the masks are refused. They are left out of what serde writes.
    #[serde(skip)]
    pub data: Option<SegmentationData>,
}

/// Labels of a part.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyedLabels {
    /// `train`, `validation`, `held out` or `test`.
    pub name: &'static str,
    /// Description of the source of the images.
    pub source: String,
    /// Number of images.
    pub images: usize,
    /// Pixels of each class.
    pub pixels_per_class: Vec<u64>,
    /// Images with pixels of each class.
    pub images_per_class: Vec<u64>,
    /// Pixels that are ignored.
    pub ignored_pixels: u64,
}

impl SurveyedLabels {
    /// A number of pixels as a share of all of the part, in words such as `12.50 %`.
    pub fn share(&self, pixels: u64) -> String {
        let all = self.pixels_per_class.iter().sum::<u64>() + self.ignored_pixels;
        format!("{:.2} %", 100.0 * pixels as f64 / all.max(1) as f64)
    }
}

/// A value of the masks.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyedValue {
    /// The value.
    pub value: MaskValue,
    /// Pixels with it.
    pub pixels: u64,
    /// Masks with it.
    pub masks: usize,
    /// Its class; `None` for a value that is ignored or refused.
    pub class: Option<String>,
    /// `true` if it is ignored.
    pub ignored: bool,
}

/// Reads every mask of a data set, divided as [`crate::open_segmentation`] does it. Masks that cannot be used, and values
/// that do not tell classes, are findings and no errors. `threads` of at least 1 read them, or all cores.
///
/// `progress` is called with the number of masks done after each one, and that of all.
///
/// # Errors
/// [`DataError`] when the data cannot be opened, or no image has a mask.
pub fn survey_masks(
    path: &Path,
    layout: &SegmentationLayout,
    seed: Seed,
    threads: Option<usize>,
    mut progress: impl FnMut(usize, usize),
) -> Result<SegmentationSurvey, DataError> {
    let mut found = Found::of(path, layout)?;
    let pairs = found.masks.len();
    let results = found.count(threads, |done| progress(done, pairs));
    let unusable = unusable(&found, &results);
    found.retain(&results.iter().map(Result::is_ok).collect::<Vec<_>>());
    let counts: Vec<MaskCounts> = results.into_iter().flatten().collect();
    let mut kinds = BTreeMap::new();
    for mask in &counts {
        *kinds.entry(mask.kind.to_owned()).or_default() += 1;
    }
    let mut survey = SegmentationSurvey {
        pairs,
        classes: Vec::new(),
        parts: Vec::new(),
        values: Vec::new(),
        kinds,
        sizes: sizes(&counts),
        decisions: Vec::new(),
        refusal: None,
        unusable,
        images_alone: std::mem::take(&mut found.images_alone),
        masks_alone: std::mem::take(&mut found.masks_alone),
        data: None,
    };
    // Of no values nothing can be decided.
    if counts.is_empty() {
        return Ok(survey);
    }
    let opened = Opened::of(found, &counts);
    survey.values = values(&SeenValues::of(counts.iter().enumerate()), opened.as_ref().ok());
    match opened.and_then(|opened| data_of(opened, layout, seed)) {
        Ok(data) => {
            survey.classes.clone_from(&data.classes.0);
            survey.decisions.clone_from(&data.decisions);
            survey.parts = parts(&data);
            survey.data = Some(data);
        }
        Err(error) => survey.refusal = Some(error.to_string()),
    }
    Ok(survey)
}

/// The masks that cannot be used.
fn unusable(found: &Found, results: &[Result<MaskCounts, DataError>]) -> Vec<CorruptFile> {
    let named = |(at, result): (usize, &Result<MaskCounts, DataError>)| {
        let error = result.as_ref().err()?;
        Some(CorruptFile { name: found.masks.name(at), why: error.reason() })
    };
    results.iter().enumerate().filter_map(named).collect()
}

/// The sizes with the fewest and the most pixels.
fn sizes(counts: &[MaskCounts]) -> Option<[ImageSize; 2]> {
    let sizes = || counts.iter().map(|mask| mask.size);
    let smallest = sizes().min_by_key(|size| size.pixels());
    smallest.zip(sizes().max_by_key(|size| size.pixels())).map(|(small, large)| [small, large])
}

/// The values with their classes, where these are known.
fn values(seen: &SeenValues, opened: Option<&Opened>) -> Vec<SurveyedValue> {
    let described = |(&value, seen): (&MaskValue, &Seen)| {
        let label = opened.and_then(|opened| opened.label(value));
        SurveyedValue {
            value,
            pixels: seen.pixels,
            masks: seen.masks,
            class: opened
                .zip(label)
                .and_then(|(opened, label)| opened.classes().0.get(usize::from(label)).cloned()),
            ignored: label == Some(LabelMap::IGNORED),
        }
    };
    seen.values.iter().map(described).collect()
}

/// The labels of each part.
fn parts(data: &SegmentationData) -> Vec<SurveyedLabels> {
    let of = |name, source: &str, set: &SegmentationSet| SurveyedLabels {
        name,
        source: source.to_owned(),
        images: set.len(),
        pixels_per_class: set.pixels_per_class(),
        images_per_class: set.images_per_class(),
        ignored_pixels: set.ignored_pixels(),
    };
    let name = if data.held_out { "held out" } else { "validation" };
    let mut parts = vec![
        of("train", &data.train_source, &data.train),
        of(name, &data.validation_source, &data.validation),
    ];
    if let Some(test) = &data.test {
        parts.push(of("test", "", test));
    }
    parts
}
