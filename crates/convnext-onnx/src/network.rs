//! The operators of a ConvNeXt (paper section 3; docs/facts.md, "Macro structure", "Block", "GRN"), in the
//! order of the official PyTorch code.
//!
//! Maps between blocks are `[N, C, H, W]`, which convolutions take; within a block they are `[N, H, W, C]`,
//! so that LayerNorm and the linear layers go along the last axis.
//! In ONNX Runtime that took less time than linear layers as 1x1 convolutions, and the sum of squares of GRN
//! less than the operator `ReduceL2`.

use convnext_core::{BlockParameter as P, DEPTHWISE_KERNEL_SIZE, ModelConfig, STAGES};

use crate::graph_builder::GraphBuilder;
use crate::messages::Attribute;

/// The name of the input.
pub(crate) const IMAGES: &str = "images";

/// The input with its padding, and how much there is of that.
const PADDED: &str = "padded_images";
const PADS: &str = "padded_images.pads";

/// Of the mean in GRN (docs/facts.md, "GRN").
const EPSILON: f32 = 1e-6;

/// Constants that nodes share, by name.
const ONE: &str = "constants.one";
const HALF: &str = "constants.half";
const SQUARE_ROOT_OF_TWO: &str = "constants.square_root_of_two";
const GRN_EPSILON: &str = "constants.grn_epsilon";
const SITES: &str = "constants.axes_of_sites";

/// The name of the feature map after a stage, counted from 0: `stage1` to `stage4`.
pub(crate) fn stage_output(stage: usize) -> String {
    format!("stage{}", stage + 1)
}

/// Adds zeros at the right and at the bottom of the input, so many rows and columns, and returns the value's name.
pub(crate) fn padding(graph: &mut GraphBuilder, [rows, columns]: [usize; 2]) -> String {
    if [rows, columns] == [0; 2] {
        return IMAGES.to_owned();
    }
    graph.integers(PADS, &[0, 0, 0, 0, 0, 0, rows as i64, columns as i64]);
    graph.node(PADDED.into(), "Pad", &[IMAGES, PADS], vec![])
}

/// Adds the nodes and constants of a backbone, from a value with images to the map of each stage, whose names are returned.
/// Weights are called by `prefix` and official name.
pub(crate) fn backbone(
    graph: &mut GraphBuilder,
    images: String,
    prefix: &str,
    model: &ModelConfig,
) -> [String; STAGES] {
    let mut network = Network { prefix, graph };
    network.constants(model);
    let mut map = images;
    for stage in 0..STAGES {
        map =
            if stage == 0 { network.stem(map, model.stem_stride) } else { network.downsampling(map, stage) };
        for index in 0..model.depths[stage] {
            let last = index + 1 == model.depths[stage];
            let output = if last { stage_output(stage) } else { format!("stages.{stage}.{index}") };
            map = network.block(&map, [stage, index], model, output);
        }
    }
    std::array::from_fn(stage_output)
}

struct Network<'a> {
    prefix: &'a str,
    graph: &'a mut GraphBuilder,
}

