//! Evaluation of a detector.

use std::fmt::Display;

use burn::prelude::*;
use convnext_data::class_colours;
use convnext_train::{BestAndWorst, RankFailure, SharedLoader, ShownPictures, TrainError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::detect_options::DetectOptions;
use crate::detection::Detection;
use crate::evaluation::detection_evaluation::{DetectedSample, DetectionEvaluation};
use crate::evaluation::measured_image::{DetectionMeasures, MeasuredImage};
use crate::evaluation::scorer::DetectionScorer;
use crate::evaluation_source::{DetectionEvaluationSource, WholeImage};
use crate::inference::detect;
use crate::mask_rcnn::MaskRcnn;
use crate::pictures::{DrawnObject, detection_comparison};

/// Score from which detections are shown, and count as right or wrong in the confusion matrix.
pub const SHOWN_SCORE: f64 = 0.5;

/// Measures a detector on every image of a loader, whose classes are those of the network; its ranks share them, and all get the
/// results. `wanted` makes of the position of an image in the set and of what was found in it what is wanted of that, and
/// `each` is given it for every image in their order, on all ranks: it is sent to them.
///
/// # Errors
/// What reading the images reports, those of [`detect`], and what `each` returns.
pub fn evaluate_detection<T, E>(
    network: (&MaskRcnn, &Device),
    loader: &SharedLoader<DetectionEvaluationSource>,
    options: &DetectOptions,
    mut wanted: impl FnMut(usize, &[Detection]) -> T,
    mut each: impl FnMut(T) -> Result<(), E>,
) -> Result<(DetectionEvaluation, ShownPictures), E>
where
    T: Serialize + DeserializeOwned,
    E: Display + From<TrainError> + From<RankFailure>,
{
    let (set, preprocessing) = (loader.source().set(), loader.source().preprocessing());
    let masks = network.0.mask_head.is_some() && set.has_masks();
    let measures = DetectionMeasures { masks, min_score: SHOWN_SCORE };
    let colours = class_colours(&[], network.0.config().classes);
    // Of the images that this rank computed.
    let mut own_pictures = BestAndWorst::default();
    let compute = |WholeImage { sample }: WholeImage| {
        let Some((index, image)) = sample else { return Ok(None) };
        let found = detect(network, &image, preprocessing, options)?;
        let objects = set.instances(index);
        let measured = MeasuredImage::new(objects, &found, image.size(), &measures);
        let wanted = wanted(index, &found);
        // An image with neither objects nor detections is neither good nor bad.
        if let Some(f1) = measured.errors().f1() {
            let confident: Vec<Detection> =
                found.into_iter().filter(|found| found.score >= SHOWN_SCORE).collect();
            own_pictures.add(index, f1, || {
                let truth = DrawnObject::of_instances(objects, image.size(), &colours);
                detection_comparison(&image, &truth, &DrawnObject::of_detections(&confident, &colours))
            });
        }
        Ok(Some((index, measured, wanted)))
    };
    let mut scorer = DetectionScorer::new(set.classes().clone());
    let mut shown = BestAndWorst::default();
    loader.for_each(compute, |found: Option<(usize, MeasuredImage, T)>| {
        let Some((index, measured, wanted)) = found else { return Ok::<(), E>(()) };
        each(wanted)?;
        let errors = measured.errors();
        if let Some(f1) = errors.f1() {
            let image = || DetectedSample { image: set.images().name(index), f1, errors, thumbnail: None };
            shown.add(index, f1, image);
        }
        scorer.add(index, measured);
        Ok(())
    })?;
    let pictures = own_pictures.of_all_ranks(&shown, loader.ranks())?;
    let [best, worst] = shown.into_lists();
    let result = DetectionEvaluation { best, worst, left_out: loader.corrupt(), ..scorer.finish() };
    Ok((result, pictures))
}
