//! Search for the pyramid and the heads of a detector, Mask R-CNN or Faster R-CNN, around a backbone.

use std::collections::BTreeSet;
use std::path::Path;

use convnext_core::{DetectorRules, MODELS, MaskRcnnConfig};

use super::dialect::Dialect;
use super::locate::{Candidate, under};
use crate::detector_names::{DETECTOR_PARTS, of_torchvision};
use crate::error::{IoError, ShapeMismatch};
use crate::upernet_names::is_output_norm;

/// Parts of other detectors of MMDetection and torchvision, and what they are, the most particular first.
const OTHERS: [(&str, &str); 15] = [
    ("rpn_head.init_proposal", "a Sparse R-CNN or another detector with learned proposals"),
    ("roi_head.semantic_head.", "a Hybrid Task Cascade (HTC)"),
    ("roi_head.mask_head.0.", "a Cascade Mask R-CNN"),
    ("roi_head.bbox_head.0.", "a Cascade R-CNN"),
    ("roi_head.mask_iou_head.", "a Mask Scoring R-CNN"),
    ("roi_head.grid_head.", "a Grid R-CNN"),
    ("roi_head.point_head.", "a PointRend"),
    ("bbox_head.retina_cls.", "a RetinaNet"),
    ("bbox_head.conv_cls.", "an FCOS or another detector without regions"),
    ("bbox_head.fc_cls.", "a DETR or another detector with queries"),
    ("bbox_head.cls_branches.", "a DETR or another detector with queries"),
    ("bbox_head.", "a detector without regions"),
    ("panoptic_head.", "a MaskFormer"),
    ("head.classification_head.", "a RetinaNet, an FCOS or an SSD"),
    ("roi_heads.keypoint_head.", "a Keypoint R-CNN"),
];

/// Parts of a network of torchvision with regions.
const PARTS_OF_TORCHVISION: [&str; 3] = ["backbone.", "rpn.", "roi_heads."];

/// Tensors by their names in the file, with our names.
type Named<'n> = Vec<(&'n str, String)>;

/// What is around a backbone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heads<'n> {
    /// No detector.
    None,
    /// Those of Mask R-CNN or Faster R-CNN, with the norms on the outputs of the stages.
    MaskRcnn(DetectorRules, Named<'n>),
    /// Those of another detector, in words.
    Other(String),
}

/// The heads around the backbone of a candidate: beside it, or beside what it is a part of.
pub(super) fn heads<'n>(candidate: &Candidate, names: &BTreeSet<&'n str>) -> Heads<'n> {
    for place in places(&candidate.prefix) {
        let has = |part: &str| under(names, &format!("{place}{part}")).next().is_some();
        if let Some((_, kind)) = OTHERS.iter().find(|(part, _)| has(part)) {
            return Heads::Other((*kind).to_owned());
        }
        let found =
            if candidate.dialect == Dialect::Official && has("rpn_head.") && has("roi_head.bbox_head.") {
                Some((DetectorRules::MmDetection, of_mmdetection(candidate, place, names)))
            } else if has("rpn.head.") && has("roi_heads.box_head.") {
                Some((DetectorRules::Torchvision, beside_body(candidate, place, names)))
            } else {
                None
            };
        if let Some((rules, heads)) = found {
            return match heads {
                Ok(heads) => Heads::MaskRcnn(rules, heads),
                Err(name) => Heads::Other(format!("a detector with layers that Mask R-CNN lacks, as {name}")),
            };
        }
    }
    Heads::None
}

/// The prefix, and that of each thing that it is a part of.
fn places(prefix: &str) -> impl Iterator<Item = &str> {
    let ends = prefix.rmatch_indices('.').map(|(at, _)| &prefix[..=at]);
    ends.chain([""])
}

/// The tensors of MMDetection's network without the backbone's; or the name of one that no Mask R-CNN has.
fn of_mmdetection<'n>(
    candidate: &Candidate,
    place: &str,
    names: &BTreeSet<&'n str>,
) -> Result<Named<'n>, String> {
    let known = known_names();
    let is_of_heads = |inner: &str| DETECTOR_PARTS.iter().any(|part| inner.starts_with(part));
    let head = |(name, inner): (&'n str, &'n str)| match known.contains(inner) {
        true => Ok((name, inner.to_owned())),
        false => Err(inner.to_owned()),
    };
    let norms = under(names, &candidate.prefix).filter(|(_, inner)| is_output_norm(inner));
    let norms: Named = norms.map(|(name, inner)| (name, inner.to_owned())).collect();
    let heads = under(names, place).filter(|(_, inner)| is_of_heads(inner)).map(head);
    heads.chain(norms.into_iter().map(Ok)).collect()
}

/// The tensors of torchvision's network without those of the backbone's body; or the name of one that no Mask R-CNN has.
fn beside_body<'n>(
    candidate: &Candidate,
    place: &str,
    names: &BTreeSet<&'n str>,
) -> Result<Named<'n>, String> {
    let (known, dialect) = (known_names(), candidate.dialect);
    let mut found = Named::new();
    for (name, inner) in under(names, place) {
        if !PARTS_OF_TORCHVISION.iter().any(|part| inner.starts_with(part)) {
            continue;
        }
        let of_body = name.strip_prefix(&candidate.prefix);
        if of_body.is_some_and(|name| dialect.is_of_backbone(name) || dialect.official(name).is_some()) {
            continue;
        }
        let norm = of_body.filter(|name| dialect == Dialect::Official && is_output_norm(name));
        let ours = norm.map(str::to_owned).or_else(|| of_torchvision(inner));
        match ours.filter(|ours| known.contains(ours)) {
            Some(ours) => found.push((name, ours)),
            None => return Err(inner.to_owned()),
        }
    }
    Ok(found)
}

/// In words the detector whose tensors are all there but of other shapes, such as for other anchors: none of those that are
/// known here. `None` for other errors.
pub(super) fn of_another_shape(error: &IoError) -> Option<String> {
    let IoError::ForeignMismatch { source, .. } = error else { return None };
    let IoError::Mismatch { missing, misshapen, .. } = &**source else { return None };
    let ShapeMismatch { name, expected, found } = misshapen.first().filter(|_| missing.is_empty())?;
    Some(format!("a detector whose {name} is {found:?} and not {expected:?}"))
}

/// What is not read from the file of a detector.
pub(super) fn unread(path: &Path, program: &str) -> String {
    format!(
        "{}: what a detector does beside its weights is not read from the file: images of at most 1333 x 800 pixels, ImageNet's \
         mean and standard deviation, and the usual anchors of {program} are taken; --resize says another size",
        path.display()
    )
}

/// The names of all tensors that a Mask R-CNN has besides the backbone's.
fn known_names() -> BTreeSet<String> {
    let model = MODELS[0].config();
    MaskRcnnConfig::PAPER.tensors(&model).into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;
