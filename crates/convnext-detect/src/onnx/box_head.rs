//! The box head (`mask_rcnn/box_head.rs`), and the objects that are found by its outputs (`regions/post_processing.rs`).
//!
//! Notation: R regions, K classes, n found objects.

use convnext_core::{BOX_DELTAS, MaskRcnnConfig};
use convnext_onnx::{Attribute, GraphBuilder};

use crate::onnx::boxes::{self, CentredBoxes};
use crate::onnx::layers::{gather, linear, relu, reshape};
use crate::onnx::proposals::{best, limit};
use crate::regions::box_coder::BoxCoder;

/// Names of outputs of the file.
pub(super) const BOXES: &str = "boxes";
pub(super) const SCORES: &str = "scores";
pub(super) const LABELS: &str = "labels";

/// Prefix of the head's names.
const HEAD: &str = "roi_head.bbox_head";

/// What the head says of regions, for each class by itself.
pub(super) struct ClassBoxes {
    /// Probabilities `[K, R]`.
    pub(super) scores: String,
    /// Boxes `[K, R, 4]` within the image.
    pub(super) boxes: String,
}

/// The objects that become outputs.
#[derive(Clone, Copy)]
pub(super) struct HardRule {
    /// Boxes must have a higher score.
    pub(super) score: f64,
    /// Intersection over union above which the worse of two boxes of a class is dropped.
    pub(super) overlap: f64,
    /// Objects at most.
    pub(super) at_most: usize,
}

/// Probability and box of each class for regions `[R, 4]` with their maps `[R, W, 7, 7]`.
pub(super) fn class_boxes(
    graph: &mut GraphBuilder,
    head: &MaskRcnnConfig,
    classes: usize,
    maps: &str,
    regions: &str,
) -> ClassBoxes {
    let name = |end: &str| format!("{HEAD}.{end}");
    let mut hidden = reshape(graph, name("features"), maps, &[-1, head.box_inputs() as i64]);
    for layer in ["shared_fcs.0", "shared_fcs.1"] {
        let outputs = linear(graph, &name(layer), &hidden);
        hidden = relu(graph, &outputs);
    }
    let [logits, deltas] = ["fc_cls", "fc_reg"].map(|layer| linear(graph, &name(layer), &hidden));
    let scores = probabilities(graph, classes, &logits);
    let deltas = reshape(graph, name("deltas"), &deltas, &[-1, classes as i64, BOX_DELTAS as i64]);
    graph.floats(&name("deviations"), &[BOX_DELTAS], &BoxCoder::REGIONS.deviations.map(|value| value as f32));
    let deltas = graph.node(name("scaled_deltas"), "Mul", &[&deltas, &name("deviations")], vec![]);
    let regions = boxes::centred(graph, &name("regions"), regions);
    let [centres, sizes] = [regions.centres, regions.sizes]
        .map(|pairs| reshape(graph, format!("{pairs}.of_classes"), &pairs, &[-1, 1, 2]));
    let boxes = boxes::decode(graph, &name("boxes"), &CentredBoxes { centres, sizes }, &deltas);
    let by_class = vec![Attribute::ints("perm", &[1, 0, 2])];
    let boxes = graph.node(name("boxes_by_class"), "Transpose", &[&boxes], by_class);
    ClassBoxes { scores, boxes }
}

/// Probabilities `[K, R]` of logits `[R, K + 1]`, without that of the background, which is the last.
fn probabilities(graph: &mut GraphBuilder, classes: usize, logits: &str) -> String {
    let name = |end: &str| format!("{HEAD}.{end}");
    let all = graph.node(name("probabilities"), "Softmax", &[logits], vec![Attribute::int("axis", -1)]);
    let by_class = vec![Attribute::ints("perm", &[1, 0])];
    let all = graph.node(name("all_by_class"), "Transpose", &[&all], by_class);
    let [first, background, axis] = ["first_class", "background", "axis_of_classes"].map(name);
    graph.integers(&first, &[0]);
    graph.integers(&background, &[classes as i64]);
    graph.integers(&axis, &[0]);
    graph.node(name("scores_by_class"), "Slice", &[&all, &first, &background, &axis], vec![])
}

/// The outputs [`BOXES`] `[n, 4]`, [`SCORES`] `[n]` and [`LABELS`] `[n]`, by descending score: equal scores in the order
/// (class, region).
///
/// For the operator each class is an image with one class, because each has boxes of its own.
pub(super) fn choose(graph: &mut GraphBuilder, found: &ClassBoxes, rule: HardRule, classes: usize) {
    let name = |end: &str| format!("detections.{end}");
    let scores = reshape(graph, name("class_scores"), &found.scores, &[classes as i64, 1, -1]);
    let [most, overlap, score] = [name("most"), name("overlap"), name("score")];
    graph.integer(&most, limit(rule.at_most));
    graph.scalar(&overlap, rule.overlap as f32);
    graph.scalar(&score, rule.score as f32);
    let inputs = [&*found.boxes, &scores, &most, &overlap, &score];
    let selected = graph.node(name("selected"), "NonMaxSuppression", &inputs, vec![]);
    graph.integers(&name("columns"), &[0, 2]);
    let kept = gather(graph, name("kept"), &selected, &name("columns"), 1);
    let kept_scores = graph.node(name("kept_scores"), "GatherND", &[&found.scores, &kept], vec![]);
    let [scores, places] = best(graph, "detections", &kept_scores, rule.at_most);
    let chosen = gather(graph, name("chosen"), &kept, &places, 0);
    graph.integer(&name("class_column"), 0);
    graph.node(SCORES.into(), "Identity", &[&scores], vec![]);
    gather(graph, LABELS.into(), &chosen, &name("class_column"), 1);
    graph.node(BOXES.into(), "GatherND", &[&found.boxes, &chosen], vec![]);
}
