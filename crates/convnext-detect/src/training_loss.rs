//! The losses of a batch: from images and their objects to what is differentiated.
//!
//! The network's own proposals decide what its heads learn from, so a part of the forward pass reads values back: the
//! outputs of the region proposal network become proposals, and a sample of those becomes the regions of the heads.

use burn::prelude::*;
use convnext_core::{
    BOX_MAP_SIDE, BoundingBox, DetectorRules, ImageSize, MASK_MAP_SIDE, PYRAMID_LEVELS, PYRAMID_STRIDES,
    Purpose, Seed,
};
use convnext_nn::{FeatureMaps, Region, tensor_values};
use convnext_train::{Loss, TrainError};

use crate::batch::DetectionBatch;
use crate::losses::box_loss::box_loss;
use crate::losses::mask_loss::{MaskTargets, mask_loss};
use crate::losses::rpn_loss::SampledAnchors;
use crate::mask_rcnn::MaskRcnn;
use crate::mask_rcnn::roi_extractor::extract;
use crate::mask_rcnn::rpn_head::RpnOutput;
use crate::padding::padded;
use crate::recipe::sections::RegionRecipe;
use crate::regions::anchor_targets::{AnchorTargets, anchor_targets};
use crate::regions::anchors::{AnchorGrid, MapLevel};
use crate::regions::mask_targets::mask_target;
use crate::regions::object_bitmap::ObjectBitmap;
use crate::regions::proposals::{LevelOutputs, ProposalRule, proposals};
use crate::regions::region_targets::{SampledRegion, sample_regions};
use crate::regions::sampler::SamplingRule;
use crate::regions::training_objects::training_objects;

/// How the regions of a training are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionChoice {
    /// How many, and which anchors stand for objects.
    pub recipe: RegionRecipe,
    /// Seed of the run: a sample's choices depend on it, the epoch and the sample.
    pub seed: Seed,
}

/// What a batch is to teach: the sampled anchors and regions of its images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchTargets {
    /// The sampled anchors of each image.
    pub anchors: Vec<AnchorTargets>,
    /// The sampled regions, each with the position of its image in the batch.
    pub regions: Vec<(usize, SampledRegion)>,
}

/// A region of an image as RoIAlign takes it.
pub(crate) fn place(image: usize, bounds: &BoundingBox) -> Region {
    Region { image, bounds: bounds.edges().map(|edge| edge as f32) }
}

/// The maps of a pyramid, with their strides. The sides of its input are multiples of those of its finest map.
pub(crate) fn map_levels(pyramid: &[FeatureMaps; PYRAMID_LEVELS], rules: DetectorRules) -> Vec<MapLevel> {
    let input = pyramid[0].size().map(|side| side * PYRAMID_STRIDES[0]);
    let level = |(maps, &stride): (&FeatureMaps, &usize)| match rules {
        DetectorRules::MmDetection => MapLevel::new(stride, maps.size()),
        DetectorRules::Torchvision => MapLevel::of_torchvision(stride, maps.size(), input),
    };
    pyramid.iter().zip(&PYRAMID_STRIDES).map(level).collect()
}

/// The loss of a batch by its pyramid, with its parts: `rpn_class`, `rpn_box`, `class`, `box` and, with a mask head, `mask`.
///
/// # Errors
/// [`TrainError::NotFinite`] when the network's outputs are not finite.
pub fn detection_loss(
    model: &MaskRcnn,
    pyramid: &[FeatureMaps; PYRAMID_LEVELS],
    batch: &DetectionBatch,
    choice: RegionChoice,
) -> Result<Loss, TrainError> {
    let outputs = outputs_without_graph(model, pyramid);
    let rules = model.head().rules;
    let grid = AnchorGrid::new(map_levels(pyramid, rules));
    let rule = ProposalRule { at_most: choice.recipe.proposals, ..ProposalRule::TRAINING }.by(rules);
    let proposed = batch_proposals(&outputs, grid.levels(), &batch.sizes, rule)?;
    let targets = draw_targets(&grid, &proposed, batch, choice);
    Ok(loss_of_targets(model, pyramid, batch, &targets))
}

/// The outputs of the region proposal network on all levels, for proposals: nothing is learned through these.
fn outputs_without_graph(model: &MaskRcnn, pyramid: &[FeatureMaps; PYRAMID_LEVELS]) -> Vec<RpnOutput> {
    let head = model.rpn_head.valid();
    pyramid.iter().map(|maps| head.forward(&maps.with_rows(maps.rows.clone().inner()))).collect()
}

