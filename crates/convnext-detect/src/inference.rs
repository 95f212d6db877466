//! From an image of any size to the objects in it.

use burn::prelude::*;
use burn::tensor::activation::sigmoid;
use convnext_core::{
    BOX_MAP_SIDE, BoundingBox, ConfigError, DetectorRules, Geometry, ImageSize, MASK_MAP_SIDE,
    PYRAMID_LEVELS, Preprocessing,
};
use convnext_data::{Image, RunLengths, normalize, resize_for_evaluation};
use convnext_nn::{DropPath, FeatureMaps, Region, tensor_values};
use convnext_train::TrainError;
use rayon::prelude::*;

use crate::detect_options::DetectOptions;
use crate::detection::Detection;
use crate::mask_rcnn::MaskRcnn;
use crate::mask_rcnn::mask_head::MaskHead;
use crate::mask_rcnn::roi_extractor::extract;
use crate::padding::{padded, stacked};
use crate::regions::object_bitmap::MASK_SIDE;
use crate::regions::paste_mask::paste_mask;
use crate::regions::post_processing::{FoundBox, RegionOutputs, detections};
use crate::regions::proposals::ProposalRule;
use crate::training_loss::{batch_proposals, map_levels, place};

/// Regions that go through the mask head together: more would need gigabytes at the paper's widths.
const REGIONS_AT_ONCE: usize = 128;

/// The objects in an image by descending score, in its own pixels.
///
/// # Errors
/// [`TrainError::Config`] for options out of their range and for preprocessing that leaves parts of an image out,
/// [`TrainError::Model`] when the image does not fit the network, [`TrainError::NotFinite`] when its weights are damaged.
pub fn detect(
    network: (&MaskRcnn, &Device),
    image: &Image,
    preprocessing: &Preprocessing,
    options: &DetectOptions,
) -> Result<Vec<Detection>, TrainError> {
    options.validate()?;
    if let Geometry::CentreCrop { .. } = preprocessing.geometry {
        let (what, found) = ("geometry of the images", preprocessing.geometry.to_string());
        return Err(
            ConfigError::OutOfRange { what, found, expected: "one that keeps the whole image" }.into()
        );
    }
    match options.tiles {
        None => detect_whole(network, image, preprocessing, options),
        Some(tiles) => {
            tiles.merged(image, options.at_most, |part| detect_whole(network, part, preprocessing, options))
        }
    }
}

/// The objects of an image by one pass over the whole of it.
fn detect_whole(
    (model, device): (&MaskRcnn, &Device),
    image: &Image,
    preprocessing: &Preprocessing,
    options: &DetectOptions,
) -> Result<Vec<Detection>, TrainError> {
    let resized = resize_for_evaluation(image, preprocessing);
    let (size, channels) = (resized.size(), preprocessing.channels());
    let values = normalize(&resized, &preprocessing.mean, &preprocessing.std);
    let input = padded(size);
    let values = stacked([(&*values, size)].into_iter(), channels, input);
    let shape = [1, channels, input.height, input.width];
    let images = Tensor::from_data(TensorData::new(values, shape), device);
    let pyramid = model.pyramid(images, &DropPath::none())?;
    let found = found_boxes(model, &pyramid, size, options)?;
    let scale =
        [size.width as f64 / image.size().width as f64, size.height as f64 / image.size().height as f64];
    let in_image: Vec<BoundingBox> =
        found.iter().map(|found| found.in_image(scale).clipped(image.size())).collect();
    let masks = match model.mask_head {
        None => vec![None; found.len()],
        Some(_) => masks(model, &pyramid, &found, (&in_image, image.size()))?,
    };
    let detection = |((found, bounds), mask): ((&FoundBox, BoundingBox), _)| Detection {
        class: found.class,
        score: found.score,
        bounds,
        mask,
    };
    Ok(found.iter().zip(in_image).zip(masks).map(detection).collect())
}

/// The boxes of the objects, in pixels of the network's input, whose image has this size without padding.
fn found_boxes(
    model: &MaskRcnn,
    pyramid: &[FeatureMaps; PYRAMID_LEVELS],
    size: ImageSize,
    options: &DetectOptions,
) -> Result<Vec<FoundBox>, TrainError> {
    let outputs: Vec<_> = pyramid.iter().map(|maps| model.rpn_head.forward(maps)).collect();
    let rules = model.head().rules;
    let levels = map_levels(pyramid, rules);
    let rule = ProposalRule { at_most: options.proposals, ..ProposalRule::INFERENCE }.by(rules);
    let proposed = batch_proposals(&outputs, &levels, &[size], rule)?.pop().unwrap_or_default();
    if proposed.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<Region> = proposed.iter().map(|bounds| place(0, bounds)).collect();
    let outputs = model.box_head.forward(&extract(pyramid, &places, [BOX_MAP_SIDE; 2], rules));
    let [logits, deltas] = [outputs.scores, outputs.deltas].map(tensor_values);
    if logits.iter().chain(&deltas).any(|value| !value.is_finite()) {
        return Err(TrainError::NotFinite { what: "an output of the box head".to_owned() });
    }
    let outputs = RegionOutputs { regions: &proposed, logits: &logits, deltas: &deltas };
    Ok(detections(&outputs, model.config().classes, size, options.rule().by(rules)))
}

/// The pixels of found objects, at the size of the image.
fn masks(
    model: &MaskRcnn,
    pyramid: &[FeatureMaps; PYRAMID_LEVELS],
    found: &[FoundBox],
    (bounds, size): (&[BoundingBox], ImageSize),
) -> Result<Vec<Option<RunLengths>>, TrainError> {
    let Some(head) = model.mask_head.as_ref().filter(|_| !found.is_empty()) else {
        return Ok(vec![None; found.len()]);
    };
    let mut masks = Vec::with_capacity(found.len());
    for (found, bounds) in found.chunks(REGIONS_AT_ONCE).zip(bounds.chunks(REGIONS_AT_ONCE)) {
        masks.extend(some_masks((head, model.head().rules), pyramid, found, (bounds, size))?);
    }
    Ok(masks)
}

/// The pixels of some found objects, which go through the head together.
fn some_masks(
    (head, rules): (&MaskHead, DetectorRules),
    pyramid: &[FeatureMaps; PYRAMID_LEVELS],
    found: &[FoundBox],
    (bounds, size): (&[BoundingBox], ImageSize),
) -> Result<Vec<Option<RunLengths>>, TrainError> {
    let places: Vec<Region> = found.iter().map(|found| place(0, &found.bounds)).collect();
    let maps = head.forward(&extract(pyramid, &places, [MASK_MAP_SIDE; 2], rules));
    let (classes, pixels) = (maps.channels(), MASK_SIDE * MASK_SIDE);
    let probabilities = tensor_values(sigmoid(maps.rows));
    if probabilities.iter().any(|value| !value.is_finite()) {
        return Err(TrainError::NotFinite { what: "an output of the mask head".to_owned() });
    }
    let mask = |(at, (found, bounds)): (usize, (&FoundBox, &BoundingBox))| {
        let rows = probabilities[at * pixels * classes..][..pixels * classes].iter();
        let of_class: Vec<f32> = rows.skip(found.class).step_by(classes).copied().collect();
        Some(paste_mask(&of_class, bounds, size, rules))
    };
    Ok(found.par_iter().zip(bounds).enumerate().map(mask).collect())
}
