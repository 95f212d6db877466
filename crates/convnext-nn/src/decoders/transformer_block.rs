//! A block of a vision transformer, in ordinary tensor operations but for its linear layers and norms.
//!
//! Notation: N images, P patches of an image, D channels, h heads.

use burn::prelude::*;
use burn::tensor::activation::softmax;
use convnext_kernels::Precision;

use crate::layers::{LayerNorm, Linear, exact_gelu};
use crate::parameters::Scope;

/// Width of the hidden layer, in widths of the block.
const MLP_RATIO: usize = 4;

/// Multi-head self-attention over the patches of an image, under timm's names.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values, from D to 3D.
    pub qkv: Linear,
    /// Over the heads' outputs, from D to D.
    pub proj: Linear,
    #[module(skip)]
    heads: usize,
}

impl Attention {
    fn new(width: usize, heads: usize, scope: &Scope) -> Self {
        Self {
            qkv: linear([width, 3 * width], &scope.at("qkv")),
            proj: linear([width, width], &scope.at("proj")),
            heads,
        }
    }

    /// For each head `softmax(Q K^T / sqrt(D / h)) V`, over the patches of one image.
    ///
    /// # Shapes
    /// - rows, output: `[N P, D]`
    fn forward(&self, rows: Tensor<2>, images: usize) -> Tensor<2> {
        let [count, width] = rows.dims();
        let (patches, of_head) = (count / images, width / self.heads);
        let of_heads = self.qkv.forward(rows).reshape([images, patches, 3, self.heads, of_head]);
        let of_heads = of_heads.permute([2, 0, 3, 1, 4]);
        let [queries, keys, values]: [Tensor<4>; 3] = [0, 1, 2].map(|which| {
            let one = of_heads.clone().narrow(0, which, 1);
            one.reshape([images, self.heads, patches, of_head])
        });
        let scores = (queries * (of_head as f64).powf(-0.5)).matmul(keys.swap_dims(2, 3));
        let mixed = softmax(scores, 3).matmul(values);
        self.proj.forward(mixed.swap_dims(1, 2).reshape([count, width]))
    }
}

/// Two linear layers with a GELU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    /// From D to 4D.
    pub fc1: Linear,
    /// From 4D to D.
    pub fc2: Linear,
}

/// Attention and an MLP, each behind a LayerNorm and around it a residual connection.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// In front of the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attn: Attention,
    /// In front of the MLP.
    pub norm2: LayerNorm,
    /// The MLP.
    pub mlp: Mlp,
}

impl TransformerBlock {
    /// A freshly initialised block, with its parameters below `scope`.
    pub(crate) fn new(width: usize, heads: usize, scope: &Scope) -> Self {
        let mlp = scope.at("mlp");
        Self {
            norm1: LayerNorm::new(width, &scope.at("norm1")),
            attn: Attention::new(width, heads, &scope.at("attn")),
            norm2: LayerNorm::new(width, &scope.at("norm2")),
            mlp: Mlp {
                fc1: linear([width, MLP_RATIO * width], &mlp.at("fc1")),
                fc2: linear([MLP_RATIO * width, width], &mlp.at("fc2")),
            },
        }
    }

    /// The same block with this precision of its linear layers on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        let Self { attn: Attention { qkv, proj, heads }, mlp: Mlp { fc1, fc2 }, .. } = self;
        let [qkv, proj, fc1, fc2] = [qkv, proj, fc1, fc2].map(|layer| layer.with_precision(precision));
        Self { attn: Attention { qkv, proj, heads }, mlp: Mlp { fc1, fc2 }, ..self }
    }

    /// Runs the block on the patches of so many images.
    ///
    /// # Shapes
    /// - rows, output: `[N P, D]`
    pub(crate) fn forward(&self, rows: Tensor<2>, images: usize) -> Tensor<2> {
        let rows = rows.clone() + self.attn.forward(self.norm1.forward(rows), images);
        let hidden = exact_gelu(self.mlp.fc1.forward(self.norm2.forward(rows.clone())));
        rows + self.mlp.fc2.forward(hidden)
    }
}

/// A linear layer that is drawn as MAE does: uniform by Xavier's rule.
fn linear([inputs, outputs]: [usize; 2], scope: &Scope) -> Linear {
    Linear::of(scope.xavier_weight("weight", [outputs, inputs]), scope.constant([outputs], 0.0))
}
