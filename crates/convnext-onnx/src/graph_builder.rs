//! Puts operators together to a graph.

use crate::messages::{Attribute, FLOAT, Graph, INT64, Node, Tensor};

/// Epsilon of every LayerNorm (docs/facts.md, "Macro structure").
const EPSILON: f32 = 1e-6;

/// A graph on its way: nodes are added in the order in which they run, and refer to values by name.
///
/// A weight is called by its official name in the nodes; the file gets those that the backbone and
/// [`crate::OnnxPart::tensors`] name.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    pub(crate) graph: Graph,
}

impl GraphBuilder {
    /// Adds a constant.
    pub fn scalar(&mut self, name: &str, value: f32) {
        self.floats(name, &[], &[value]);
    }

    /// Adds a constant tensor, slowest axis first.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (dims, name) = (shape.iter().map(|&side| side as i64).collect(), name.to_owned());
        let tensor = Tensor { dims, data_type: FLOAT, name, raw_data, ..Tensor::default() };
        self.graph.initializer.push(tensor);
    }

    /// Adds a constant whole number.
    pub fn integer(&mut self, name: &str, value: i64) {
        self.whole_numbers(name, vec![], &[value]);
    }

    /// Adds a constant list of whole numbers, such as axes or a shape.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        self.whole_numbers(name, vec![values.len() as i64], values);
    }

    fn whole_numbers(&mut self, name: &str, dims: Vec<i64>, values: &[i64]) {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = Tensor { dims, data_type: INT64, name: name.to_owned(), raw_data, ..Tensor::default() };
        self.graph.initializer.push(tensor);
    }

    /// Adds a node whose output has its name, and returns that.
    pub fn node(
        &mut self,
        name: String,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        self.node_to(name.clone(), name, operator, inputs, attributes)
    }

    /// Adds a node with an output of another name, and returns that.
    pub fn node_to(
        &mut self,
        output: String,
        name: String,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let [output] = self.nodes_to([output], name, operator, inputs, attributes);
        output
    }

    /// Adds a node with several outputs, and returns their names.
    pub fn nodes_to<const N: usize>(
        &mut self,
        outputs: [String; N],
        name: String,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<Attribute>,
    ) -> [String; N] {
        self.graph.node.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: outputs.to_vec(),
            name,
            op_type: operator.to_owned(),
            attribute,
        });
        outputs
    }

    /// LayerNorm over the last axis, with the weights `WEIGHTS.weight` and `WEIGHTS.bias`.
    pub fn norm(&mut self, name: &str, weights: &str, rows: &str) -> String {
        let attributes = vec![Attribute::int("axis", -1), Attribute::float("epsilon", EPSILON)];
        let inputs = [rows, &format!("{weights}.weight"), &format!("{weights}.bias")];
        self.node(name.to_owned(), "LayerNormalization", &inputs, attributes)
    }

    /// From a map `[N, C, H, W]` to rows `[N, H, W, C]`.
    pub fn channels_last(&mut self, name: String, map: &str) -> String {
        self.node(name, "Transpose", &[map], vec![Attribute::ints("perm", &[0, 2, 3, 1])])
    }

    /// From rows `[N, H, W, C]` to a map `[N, C, H, W]`.
    pub fn channels_first(&mut self, name: String, rows: &str) -> String {
        self.node(name, "Transpose", &[rows], vec![Attribute::ints("perm", &[0, 3, 1, 2])])
    }
}
