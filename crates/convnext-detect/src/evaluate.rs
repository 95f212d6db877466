//! Evaluation of a detector.

use burn::prelude::*;
use convnext_data::{Loader, class_colours};
use convnext_train::TrainError;

use crate::detect_options::DetectOptions;
use crate::detection::Detection;
use crate::evaluation::best_and_worst::{BestAndWorst, DetectionComparisons};
use crate::evaluation::detection_evaluation::DetectionEvaluation;
use crate::evaluation::measured_image::{DetectionMeasures, MeasuredImage};
use crate::evaluation::scorer::DetectionScorer;
use crate::evaluation_source::DetectionEvaluationSource;
use crate::inference::detect;
use crate::mask_rcnn::MaskRcnn;
use crate::pictures::{DrawnObject, detection_comparison};

/// Score from which detections are shown, and count as right or wrong in the confusion matrix.
pub const SHOWN_SCORE: f64 = 0.5;

/// Measures a detector on every image of a loader, whose classes are those of the network. `each` is given the position of an
/// image in the set and what was found in it, in their order.
///
/// # Errors
/// What reading the images reports, those of [`detect`], and what `each` returns.
pub fn evaluate_detection<E: From<TrainError>>(
    network: (&MaskRcnn, &Device),
    loader: &Loader<DetectionEvaluationSource>,
    options: &DetectOptions,
    mut each: impl FnMut(usize, &[Detection]) -> Result<(), E>,
) -> Result<(DetectionEvaluation, DetectionComparisons), E> {
    let (set, preprocessing) = (loader.source().set(), loader.source().preprocessing());
    let masks = network.0.mask_head.is_some() && set.has_masks();
    let measures = DetectionMeasures { masks, min_score: SHOWN_SCORE };
    let mut scorer = DetectionScorer::new(set.classes().clone());
    let colours = class_colours(&[], network.0.config().classes);
    let mut shown = BestAndWorst::default();
    for batch in loader.epoch(0) {
        let Some((index, image)) = batch.map_err(TrainError::from)?.sample else { continue };
        let found = detect(network, &image, preprocessing, options)?;
        each(index, &found)?;
        let objects = set.instances(index);
        let measured = MeasuredImage::new(objects, &found, image.size(), &measures);
        let confident: Vec<Detection> =
            found.into_iter().filter(|found| found.score >= SHOWN_SCORE).collect();
        shown.add(&set.images().name(index), measured.errors(), || {
            let truth = DrawnObject::of_instances(objects, image.size(), &colours);
            detection_comparison(&image, &truth, &DrawnObject::of_detections(&confident, &colours))
        });
        scorer.add(index, measured);
    }
    let mut result = scorer.finish();
    result.left_out = loader.corrupt();
    let comparisons = shown.finish(&mut result);
    Ok((result, comparisons))
}
