//! Parts behind the backbone in a file.

use convnext_core::{
    ClassNames, ImageSize, ModelConfig, OutputActivation, STAGES, TensorShape, final_norm_tensors,
    head_tensors,
};

use serde_json::Value;

use crate::graph_builder::GraphBuilder;
use crate::messages::Attribute;
use crate::network::stage_output;
use crate::part_output::PartOutput;

/// The name of the output of a classifier.
pub(crate) const LOGITS: &str = "logits";

/// Operators that a task puts behind the backbone in an ONNX file, and their outputs. The crate of a task
/// brings its own.
pub trait OnnxPart {
    /// Name and shape of every weight that is needed besides those of the backbone.
    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape>;

    /// `true` for a tensor of the weights that is left out on purpose, such as one that only training needs. All others must be
    /// needed.
    fn ignores(&self, name: &str) -> bool;

    /// The size that images of this size get by zeros at the right and at the bottom before they enter the backbone; not
    /// smaller.
    fn padded(&self, image: ImageSize) -> ImageSize {
        image
    }

    /// Each output, for these heights and widths of the maps of the stages.
    fn outputs(&self, backbone: &ModelConfig, maps: [[usize; 2]; STAGES]) -> Vec<PartOutput>;

    /// Adds the nodes that lead from the maps of the stages to the outputs.
    fn append(&self, graph: &mut GraphBuilder, stages: &StageMaps);

    /// Inputs and outputs as text.
    fn description(&self) -> String;

    /// Metadata that a user of the outputs needs: names, and values that the file holds as JSON.
    fn properties(&self) -> Vec<(String, Value)>;
}

/// The maps of the stages as values of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageMaps {
    /// Name of each; its shape is `[batch, C_i, H_i, W_i]`.
    pub names: [String; STAGES],
    /// Height and width of each.
    pub sizes: [[usize; 2]; STAGES],
    /// Those of the images, without padding.
    pub image: ImageSize,
}

/// The maps of the four stages, without a norm, as detection and segmentation take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features;

/// Pooling, norm and head of a classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logits {
    /// The names of the classes; empty where none is known.
    pub classes: ClassNames,
    /// Activation by which a user makes probabilities of the logits.
    pub activation: OutputActivation,
}

impl OnnxPart for Features {
    fn tensors(&self, _backbone: &ModelConfig) -> Vec<TensorShape> {
        Vec::new()
    }

    /// Everything behind the backbone.
    fn ignores(&self, _name: &str) -> bool {
        true
    }

    fn outputs(&self, backbone: &ModelConfig, maps: [[usize; 2]; STAGES]) -> Vec<PartOutput> {
        let stages = backbone.widths.iter().zip(maps).enumerate();
        stages
            .map(|(stage, (&width, [rows, across]))| {
                PartOutput::of_images(&stage_output(stage), &[width, rows, across])
            })
            .collect()
    }

    fn append(&self, _graph: &mut GraphBuilder, _stages: &StageMaps) {}

    fn description(&self) -> String {
        "ConvNeXt backbone: from normalised images [batch, channels, height, width] to the feature maps of its \
         four stages [batch, channels, height, width]. metadata_props say how images are prepared."
            .into()
    }

    fn properties(&self) -> Vec<(String, Value)> {
        Vec::new()
    }
}

impl OnnxPart for Logits {
    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        final_norm_tensors(backbone).into_iter().chain(head_tensors(backbone)).collect()
    }

    fn ignores(&self, _name: &str) -> bool {
        false
    }

    fn outputs(&self, backbone: &ModelConfig, _maps: [[usize; 2]; STAGES]) -> Vec<PartOutput> {
        vec![PartOutput::of_images(LOGITS, &[backbone.classes])]
    }

    /// Mean over the sites, LayerNorm, linear layer.
    fn append(&self, graph: &mut GraphBuilder, stages: &StageMaps) {
        let axes = vec![Attribute::ints("axes", &[2, 3]), Attribute::int("keepdims", 0)];
        let pooled = graph.node("pool".into(), "ReduceMean", &[&stages.names[STAGES - 1]], axes);
        let features = graph.norm("norm", "norm", &pooled);
        let transposed = vec![Attribute::int("transB", 1)];
        let inputs = [features.as_str(), "head.weight", "head.bias"];
        graph.node_to(LOGITS.into(), "head".into(), "Gemm", &inputs, transposed);
    }

    fn description(&self) -> String {
        "ConvNeXt classifier: from normalised images [batch, channels, height, width] to logits [batch, classes]. \
         metadata_props say how images are prepared, how logits become probabilities (activation) and, if known, what \
         the classes are called."
            .into()
    }

    fn properties(&self) -> Vec<(String, Value)> {
        let names = Some(&self.classes.0).filter(|names| !names.is_empty());
        let names = names.map(|names| ("class_names".into(), names.clone().into()));
        let activation = ("activation".into(), self.activation.name().into());
        [activation].into_iter().chain(names).collect()
    }
}
