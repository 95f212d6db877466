//! The operators of UperNet's decode head (docs/facts.md, "F. Segmentation"), in the order of mmsegmentation and
//! transformers.
//!
//! ONNX has no adaptive average pooling. For maps of a known size it is linear in rows and columns, so it is a product
//! with a constant matrix on each side. The sizes of a `Resize` are those of all axes: the batch is taken from the input.

use convnext_core::{POOL_SCALES, STAGES};
use convnext_nn::ops::resample_plan::Resampling;
use convnext_onnx::{Attribute, GraphBuilder, StageMaps};

/// The name of the output.
pub(super) const LOGITS: &str = "logits";

/// The batch as a list of one number.
const BATCH: &str = "decode_head.batch";

/// Prefix of the names of all nodes but the norms.
const HEAD: &str = "decode_head";

/// Stage of the coarsest map.
const LAST: usize = STAGES - 1;

/// A value that is a map: its name, and height and width.
#[derive(Clone)]
struct Map {
    name: String,
    size: [usize; 2],
}

/// The decode head under construction.
pub(super) struct Decoder<'a> {
    graph: &'a mut GraphBuilder,
    stages: &'a StageMaps,
    width: usize,
}

impl<'a> Decoder<'a> {
    /// A head of so many channels behind these maps.
    pub(super) fn new(graph: &'a mut GraphBuilder, stages: &'a StageMaps, width: usize) -> Self {
        Self { graph, stages, width }
    }

    /// Adds all nodes, up to the logits `[batch, classes, height, width]` of this size.
    pub(super) fn append(&mut self, classes: usize, size: [usize; 2]) {
        let of_batch = vec![Attribute::int("start", 0), Attribute::int("end", 1)];
        self.graph.node(BATCH.into(), "Shape", &[&self.stages.names[0]], of_batch);
        let mut maps: Vec<Map> = (0..STAGES).map(|stage| self.lateral(stage)).collect();
        for stage in (0..LAST).rev() {
            let coarser = maps[stage + 1].clone();
            maps[stage] = self.add_resized(stage, &maps[stage].clone(), &coarser);
        }
        let finest = maps[0].size;
        let outputs: Vec<String> = maps
            .into_iter()
            .enumerate()
            .map(|(stage, map)| {
                let name = format!("{HEAD}.fpn_convs.{stage}");
                let map = if stage < LAST { self.convolution(&name, &map, 3) } else { map };
                match stage {
                    0 => map.name,
                    _ => self.resize(format!("{HEAD}.outputs.{stage}"), &map, self.width, finest).name,
                }
            })
            .collect();
        let joined = self.join("outputs", &outputs, finest);
        let map = self.convolution("decode_head.fpn_bottleneck", &joined, 3);
        let weights = ["weight", "bias"].map(|leaf| format!("{HEAD}.conv_seg.{leaf}"));
        let inputs = [map.name.as_str(), &weights[0], &weights[1]];
        let name = self.graph.node(format!("{HEAD}.conv_seg"), "Conv", &inputs, kernel(1));
        self.resize(LOGITS.into(), &Map { name, size: finest }, classes, size);
    }

    /// The norm on the output of a stage, and the layers that bring it to the channels of the head.
    fn lateral(&mut self, stage: usize) -> Map {
        let norm = format!("norm{stage}");
        let rows = self.graph.channels_last(format!("{norm}.channels_last"), &self.stages.names[stage]);
        let rows = self.graph.norm(&norm, &norm, &rows);
        let name = self.graph.channels_first(format!("{norm}.channels_first"), &rows);
        let map = Map { name, size: self.stages.sizes[stage] };
        match stage {
            LAST => self.pyramid_pooling(&map),
            _ => self.convolution(&format!("{HEAD}.lateral_convs.{stage}"), &map, 1),
        }
    }

