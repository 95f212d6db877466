//! The maps of regions by RoIAlign, each of the level of the pyramid for its size (`mask_rcnn/roi_extractor.rs`).

use convnext_onnx::{Attribute, GraphBuilder};

use crate::mask_rcnn::roi_extractor::{FINEST_SCALE, LEVEL_MARGIN, REGION_LEVELS};
use crate::onnx::boxes;
use crate::onnx::layers::{gather, reshape};
use crate::onnx::pyramid::PyramidLevel;

/// Maps `[R, W, side, side]` of the boxes `[R, 4]`, in their order.
///
/// The regions of each level are cut out of its map, of some levels none at all, and put back into their order.
pub(super) fn append(
    graph: &mut GraphBuilder,
    name: &str,
    levels: &[PyramidLevel],
    regions: &str,
    side: usize,
) -> String {
    let of = |end: &str| format!("{name}.{end}");
    let level_of = region_levels(graph, name, regions);
    let (mut maps, mut order) = (Vec::new(), Vec::new());
    for (index, level) in levels.iter().take(REGION_LEVELS).enumerate() {
        let of = |end: &str| format!("{name}.{index}.{end}");
        graph.integer(&of("level"), index as i64);
        let is_of_it = graph.node(of("is_of_level"), "Equal", &[&level_of, &of("level")], vec![]);
        let places = graph.node(of("nonzero"), "NonZero", &[&is_of_it], vec![]);
        let places = reshape(graph, of("places"), &places, &[-1]);
        let chosen = gather(graph, of("regions"), regions, &places, 0);
        // All are of the first image.
        let images = graph.node(of("images"), "Sub", &[&places, &places], vec![]);
        let attributes = alignment(side, level.level.stride);
        maps.push(graph.node(of("maps"), "RoiAlign", &[&level.map, &chosen, &images], attributes));
        order.push(places);
    }
    let joined = |graph: &mut GraphBuilder, end: &str, parts: &[String]| {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        graph.node(of(end), "Concat", &parts, vec![Attribute::int("axis", 0)])
    };
    let maps = joined(graph, "by_level", &maps);
    let order = joined(graph, "order", &order);
    // What sorts the order is its inverse.
    let count = graph.node(of("count"), "Shape", &[&order], vec![]);
    let ascending = vec![Attribute::int("largest", 0)];
    let outputs = [of("sorted"), of("inverse")];
    let [_, inverse] = graph.nodes_to(outputs, of("sorting"), "TopK", &[&order, &count], ascending);
    gather(graph, name.to_owned(), &maps, &inverse, 0)
}

/// Settings of RoIAlign as [`convnext_nn::roi_align`] does it: coordinates are those of the middles of cells, and a cell is the
/// mean of as many samples as it covers cells of the map.
fn alignment(side: usize, stride: usize) -> Vec<Attribute> {
    vec![
        Attribute::string("mode", "avg"),
        Attribute::string("coordinate_transformation_mode", "half_pixel"),
        Attribute::int("output_height", side as i64),
        Attribute::int("output_width", side as i64),
        Attribute::int("sampling_ratio", 0),
        Attribute::float("spatial_scale", 1.0 / stride as f32),
    ]
}

/// The level of each region, `[R]`, counted from 0: how many first sizes of levels its area reaches.
pub(super) fn region_levels(graph: &mut GraphBuilder, name: &str, regions: &str) -> String {
    let of = |end: &str| format!("{name}.{end}");
    let sizes = boxes::sizes(graph, name, regions);
    let last = vec![Attribute::ints("axes", &[-1]), Attribute::int("keepdims", 1)];
    let areas = graph.node(of("areas"), "ReduceProd", &[&sizes], last);
    let first = |level: usize| FINEST_SCALE * (f64::from(1 << level) - LEVEL_MARGIN);
    let first_areas: Vec<f32> = (1..REGION_LEVELS).map(|level| first(level).powi(2) as f32).collect();
    graph.floats(&of("first_areas"), &[first_areas.len()], &first_areas);
    let reached = graph.node(of("reached"), "GreaterOrEqual", &[&areas, &of("first_areas")], vec![]);
    // Type 7 is int64.
    let reached = graph.node(of("reached_as_numbers"), "Cast", &[&reached], vec![Attribute::int("to", 7)]);
    graph.integers(&of("axis_of_levels"), &[1]);
    let inputs = [reached.as_str(), &of("axis_of_levels")];
    graph.node(of("levels"), "ReduceSum", &inputs, vec![Attribute::int("keepdims", 0)])
}
