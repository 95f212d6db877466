//! From an image of any size to the classes of its pixels: windows, scales and mirror images, as mmsegmentation does it
//! (docs/facts.md, "F. Segmentation").
//!
//! A network's logits are resized bilinearly to the windows, averaged where windows overlap, and resized to the image. With
//! several looks at an image (scales, mirror images) the probabilities of the resized logits are averaged.

use std::borrow::Cow;
use std::ops::Range;

use burn::prelude::*;
use convnext_core::{ConfigError, ImageSize, ModelConfig, Preprocessing};
use convnext_data::{Image, LabelMap, Region, resize_with};
use convnext_train::TrainError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::input_size::input_size;
use crate::sliding_window::{SlidingWindow, WindowGrid};
use crate::upernet::UperNet;
use crate::view::{Engine, View};

/// Scores that are made at a time, at most, unless one row has more.
const BAND_VALUES: usize = 1 << 22;

/// The part of an image that goes through the network at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InferenceMode {
    /// The whole image.
    #[default]
    Whole,
    /// Windows that overlap.
    Slide(SlidingWindow),
}

/// Pixels of a network's input from which on windows take the place of the whole: more needs many gigabytes at once.
const MAX_WHOLE: usize = 2048 * 2048;

/// Looks of a network at an image.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceOptions {
    /// What goes through the network at once.
    pub mode: InferenceMode,
    /// Windows over inputs of more than 4 megapixels, in place of the whole; `None` takes the whole of any size.
    pub large_inputs: Option<SlidingWindow>,
    /// Factors on the size of the image, each above 0; at least one.
    pub scales: Vec<f64>,
    /// Look at the mirror image as well.
    pub flip: bool,
    /// Windows that go through the network together, at least 1.
    pub batch_size: usize,
}

impl Default for InferenceOptions {
    /// One look at the whole image, or at windows of it where it is large.
    fn default() -> Self {
        let large_inputs = Some(SlidingWindow::default());
        Self { mode: InferenceMode::Whole, large_inputs, scales: vec![1.0], flip: false, batch_size: 1 }
    }
}

/// Scores of some rows of an image: logits after one look at it, probabilities after several.
#[derive(Debug)]
pub struct ScoreBand {
    /// The first row.
    pub first_row: usize,
    /// Number of rows.
    pub rows: usize,
    /// Pixels of a row.
    pub width: usize,
    /// `[rows, width, classes]`.
    pub scores: Vec<f32>,
}

impl InferenceOptions {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let bad = |what, found: String, expected| Err(ConfigError::OutOfRange { what, found, expected });
        if let InferenceMode::Slide(window) = self.mode {
            window.validate()?;
        }
        self.large_inputs.map_or(Ok(()), |window| window.validate())?;
        if self.scales.is_empty() {
            return bad("number of scales", "0".to_owned(), "at least 1");
        }
        let is_scale = |scale: &&f64| **scale >= 0.01 && **scale <= 100.0;
        if let Some(scale) = self.scales.iter().find(|scale| !is_scale(scale)) {
            return bad("scale", scale.to_string(), "from 0.01 to 100");
        }
        match self.batch_size {
            0 => bad("batch size", "0".to_owned(), "at least 1"),
            _ => Ok(()),
        }
    }

    /// [`Self::validate`], and windows against the least that a network takes.
    ///
    /// # Errors
    /// Those of [`Self::validate`], and [`ConfigError::TooLittleLeft`] for windows that are smaller.
    pub fn validate_for(&self, model: &ModelConfig) -> Result<(), ConfigError> {
        self.validate()?;
        let window = match self.mode {
            InferenceMode::Slide(window) => Some(window),
            InferenceMode::Whole => self.large_inputs,
        };
        window.map_or(Ok(()), |window| window.check_side(model.patch_size()))
    }

    /// The windows over an input of this size.
    fn grid(&self, input: ImageSize) -> WindowGrid {
        match (self.mode, self.large_inputs) {
            (InferenceMode::Slide(window), _) => window.grid(input),
            (InferenceMode::Whole, Some(window)) if input.pixels() > MAX_WHOLE => window.grid(input),
            (InferenceMode::Whole, _) => WindowGrid::whole(input),
        }
    }

    /// The scales, each with whether the image is mirrored.
    fn looks(&self) -> Vec<(f64, bool)> {
        let of_scale = |&scale: &f64| {
            let mirrored = self.flip.then_some((scale, true));
            [Some((scale, false)), mirrored].into_iter().flatten()
        };
        self.scales.iter().flat_map(of_scale).collect()
    }
}

