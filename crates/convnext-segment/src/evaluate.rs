//! Evaluation of a segmentation network.

use std::path::Path;

use burn::prelude::*;
use convnext_data::{Image, Loader};
use convnext_train::TrainError;

use crate::confusion::ConfusionMatrix;
use crate::evaluation::{SegmentationEvaluation, SegmentedSample};
use crate::evaluation_source::EvaluationSource;
use crate::inference::{InferenceOptions, segment};
use crate::pictures::comparison;
use crate::upernet::UperNet;

/// Images that are shown of the best, and of the worst.
const SHOWN: usize = 6;

/// Comparisons of truth and prediction for the best and the worst images of an evaluation, in their order.
#[derive(Debug, Default)]
pub struct Comparisons {
    /// Of [`SegmentationEvaluation::best`].
    pub best: Vec<Image>,
    /// Of [`SegmentationEvaluation::worst`].
    pub worst: Vec<Image>,
}

/// Measures a network on every image of a loader, whose classes are those of the network. Predictions are compared at the
/// size of the label maps. `colours` show the classes; `progress` is told how many images are done.
///
/// # Errors
/// What reading the images reports, and those of [`segment`].
pub fn evaluate_segmentation(
    network: (&UperNet, &Device),
    loader: &Loader<EvaluationSource>,
    options: &InferenceOptions,
    colours: &[[u8; 3]],
    mut progress: impl FnMut(usize),
) -> Result<(SegmentationEvaluation, Comparisons), TrainError> {
    let (set, preprocessing) = (loader.source().set(), loader.source().preprocessing());
    let mut counts = ConfusionMatrix::new(network.0.config().classes);
    let mut shown = Shown::default();
    let mut images = 0;
    for batch in loader.epoch(0) {
        let Some((sample, image, labels)) = batch.map_err(TrainError::from)?.sample else { continue };
        let predicted = segment(network, &image, preprocessing, options)?;
        let mut own = ConfusionMatrix::new(network.0.config().classes);
        own.add(&labels.labels, &predicted.labels);
        counts.merge(&own);
        images += 1;
        if let Some(miou) = own.mean_iou() {
            let sample = SegmentedSample { image: set.images().name(sample), miou, thumbnail: None };
            shown.add(sample, || comparison(&image, &labels, &predicted, colours));
        }
        progress(images);
    }
    let mut result = SegmentationEvaluation::new(images, &counts, set.classes());
    result.left_out = loader.corrupt();
    let (best, of_best) = shown.best.into_iter().unzip();
    let (worst, of_worst) = shown.worst.into_iter().unzip();
    let result = SegmentationEvaluation { best, worst, ..result };
    Ok((result, Comparisons { best: of_best, worst: of_worst }))
}

/// The best and the worst images so far.
#[derive(Default)]
struct Shown {
    best: Vec<(SegmentedSample, Image)>,
    worst: Vec<(SegmentedSample, Image)>,
}

impl Shown {
    /// Takes up an image where it is among the best or the worst; of equals the first stay.
    fn add(&mut self, sample: SegmentedSample, image: impl Fn() -> Image) {
        let miou = sample.miou;
        insert(&mut self.best, &sample, |other| miou > other, &image);
        insert(&mut self.worst, &sample, |other| miou < other, &image);
    }
}

fn insert(
    list: &mut Vec<(SegmentedSample, Image)>,
    sample: &SegmentedSample,
    goes_before: impl Fn(f64) -> bool,
    image: impl Fn() -> Image,
) {
    let place = list.iter().position(|(other, _)| goes_before(other.miou)).unwrap_or(list.len());
    if place < SHOWN {
        list.insert(place, (sample.clone(), image()));
        list.truncate(SHOWN);
    }
}

impl Comparisons {
    /// Writes the images into a folder, as `best-01.png` and so on, and their paths from the run folder into the result.
    ///
    /// # Errors
    /// [`TrainError::Data`] when one cannot be written.
    pub fn save(&self, folder: &Path, result: &mut SegmentationEvaluation) -> Result<(), TrainError> {
        let parent = folder.file_name().unwrap_or_default().to_string_lossy();
        for (name, images, samples) in
            [("best", &self.best, &mut result.best), ("worst", &self.worst, &mut result.worst)]
        {
            for (number, (image, sample)) in (1..).zip(images.iter().zip(samples)) {
                let file = format!("{name}-{number:02}.png");
                image.save_png(&folder.join(&file))?;
                sample.thumbnail = Some(format!("{parent}/{file}"));
            }
        }
        Ok(())
    }
}
