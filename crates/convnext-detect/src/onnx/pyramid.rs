//! The norms on the stages and the feature pyramid (`mask_rcnn/feature_pyramid.rs`).

use convnext_core::{PYRAMID_LEVELS, PYRAMID_STRIDES, STAGES};
use convnext_onnx::{Attribute, GraphBuilder, StageMaps};

use crate::onnx::layers::convolution;
use crate::regions::anchors::MapLevel;

/// The factors of `[1, W, height, width]` from a level to the finer one. The images are padded so that they are exact.
const DOUBLED: &str = "neck.doubled";

/// A level of the pyramid.
pub(super) struct PyramidLevel {
    /// The value `[1, W, height, width]`.
    pub(super) map: String,
    /// Its size.
    pub(super) level: MapLevel,
}

/// P2 to P6.
pub(super) fn append(graph: &mut GraphBuilder, stages: &StageMaps) -> [PyramidLevel; PYRAMID_LEVELS] {
    graph.floats(DOUBLED, &[4], &[1.0, 1.0, 2.0, 2.0]);
    let mut sums: Vec<String> =
        (0..STAGES).map(|stage| lateral(graph, stage, &stages.names[stage])).collect();
    for stage in (0..STAGES - 1).rev() {
        let name = format!("neck.top_down.{stage}");
        let attributes = vec![
            Attribute::string("mode", "nearest"),
            Attribute::string("coordinate_transformation_mode", "asymmetric"),
            Attribute::string("nearest_mode", "floor"),
        ];
        let inputs = [sums[stage + 1].as_str(), "", DOUBLED];
        let coarser = graph.node(format!("{name}.resized"), "Resize", &inputs, attributes);
        sums[stage] = graph.node(name, "Add", &[&sums[stage], &coarser], vec![]);
    }
    let mut maps: Vec<String> = Vec::with_capacity(PYRAMID_LEVELS);
    for (stage, sum) in sums.iter().enumerate() {
        let layer = format!("neck.fpn_convs.{stage}.conv");
        maps.push(convolution(graph, layer.clone(), &layer, sum, 3));
    }
    let every_second = vec![Attribute::ints("kernel_shape", &[1; 2]), Attribute::ints("strides", &[2; 2])];
    maps.push(graph.node("neck.subsampled".into(), "MaxPool", &[&maps[STAGES - 1]], every_second));
    std::array::from_fn(|level| {
        let [height, width] = match level {
            STAGES => stages.sizes[STAGES - 1].map(|side| side.div_ceil(2)),
            stage => stages.sizes[stage],
        };
        let level_of = MapLevel::new(PYRAMID_STRIDES[level], [height, width]);
        PyramidLevel { map: maps[level].clone(), level: level_of }
    })
}

/// The norm on the output of a stage, and the layer that brings it to the width of the pyramid.
fn lateral(graph: &mut GraphBuilder, stage: usize, map: &str) -> String {
    let norm = format!("norm{stage}");
    let rows = graph.channels_last(format!("{norm}.channels_last"), map);
    let rows = graph.norm(&norm, &norm, &rows);
    let map = graph.channels_first(format!("{norm}.channels_first"), &rows);
    let layer = format!("neck.lateral_convs.{stage}.conv");
    convolution(graph, layer.clone(), &layer, &map, 1)
}
