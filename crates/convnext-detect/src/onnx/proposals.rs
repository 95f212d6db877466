//! The region proposal network, and the proposals that are made of its outputs (`regions/proposals.rs`).
//!
//! Notation: k_l anchors of level l are looked at, T of all levels; R proposals remain.

use convnext_core::BoundingBox;
use convnext_onnx::{Attribute, GraphBuilder};

use crate::onnx::boxes::{self, CentredBoxes};
use crate::onnx::layers::{convolution, gather, relu, reshape};
use crate::onnx::pyramid::PyramidLevel;
use crate::regions::proposals::ProposalRule;

/// In place of the logit of a box that must not be chosen, and the limit below all others.
const NEVER: f32 = -1e30;
const LOWEST: f32 = -1e29;

/// What there is of the best anchors of a level.
const PARTS: [&str; 4] = ["logits", "deltas", "centres", "sizes"];

/// Boxes that may become proposals, level after level.
pub(super) struct Candidates {
    /// Boxes `[T, 4]` within the image, some of them without an area.
    pub(super) boxes: String,
    /// Their logits `[T]`.
    pub(super) logits: String,
    /// How many are of each level.
    pub(super) counts: Vec<usize>,
}

/// The best anchors of each level, moved by their deltas; of equal ones the first, as `TopK` has it.
pub(super) fn candidates(graph: &mut GraphBuilder, levels: &[PyramidLevel], best: usize) -> Candidates {
    let mut of_levels = Vec::with_capacity(levels.len());
    for (index, level) in levels.iter().enumerate() {
        of_levels.push(of_level(graph, index, level, best));
    }
    let [logits, deltas, centres, sizes] = std::array::from_fn(|part| {
        let values: Vec<&str> = of_levels.iter().map(|values| values[part].as_str()).collect();
        let name = format!("rpn_head.{}", PARTS[part]);
        graph.node(name, "Concat", &values, vec![Attribute::int("axis", 0)])
    });
    let boxes = boxes::decode(graph, "rpn_head.boxes", &CentredBoxes { centres, sizes }, &deltas);
    let counts = levels.iter().map(|level| level.level.anchors().min(best)).collect();
    Candidates { boxes, logits, counts }
}

/// The [`PARTS`] of a level: logits `[k]`, deltas `[k, 4]`, middles and sides `[k, 2]`.
fn of_level(graph: &mut GraphBuilder, index: usize, level: &PyramidLevel, best: usize) -> [String; 4] {
    let name = |end: &str| format!("rpn_head.{index}.{end}");
    let hidden = convolution(graph, name("rpn_conv"), "rpn_head.rpn_conv", &level.map, 3);
    let hidden = relu(graph, &hidden);
    let [all_logits, all_deltas] = [("rpn_cls", &[-1][..]), ("rpn_reg", &[-1, 4])].map(|(layer, shape)| {
        let map = convolution(graph, name(layer), &format!("rpn_head.{layer}"), &hidden, 1);
        let rows = graph.channels_last(format!("{map}.channels_last"), &map);
        reshape(graph, format!("{map}.rows"), &rows, shape)
    });
    graph.integers(&name("count"), &[level.level.anchors().min(best) as i64]);
    let outputs = [name("logits"), name("places")];
    let inputs = [all_logits.as_str(), &name("count")];
    let [logits, places] = graph.nodes_to(outputs, name("best"), "TopK", &inputs, vec![]);
    let deltas = gather(graph, name("deltas"), &all_deltas, &places, 0);
    let [all_centres, all_sizes] = anchors(graph, index, level);
    let centres = gather(graph, name("centres"), &all_centres, &places, 0);
    let sizes = gather(graph, name("sizes"), &all_sizes, &places, 0);
    [logits, deltas, centres, sizes]
}

