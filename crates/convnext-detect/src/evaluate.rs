//! Evaluation of a detector.

use std::path::Path;

use burn::prelude::*;
use convnext_data::{Image, Loader, class_colours};
use convnext_train::TrainError;

use crate::detection::Detection;
use crate::evaluation::detection_evaluation::{DetectedSample, DetectionEvaluation};
use crate::evaluation::measured_image::{DetectionMeasures, MeasuredImage};
use crate::evaluation::scorer::DetectionScorer;
use crate::evaluation_source::DetectionEvaluationSource;
use crate::inference::{DetectOptions, detect};
use crate::mask_rcnn::MaskRcnn;
use crate::pictures::{DrawnObject, detection_comparison};

/// Images that are shown of the best, and of the worst.
const SHOWN: usize = 6;

/// Score from which detections are shown, and count as right or wrong in the confusion matrix.
pub const SHOWN_SCORE: f64 = 0.5;

/// Comparisons of truth and prediction for the best and the worst images of an evaluation, in their order.
#[derive(Debug, Default)]
pub struct DetectionComparisons {
    /// Of [`DetectionEvaluation::best`].
    pub best: Vec<Image>,
    /// Of [`DetectionEvaluation::worst`].
    pub worst: Vec<Image>,
}

/// Measures a detector on every image of a loader, whose classes are those of the network. `each` is given the position of an
/// image in the set and what was found in it, in their order.
///
/// # Errors
/// What reading the images reports, those of [`detect`], and what `each` returns.
pub fn evaluate_detection(
    network: (&MaskRcnn, &Device),
    loader: &Loader<DetectionEvaluationSource>,
    options: &DetectOptions,
    mut each: impl FnMut(usize, &[Detection]) -> Result<(), TrainError>,
) -> Result<(DetectionEvaluation, DetectionComparisons), TrainError> {
    let (set, preprocessing) = (loader.source().set(), loader.source().preprocessing());
    let masks = network.0.mask_head.is_some() && set.has_masks();
    let measures = DetectionMeasures { masks, min_score: SHOWN_SCORE };
    let mut scorer = DetectionScorer::new(set.classes().clone());
    let colours = class_colours(&[], network.0.config().classes);
    let mut shown = Shown::default();
    for batch in loader.epoch(0) {
        let Some((index, image)) = batch.map_err(TrainError::from)?.sample else { continue };
        let found = detect(network, &image, preprocessing, options)?;
        each(index, &found)?;
        let objects = set.instances(index);
        let measured = MeasuredImage::new(objects, &found, image.size(), &measures);
        if let Some(f1) = measured.errors().f1() {
            let image_name = set.images().name(index);
            let sample = DetectedSample { image: image_name, f1, errors: measured.errors(), thumbnail: None };
            let confident: Vec<Detection> =
                found.into_iter().filter(|found| found.score >= SHOWN_SCORE).collect();
            shown.add(sample, || {
                let truth = DrawnObject::of_instances(objects, image.size(), &colours);
                detection_comparison(&image, &truth, &DrawnObject::of_detections(&confident, &colours))
            });
        }
        scorer.add(index, measured);
    }
    let mut result = scorer.finish();
    result.left_out = loader.corrupt();
    let (best, of_best) = shown.best.into_iter().unzip();
    let (worst, of_worst) = shown.worst.into_iter().unzip();
    let result = DetectionEvaluation { best, worst, ..result };
    Ok((result, DetectionComparisons { best: of_best, worst: of_worst }))
}

/// The best and the worst images so far.
#[derive(Default)]
struct Shown {
    best: Vec<(DetectedSample, Image)>,
    worst: Vec<(DetectedSample, Image)>,
}

impl Shown {
    /// Takes up an image where it is among the best or the worst; of equals the first stay.
    fn add(&mut self, sample: DetectedSample, image: impl Fn() -> Image) {
        let f1 = sample.f1;
        insert(&mut self.best, &sample, |other| f1 > other, &image);
        insert(&mut self.worst, &sample, |other| f1 < other, &image);
    }
}

fn insert(
    list: &mut Vec<(DetectedSample, Image)>,
    sample: &DetectedSample,
    goes_before: impl Fn(f64) -> bool,
    image: impl Fn() -> Image,
) {
    let place = list.iter().position(|(other, _)| goes_before(other.f1)).unwrap_or(list.len());
    if place < SHOWN {
        list.insert(place, (sample.clone(), image()));
        list.truncate(SHOWN);
    }
}

impl DetectionComparisons {
    /// Writes the images into a folder, as `best-01.png` and so on, and their paths from the run folder into the result.
    ///
    /// # Errors
    /// [`TrainError::Data`] when one cannot be written.
    pub fn save(&self, folder: &Path, result: &mut DetectionEvaluation) -> Result<(), TrainError> {
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