/// Gives `each` the scores of an image from top to bottom, in bands of rows at the size of the image.
///
/// # Errors
/// [`TrainError::Config`] for options out of their range and for preprocessing that leaves parts of an image out,
/// [`TrainError::Model`] when the image does not fit the network, [`TrainError::NotFinite`] when its weights are damaged, and
/// what `each` returns.
pub fn for_each_score_band<E: From<TrainError>>(
    (model, device): (&UperNet, &Device),
    image: &Image,
    preprocessing: &Preprocessing,
    options: &InferenceOptions,
    mut each: impl FnMut(ScoreBand) -> Result<(), E>,
) -> Result<(), E> {
    options.validate_for(model.config()).map_err(TrainError::from)?;
    let engine = Engine { model, device, batch_size: options.batch_size };
    let looks = options.looks();
    let mut views = Vec::with_capacity(looks.len());
    for (scale, mirrored) in looks {
        views.push(view(engine, image, preprocessing, (options, scale, mirrored))?);
    }
    let (size, classes) = (image.size(), model.config().classes);
    for first_row in (0..size.height).step_by(band_rows(size, classes)) {
        let rows = band_rows(size, classes).min(size.height - first_row);
        let scores = scores_of(&mut views, size, first_row..first_row + rows, classes)?;
        each(ScoreBand { first_row, rows, width: size.width, scores })?;
    }
    Ok(())
}

/// The class of every pixel of an image: the one with the highest score, the first of equals.
///
/// # Errors
/// Those of [`for_each_score_band`].
pub fn segment(
    network: (&UperNet, &Device),
    image: &Image,
    preprocessing: &Preprocessing,
    options: &InferenceOptions,
) -> Result<LabelMap, TrainError> {
    let classes = network.0.config().classes;
    let ImageSize { height, width } = image.size();
    let mut labels = Vec::with_capacity(height * width);
    for_each_score_band(network, image, preprocessing, options, |band| {
        labels.extend(highest(&band.scores, classes));
        Ok::<(), TrainError>(())
    })?;
    Ok(LabelMap { width, height, labels })
}

/// Gives `each` the logits of one look at an image, at the size of the network's input.
///
/// # Errors
/// Those of [`for_each_score_band`].
pub fn for_each_input_band<E: From<TrainError>>(
    (model, device): (&UperNet, &Device),
    image: &Image,
    preprocessing: &Preprocessing,
    options: &InferenceOptions,
    mut each: impl FnMut(ScoreBand, ImageSize) -> Result<(), E>,
) -> Result<(), E> {
    options.validate_for(model.config()).map_err(TrainError::from)?;
    let engine = Engine { model, device, batch_size: options.batch_size };
    let mut view = view(engine, image, preprocessing, (options, options.scales[0], false))?;
    let (size, classes) = (view.input_size(), model.config().classes);
    for first_row in (0..size.height).step_by(band_rows(size, classes)) {
        let rows = band_rows(size, classes).min(size.height - first_row);
        let scores = view.input_rows(first_row..first_row + rows)?;
        each(ScoreBand { first_row, rows, width: size.width, scores }, size)?;
    }
    Ok(())
}

/// The class of each pixel with these scores, `[pixels, classes]`.
fn highest(scores: &[f32], classes: usize) -> Vec<u16> {
    let best = |scores: &[f32]| {
        let mut best = 0;
        for (class, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = class;
            }
        }
        best as u16
    };
    scores.par_chunks_exact(classes).map(best).collect()
}

fn band_rows(size: ImageSize, classes: usize) -> usize {
    (BAND_VALUES / (size.width * classes).max(1)).clamp(1, size.height.max(1))
}

/// One look at an image.
fn view<'a>(
    engine: Engine<'a>,
    image: &'a Image,
    preprocessing: &'a Preprocessing,
    (options, scale, mirrored): (&InferenceOptions, f64, bool),
) -> Result<View<'a>, TrainError> {
    let least = engine.model.config().patch_size();
    let input = input_size(preprocessing.geometry, image.size(), scale, least)?;
    let interpolation = preprocessing.interpolation;
    let resized = match input == image.size() {
        true => Cow::Borrowed(image),
        false => {
            let whole = Region::whole(image);
            Cow::Owned(resize_with(interpolation, image, whole, input.width, input.height))
        }
    };
    let grid = options.grid(preprocessing.geometry.padded(input));
    Ok(View::new(engine, resized, preprocessing, grid, mirrored))
}

/// Scores of rows of an image: the logits of the only look, or the mean probabilities of several.
fn scores_of(
    views: &mut [View<'_>],
    size: ImageSize,
    rows: Range<usize>,
    classes: usize,
) -> Result<Vec<f32>, TrainError> {
    let count = views.len();
    let Some((first, others)) = views.split_first_mut() else { return Ok(Vec::new()) };
    let mut scores = first.rows_of(size, rows.clone())?;
    if count == 1 {
        return Ok(scores);
    }
    softmax(&mut scores, classes);
    for other in others {
        let mut more = other.rows_of(size, rows.clone())?;
        softmax(&mut more, classes);
        scores.par_iter_mut().zip(&more).for_each(|(sum, value)| *sum += value);
    }
    scores.par_iter_mut().for_each(|sum| *sum /= count as f32);
    Ok(scores)
}

fn softmax(scores: &mut [f32], classes: usize) {
    scores.par_chunks_exact_mut(classes).for_each(|scores| {
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for score in scores.iter_mut() {
            *score = (*score - highest).exp();
            sum += *score;
        }
        scores.iter_mut().for_each(|score| *score /= sum);
    });
}

#[cfg(test)]
mod tests;