/// The loss of a batch by its pyramid, for these anchors and regions.
pub fn loss_of_targets(
    model: &MaskRcnn,
    pyramid: &[FeatureMaps; PYRAMID_LEVELS],
    batch: &DetectionBatch,
    targets: &BatchTargets,
) -> Loss {
    let rules = model.head().rules;
    let anchors = SampledAnchors::new(&map_levels(pyramid, rules), &targets.anchors);
    let of_rpn = anchors.loss(&model.rpn_head.forward_at(pyramid, &anchors.places));
    let places: Vec<Region> =
        targets.regions.iter().map(|(image, region)| place(*image, &region.bounds)).collect();
    let regions: Vec<SampledRegion> = targets.regions.iter().map(|(_, region)| *region).collect();
    let found = model.box_head.forward(&extract(pyramid, &some(places), [BOX_MAP_SIDE; 2], rules));
    let of_boxes = box_loss(found.scores, found.deltas, &regions);
    let mut parts = vec![
        ("rpn_class", of_rpn.objectness),
        ("rpn_box", of_rpn.boxes),
        ("class", of_boxes.classes),
        ("box", of_boxes.boxes),
    ];
    if let Some(head) = &model.mask_head {
        let (places, masks) = masks_to_learn(&targets.regions, batch);
        let maps = extract(pyramid, &some(places), [MASK_MAP_SIDE; 2], rules);
        parts.push(("mask", mask_loss(head.forward(&maps).rows, &masks)));
    }
    Loss::sum(parts)
}

/// These regions, or one without an area where there are none: so that a head with nothing to learn has a gradient of 0 and
/// not none. As in PyTorch, the optimiser then goes on with its moments and its decay.
fn some(regions: Vec<Region>) -> Vec<Region> {
    if regions.is_empty() { vec![Region { image: 0, bounds: [0.0; 4] }] } else { regions }
}

/// The proposals of each image in pixels of the input, by descending score, from outputs of all levels without a gradient. `sizes` are those of the images
/// before padding.
///
/// # Errors
/// [`TrainError::NotFinite`] when an output is not finite.
pub fn batch_proposals(
    outputs: &[RpnOutput],
    levels: &[MapLevel],
    sizes: &[ImageSize],
    rule: ProposalRule,
) -> Result<Vec<Vec<BoundingBox>>, TrainError> {
    let values: Vec<[Vec<f32>; 2]> = outputs
        .iter()
        .map(|output| [&output.objectness, &output.deltas].map(|values| tensor_values(values.clone())))
        .collect();
    if values.iter().flatten().flatten().any(|value| !value.is_finite()) {
        return Err(TrainError::NotFinite { what: "an output of the region proposal network".to_owned() });
    }
    let of_image = |image: usize| {
        let levels = values.iter().zip(levels).map(|([objectness, deltas], &level)| {
            let (anchors, first) = (level.anchors(), image * level.anchors());
            LevelOutputs {
                level,
                objectness: &objectness[first..][..anchors],
                deltas: &deltas[4 * first..][..4 * anchors],
            }
        });
        let found = proposals(&levels.collect::<Vec<_>>(), sizes[image], rule);
        found.into_iter().map(|proposal| proposal.bounds).collect()
    };
    Ok((0..sizes.len()).map(of_image).collect())
}

/// The anchors and regions that a batch is learned by, drawn for each image by its index in the data set and the epoch.
fn draw_targets(
    grid: &AnchorGrid,
    proposed: &[Vec<BoundingBox>],
    batch: &DetectionBatch,
    choice: RegionChoice,
) -> BatchTargets {
    let rule = SamplingRule { count: choice.recipe.sampled, ..SamplingRule::REGIONS };
    let mut targets = BatchTargets::default();
    for (image, (&sample, proposed)) in batch.samples.iter().zip(proposed).enumerate() {
        let objects = training_objects(&batch.instances[image]);
        let stream = |purpose| choice.seed.stream(purpose, batch.epoch, sample as u64);
        let of_image = padded(batch.sizes[image]);
        let of_anchors = choice.recipe.anchor_rule();
        let anchors =
            anchor_targets(grid, of_image, &objects, of_anchors, &mut stream(Purpose::AnchorSample));
        let regions = sample_regions(proposed, &objects, rule, &mut stream(Purpose::RegionSample));
        targets.anchors.push(anchors);
        targets.regions.extend(regions.into_iter().map(|region| (image, region)));
    }
    targets
}

/// Regions with an object that has a mask, and the pixels that the mask head is to find in them.
fn masks_to_learn(regions: &[(usize, SampledRegion)], batch: &DetectionBatch) -> (Vec<Region>, MaskTargets) {
    let (mut places, mut targets) = (Vec::new(), MaskTargets::default());
    // Several regions have the same object.
    let mut bitmaps: Vec<Vec<Option<ObjectBitmap>>> =
        batch.instances.iter().map(|instances| vec![None; instances.len()]).collect();
    for &(image, region) in regions {
        let Some(target) = region.target else { continue };
        let at = target.object.instance;
        let Some(mask) = &batch.instances[image][at].mask else { continue };
        let bitmap = bitmaps[image][at]
            .get_or_insert_with(|| ObjectBitmap::new(&mask.run_lengths(batch.sizes[image]), batch.size));
        targets.push(target.object.class, &mask_target(bitmap, &region.bounds));
        places.push(place(image, &region.bounds));
    }
    (places, targets)
}
