//! Layers with the weights of the network.

use convnext_onnx::{Attribute, GraphBuilder};

/// A convolution with the weights of `layer` and an odd kernel of this side, which leaves the size of the map.
pub(super) fn convolution(
    graph: &mut GraphBuilder,
    name: String,
    layer: &str,
    map: &str,
    side: usize,
) -> String {
    let side = side as i64;
    let attributes =
        vec![Attribute::ints("kernel_shape", &[side; 2]), Attribute::ints("pads", &[side / 2; 4])];
    let weights = ["weight", "bias"].map(|leaf| format!("{layer}.{leaf}"));
    graph.node(name, "Conv", &[map, &weights[0], &weights[1]], attributes)
}

/// A 2x2 transposed convolution of stride 2, which doubles the sides of the map.
pub(super) fn upsampling(graph: &mut GraphBuilder, layer: &str, map: &str) -> String {
    let attributes = vec![Attribute::ints("kernel_shape", &[2; 2]), Attribute::ints("strides", &[2; 2])];
    let weights = ["weight", "bias"].map(|leaf| format!("{layer}.{leaf}"));
    graph.node(layer.to_owned(), "ConvTranspose", &[map, &weights[0], &weights[1]], attributes)
}

/// A linear layer on rows `[R, inputs]`.
pub(super) fn linear(graph: &mut GraphBuilder, layer: &str, rows: &str) -> String {
    let weights = ["weight", "bias"].map(|leaf| format!("{layer}.{leaf}"));
    let transposed = vec![Attribute::int("transB", 1)];
    graph.node(layer.to_owned(), "Gemm", &[rows, &weights[0], &weights[1]], transposed)
}

/// ReLU of a value.
pub(super) fn relu(graph: &mut GraphBuilder, value: &str) -> String {
    graph.node(format!("{value}.relu"), "Relu", &[value], vec![])
}

/// A value in another shape, one of whose sides may be -1: what is left for it.
pub(super) fn reshape(graph: &mut GraphBuilder, name: String, value: &str, shape: &[i64]) -> String {
    let sides = format!("{name}.shape");
    graph.integers(&sides, shape);
    graph.node(name, "Reshape", &[value, &sides], vec![])
}

/// Entries of a value along an axis, those of `places`, which is a value or a constant.
pub(super) fn gather(graph: &mut GraphBuilder, name: String, value: &str, places: &str, axis: i64) -> String {
    graph.node(name, "Gather", &[value, places], vec![Attribute::int("axis", axis)])
}
