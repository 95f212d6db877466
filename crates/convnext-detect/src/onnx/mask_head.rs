//! The mask head (`mask_rcnn/mask_head.rs`).

use convnext_core::MASK_CONVOLUTIONS;
use convnext_onnx::{Attribute, GraphBuilder};

use crate::onnx::layers::{convolution, relu, reshape, upsampling};

/// Name of the output of the file.
pub(super) const MASKS: &str = "masks";

/// Prefix of the head's names.
const HEAD: &str = "roi_head.mask_head";

/// The output [`MASKS`] `[n, 28, 28]`: the probabilities of the class of each of n objects, by their maps `[n, W, 14, 14]` and
/// their classes `[n]`.
pub(super) fn append(graph: &mut GraphBuilder, maps: &str, labels: &str) {
    let name = |end: &str| format!("{HEAD}.{end}");
    let mut maps = maps.to_owned();
    for index in 0..MASK_CONVOLUTIONS {
        let layer = name(&format!("convs.{index}.conv"));
        let convolved = convolution(graph, layer.clone(), &layer, &maps, 3);
        maps = relu(graph, &convolved);
    }
    let larger = upsampling(graph, &name("upsample"), &maps);
    let larger = relu(graph, &larger);
    let layer = name("conv_logits");
    let logits = convolution(graph, layer.clone(), &layer, &larger, 1);
    let labels = reshape(graph, name("labels"), labels, &[-1, 1]);
    let by_object = vec![Attribute::int("batch_dims", 1)];
    let logits = graph.node(name("logits_of_class"), "GatherND", &[&logits, &labels], by_object);
    graph.node(MASKS.into(), "Sigmoid", &[&logits], vec![]);
}