impl Network<'_> {
    fn constants(&mut self, model: &ModelConfig) {
        self.graph.scalar(ONE, 1.0);
        self.graph.scalar(HALF, 0.5);
        self.graph.scalar(SQUARE_ROOT_OF_TWO, std::f32::consts::SQRT_2);
        if model.has_grn() {
            self.graph.scalar(GRN_EPSILON, EPSILON);
            self.graph.integers(SITES, &[1, 2]);
        }
    }

    /// The name of a weight.
    fn weight(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// LayerNorm over the last axis.
    fn norm(&mut self, name: &str, rows: &str) -> String {
        self.graph.norm(name, &self.weight(name), rows)
    }

    /// A convolution, then LayerNorm.
    fn stem(&mut self, images: String, stride: usize) -> String {
        let map = self.convolution("downsample_layers.0.0", &images, stride);
        self.norm_of_map("downsample_layers.0.1", &map)
    }

    /// LayerNorm, then a 2x2 convolution of stride 2.
    fn downsampling(&mut self, map: String, stage: usize) -> String {
        let map = self.norm_of_map(&format!("downsample_layers.{stage}.0"), &map);
        self.convolution(&format!("downsample_layers.{stage}.1"), &map, 2)
    }

    /// A convolution whose kernel is its stride; what is left over at the end is not seen.
    fn convolution(&mut self, name: &str, map: &str, stride: usize) -> String {
        let sides = [stride as i64; 2];
        let attributes = vec![Attribute::ints("kernel_shape", &sides), Attribute::ints("strides", &sides)];
        let inputs = [map, &self.weight(&format!("{name}.weight")), &self.weight(&format!("{name}.bias"))];
        self.graph.node(name.to_owned(), "Conv", &inputs, attributes)
    }

    /// LayerNorm over the channels of a `[N, C, H, W]` map.
    fn norm_of_map(&mut self, name: &str, map: &str) -> String {
        let rows = self.graph.channels_last(format!("{name}.channels_last"), map);
        let rows = self.norm(name, &rows);
        self.graph.channels_first(format!("{name}.channels_first"), &rows)
    }

    /// One residual block (docs/facts.md, "Block").
    fn block(
        &mut self,
        map: &str,
        [stage, index]: [usize; 2],
        model: &ModelConfig,
        output: String,
    ) -> String {
        let name = format!("stages.{stage}.{index}");
        let side = DEPTHWISE_KERNEL_SIZE as i64;
        let attributes = vec![
            Attribute::ints("kernel_shape", &[side; 2]),
            Attribute::ints("pads", &[side / 2; 4]),
            Attribute::int("group", model.widths[stage] as i64),
        ];
        let prefix = self.prefix;
        let weight = |parameter: P| format!("{prefix}{}", parameter.in_block(&name));
        let [kernel, bias] = [P::DepthwiseWeight, P::DepthwiseBias].map(weight);
        let branch = self.graph.node(format!("{name}.dwconv"), "Conv", &[map, &kernel, &bias], attributes);
        let rows = self.graph.channels_last(format!("{name}.channels_last"), &branch);
        let rows = self.norm(&format!("{name}.norm"), &rows);
        let expand = [P::ExpandWeight, P::ExpandBias].map(weight);
        let mut hidden = self.linear(&format!("{name}.pwconv1"), expand, &rows);
        hidden = self.gelu(&format!("{name}.gelu"), &hidden);
        if model.has_grn() {
            hidden = self.grn(&format!("{name}.grn"), [P::GrnGamma, P::GrnBeta].map(weight), &hidden);
        }
        let project = [P::ProjectWeight, P::ProjectBias].map(weight);
        let mut rows = self.linear(&format!("{name}.pwconv2"), project, &hidden);
        if model.layer_scale.is_some() {
            let gamma = weight(P::LayerScale);
            rows = self.graph.node(format!("{name}.layer_scale"), "Mul", &[&rows, &gamma], vec![]);
        }
        let branch = self.graph.channels_first(format!("{name}.channels_first"), &rows);
        self.graph.node_to(output, format!("{name}.residual"), "Add", &[map, &branch], vec![])
    }

    /// A linear layer on rows. Its weight keeps PyTorch's `[outputs, inputs]`; a runtime turns it around once,
    /// when it loads the file.
    fn linear(&mut self, name: &str, [weight, bias]: [String; 2], rows: &str) -> String {
        let perm = vec![Attribute::ints("perm", &[1, 0])];
        let weight = self.graph.node(format!("{name}.transposed_weight"), "Transpose", &[&weight], perm);
        let product = self.graph.node(format!("{name}.product"), "MatMul", &[rows, &weight], vec![]);
        self.graph.node(name.to_owned(), "Add", &[&product, &bias], vec![])
    }

    /// The exact GELU: `x (erf(x / sqrt 2) + 1) / 2`. ONNX Runtime knows this pattern as one operation;
    /// an operator of its own came later, with opset 20.
    fn gelu(&mut self, name: &str, x: &str) -> String {
        let scaled = self.graph.node(format!("{name}.scaled"), "Div", &[x, SQUARE_ROOT_OF_TWO], vec![]);
        let erf = self.graph.node(format!("{name}.erf"), "Erf", &[&scaled], vec![]);
        let shifted = self.graph.node(format!("{name}.shifted"), "Add", &[&erf, ONE], vec![]);
        let product = self.graph.node(format!("{name}.product"), "Mul", &[x, &shifted], vec![]);
        self.graph.node(name.to_owned(), "Mul", &[&product, HALF], vec![])
    }

    /// Global Response Normalization of `[N, H, W, 4C]` (docs/facts.md, "GRN"), as `x (gamma n + 1) + beta`
    /// with the normalised responses n `[N, 1, 1, 4C]`, which passes over x less often than the formula as it
    /// stands.
    fn grn(&mut self, name: &str, [gamma, beta]: [String; 2], x: &str) -> String {
        let squares = self.graph.node(format!("{name}.squares"), "Mul", &[x, x], vec![]);
        let sums = self.graph.node(format!("{name}.sums"), "ReduceSum", &[&squares, SITES], vec![]);
        let responses = self.graph.node(format!("{name}.responses"), "Sqrt", &[&sums], vec![]);
        let axes = vec![Attribute::ints("axes", &[3])];
        let mean = self.graph.node(format!("{name}.mean"), "ReduceMean", &[&responses], axes);
        let mean = self.graph.node(format!("{name}.positive_mean"), "Add", &[&mean, GRN_EPSILON], vec![]);
        let normalised = self.graph.node(format!("{name}.normalised"), "Div", &[&responses, &mean], vec![]);
        let scaled = self.graph.node(format!("{name}.scaled"), "Mul", &[&gamma, &normalised], vec![]);
        let factor = self.graph.node(format!("{name}.factor"), "Add", &[&scaled, ONE], vec![]);
        let product = self.graph.node(format!("{name}.product"), "Mul", &[x, &factor], vec![]);
        self.graph.node(name.to_owned(), "Add", &[&product, &beta], vec![])
    }
}