/// Middles and sides of all anchors of a level, as constants.
fn anchors(graph: &mut GraphBuilder, index: usize, level: &PyramidLevel) -> [String; 2] {
    let anchors = level.level.boxes();
    let mut constant = |end: &str, pair: fn(&BoundingBox) -> [f64; 2]| {
        let name = format!("anchors.{index}.{end}");
        let values: Vec<f32> = anchors.iter().flat_map(pair).map(|value| value as f32).collect();
        graph.floats(&name, &[anchors.len(), 2], &values);
        name
    };
    let centres = constant("centres", |of| [(of.left + of.right) * 0.5, (of.top + of.bottom) * 0.5]);
    [centres, constant("sizes", |of| [of.width(), of.height()])]
}

/// The proposals `[R, 4]` by descending logit: the best that overlap no better one of their level.
pub(super) fn choose(graph: &mut GraphBuilder, candidates: &Candidates, rule: ProposalRule) -> String {
    let name = |end: &str| format!("proposals.{end}");
    let scores = scores(graph, candidates);
    let boxes = reshape(graph, name("boxes"), &candidates.boxes, &[1, -1, 4]);
    let [most, threshold, lowest] = [name("most"), name("threshold"), name("lowest")];
    graph.integer(&most, limit(rule.at_most));
    graph.scalar(&threshold, rule.threshold as f32);
    graph.scalar(&lowest, LOWEST);
    graph.integer(&name("box_column"), 2);
    let inputs = [&*boxes, &scores, &most, &threshold, &lowest];
    let selected = graph.node(name("selected"), "NonMaxSuppression", &inputs, vec![]);
    let kept = gather(graph, name("kept"), &selected, &name("box_column"), 1);
    let logits = gather(graph, name("kept_logits"), &candidates.logits, &kept, 0);
    let [_, best] = best(graph, "proposals", &logits, rule.at_most);
    let best = gather(graph, name("best"), &kept, &best, 0);
    gather(graph, "proposals".into(), &candidates.boxes, &best, 0)
}

/// The logits for each level as a class, `[1, levels, T]`: that of a box of another level, or without an area, is below all
/// others. Without an area a box would suppress nothing, but count.
pub(super) fn scores(graph: &mut GraphBuilder, candidates: &Candidates) -> String {
    let name = |end: &str| format!("proposals.{end}");
    let sizes = boxes::sizes(graph, &name("candidates"), &candidates.boxes);
    let last = vec![Attribute::ints("axes", &[-1]), Attribute::int("keepdims", 0)];
    let shorter = graph.node(name("shorter_sides"), "ReduceMin", &[&sizes], last);
    let [zero, never] = [name("zero"), name("never")];
    graph.scalar(&zero, 0.0);
    graph.scalar(&never, NEVER);
    let has_area = graph.node(name("has_area"), "Greater", &[&shorter, &zero], vec![]);
    let logits = graph.node(name("logits"), "Where", &[&has_area, &candidates.logits, &never], vec![]);
    let levels = candidates.counts.len();
    let of_level = |level: usize| {
        let counts = candidates.counts.iter().enumerate();
        counts.flat_map(move |(other, &count)| {
            std::iter::repeat_n(if other == level { 0.0 } else { NEVER }, count)
        })
    };
    let apart: Vec<f32> = (0..levels).flat_map(of_level).collect();
    graph.floats(&name("levels_apart"), &[1, levels, apart.len() / levels.max(1)], &apart);
    graph.node(name("scores"), "Add", &[&logits, &name("levels_apart")], vec![])
}

/// A number of things at most, as the format has it.
pub(super) fn limit(at_most: usize) -> i64 {
    i64::try_from(at_most).unwrap_or(i64::MAX)
}

/// The highest of some scores, at most so many of them, by descending score, and where they stand: of equal ones the first
/// comes first.
pub(super) fn best(graph: &mut GraphBuilder, name: &str, scores: &str, at_most: usize) -> [String; 2] {
    let of = |end: &str| format!("{name}.{end}");
    graph.integers(&of("at_most"), &[limit(at_most)]);
    let found = graph.node(of("found"), "Shape", &[scores], vec![]);
    let count = graph.node(of("count"), "Min", &[&of("at_most"), &found], vec![]);
    graph.nodes_to([of("best_scores"), of("best_places")], of("ranked"), "TopK", &[scores, &count], vec![])
}