    /// The coarsest map beside its averages over 1, 4, 9 and 36 cells.
    fn pyramid_pooling(&mut self, map: &Map) -> Map {
        let mut parts = vec![map.name.clone()];
        for (index, cells) in POOL_SCALES.into_iter().enumerate() {
            let name = format!("{HEAD}.psp_modules.{index}");
            let pooled = self.pool(&name, map, cells);
            let pooled = self.convolution(&format!("{name}.1"), &pooled, 1);
            parts.push(self.resize(format!("{name}.resized"), &pooled, self.width, map.size).name);
        }
        let joined = self.join("psp_modules", &parts, map.size);
        self.convolution("decode_head.bottleneck", &joined, 3)
    }

    /// Averages over `cells` x `cells` parts of a map.
    fn pool(&mut self, name: &str, map: &Map, cells: usize) -> Map {
        let [rows, columns] = ["rows", "columns"].map(|axis| format!("{name}.0.{axis}"));
        let [height, width] = map.size;
        let weights = |side: usize| Resampling::AdaptiveAverage.matrix(side, cells);
        self.graph.floats(&rows, &[cells, height], &weights(height));
        let transposed = transposed(&weights(width), width);
        self.graph.floats(&columns, &[width, cells], &transposed);
        let high = self.graph.node(format!("{name}.0.of_rows"), "MatMul", &[&rows, &map.name], vec![]);
        let pooled = self.graph.node(format!("{name}.0"), "MatMul", &[&high, &columns], vec![]);
        Map { name: pooled, size: [cells; 2] }
    }

    /// A finer map plus a coarser one.
    fn add_resized(&mut self, stage: usize, finer: &Map, coarser: &Map) -> Map {
        let resized =
            self.resize(format!("{HEAD}.top_down.{stage}.resized"), coarser, self.width, finer.size);
        let inputs = [finer.name.as_str(), &resized.name];
        let name = self.graph.node(format!("{HEAD}.top_down.{stage}"), "Add", &inputs, vec![]);
        Map { name, size: finer.size }
    }

    /// A convolution with the batch norm in it, which leaves the size, and ReLU.
    fn convolution(&mut self, name: &str, map: &Map, side: usize) -> Map {
        let [weight, bias] = ["weight", "bias"].map(|leaf| format!("{name}.conv.{leaf}"));
        let inputs = [map.name.as_str(), &weight, &bias];
        let convolved = self.graph.node(format!("{name}.conv"), "Conv", &inputs, kernel(side));
        let name = self.graph.node(name.to_owned(), "Relu", &[&convolved], vec![]);
        Map { name, size: map.size }
    }

    /// Maps of one size beside each other.
    fn join(&mut self, name: &str, maps: &[String], size: [usize; 2]) -> Map {
        let inputs: Vec<&str> = maps.iter().map(String::as_str).collect();
        let name = format!("{HEAD}.{name}.joined");
        Map { name: self.graph.node(name, "Concat", &inputs, vec![Attribute::int("axis", 1)]), size }
    }

    /// Bilinear interpolation between the centres of pixels, to a value of this name.
    fn resize(&mut self, name: String, map: &Map, channels: usize, size: [usize; 2]) -> Map {
        let sides = format!("{name}.sides");
        self.graph.integers(&sides, &[channels, size[0], size[1]].map(|side| side as i64));
        let axis = vec![Attribute::int("axis", 0)];
        let sizes = self.graph.node(format!("{name}.sizes"), "Concat", &[BATCH, &sides], axis);
        let attributes = vec![
            Attribute::string("mode", "linear"),
            Attribute::string("coordinate_transformation_mode", "half_pixel"),
        ];
        Map { name: self.graph.node(name, "Resize", &[&map.name, "", "", &sizes], attributes), size }
    }
}

/// Settings of a convolution with an odd kernel that leaves the size of the map.
fn kernel(side: usize) -> Vec<Attribute> {
    let side = side as i64;
    vec![Attribute::ints("kernel_shape", &[side; 2]), Attribute::ints("pads", &[side / 2; 4])]
}

/// A matrix with rows of so many columns, turned around.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        assert_eq!(transposed(&[0.5, 0.25, 0.0, 0.0, 0.5, 1.0], 3), [0.5, 0.0, 0.25, 0.5, 0.0, 1.0]);
    }
}
