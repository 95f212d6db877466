//! Boxes as values of a graph: `[..., 4]` with left, top, right and bottom in pixels of the network's input.

use convnext_core::ImageSize;
use convnext_onnx::{Attribute, GraphBuilder};

use crate::onnx::layers::gather;
use crate::regions::box_coder::MIN_SIDE_RATIO;

/// Constants that nodes share, by name.
const FIRST_PAIR: &str = "boxes.first_pair";
const SECOND_PAIR: &str = "boxes.second_pair";
const HALF: &str = "boxes.half";
const ZERO: &str = "boxes.zero";
const FARTHEST: &str = "boxes.farthest";
const LEAST_FACTOR: &str = "boxes.least_factor";
const LARGEST_FACTOR: &str = "boxes.largest_factor";

/// Boxes by their middles and sides, both `[..., 2]`: of x and of y.
pub(super) struct CentredBoxes {
    pub(super) centres: String,
    pub(super) sizes: String,
}

/// Adds the constants, for images of this size.
pub(super) fn constants(graph: &mut GraphBuilder, image: ImageSize) {
    let [width, height] = [image.width as f32, image.height as f32];
    let limit = MIN_SIDE_RATIO.ln().abs() as f32;
    graph.integers(FIRST_PAIR, &[0, 1]);
    graph.integers(SECOND_PAIR, &[2, 3]);
    graph.scalar(HALF, 0.5);
    graph.scalar(ZERO, 0.0);
    graph.floats(FARTHEST, &[4], &[width, height, width, height]);
    graph.scalar(LEAST_FACTOR, -limit);
    graph.scalar(LARGEST_FACTOR, limit);
}

/// The first two and the last two of four numbers along the last axis.
pub(super) fn pairs(graph: &mut GraphBuilder, name: &str, value: &str) -> [String; 2] {
    [(".first", FIRST_PAIR), (".second", SECOND_PAIR)]
        .map(|(end, pair)| gather(graph, format!("{name}{end}"), value, pair, -1))
}

/// Width and height of boxes, `[..., 2]`.
pub(super) fn sizes(graph: &mut GraphBuilder, name: &str, boxes: &str) -> String {
    let [low, high] = pairs(graph, name, boxes);
    graph.node(format!("{name}.sizes"), "Sub", &[&high, &low], vec![])
}

/// Boxes by their middles and sides.
pub(super) fn centred(graph: &mut GraphBuilder, name: &str, boxes: &str) -> CentredBoxes {
    let [low, high] = pairs(graph, name, boxes);
    let sizes = graph.node(format!("{name}.sizes"), "Sub", &[&high, &low], vec![]);
    let sums = graph.node(format!("{name}.sums"), "Add", &[&low, &high], vec![]);
    let centres = graph.node(format!("{name}.centres"), "Mul", &[&sums, HALF], vec![]);
    CentredBoxes { centres, sizes }
}

/// The boxes at these deltas from others, as far as they lie within the image (`BoxCoder::decode`).
pub(super) fn decode(graph: &mut GraphBuilder, name: &str, bases: &CentredBoxes, deltas: &str) -> String {
    let [shifts, factors] = pairs(graph, &format!("{name}.deltas"), deltas);
    let of = |end: &str| format!("{name}.{end}");
    let shifts = graph.node(of("shifts"), "Mul", &[&bases.sizes, &shifts], vec![]);
    let centres = graph.node(of("centres"), "Add", &[&bases.centres, &shifts], vec![]);
    let factors = graph.node(of("logarithms"), "Clip", &[&factors, LEAST_FACTOR, LARGEST_FACTOR], vec![]);
    let factors = graph.node(of("factors"), "Exp", &[&factors], vec![]);
    let sizes = graph.node(of("sizes"), "Mul", &[&bases.sizes, &factors], vec![]);
    let halves = graph.node(of("halves"), "Mul", &[&sizes, HALF], vec![]);
    let low = graph.node(of("low"), "Sub", &[&centres, &halves], vec![]);
    let high = graph.node(of("high"), "Add", &[&centres, &halves], vec![]);
    let axis = vec![Attribute::int("axis", -1)];
    let whole = graph.node(of("whole"), "Concat", &[&low, &high], axis);
    let above = graph.node(of("above_zero"), "Max", &[&whole, ZERO], vec![]);
    graph.node(name.to_owned(), "Min", &[&above, FARTHEST], vec![])
}
