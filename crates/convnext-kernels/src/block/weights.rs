//! The parameters of a block.
//!
//! Notation: C channels, E = 4C.

use std::borrow::Cow;

use crate::depthwise::channel_block::TAPS;
use crate::grn_variant::GrnVariant;

/// A block's parameters in PyTorch's layouts.
#[derive(Debug, Clone, Copy)]
pub struct BlockWeights<'a> {
    /// `[C, 49]`.
    pub depthwise_weight: &'a [f32],
    /// `[C]`.
    pub depthwise_bias: &'a [f32],
    /// LayerNorm's scale, `[C]`.
    pub norm_weight: &'a [f32],
    /// LayerNorm's shift, `[C]`.
    pub norm_bias: &'a [f32],
    /// Of the first linear layer, `[E, C]`.
    pub expand_weight: &'a [f32],
    /// `[E]`.
    pub expand_bias: &'a [f32],
    /// Of the second linear layer, `[C, E]`.
    pub project_weight: &'a [f32],
    /// `[C]`.
    pub project_bias: &'a [f32],
    /// GRN or a variant of it; V1 has none.
    pub grn: Option<GrnWeights<'a>>,
    /// LayerScale, `[C]`; V2 has none.
    pub layer_scale: Option<&'a [f32]>,
}

/// GRN's parameters.
#[derive(Debug, Clone, Copy)]
pub struct GrnWeights<'a> {
    /// Which GRN.
    pub variant: GrnVariant,
    /// gamma, `[E]`.
    pub gamma: &'a [f32],
    /// beta, `[E]`.
    pub beta: &'a [f32],
}

/// GRN of a block: its own, or the one with a gamma and a beta of 0, which changes nothing.
pub(crate) struct BlockGrn<'a> {
    pub(crate) variant: GrnVariant,
    pub(crate) gamma: Cow<'a, [f32]>,
    pub(crate) beta: Cow<'a, [f32]>,
}

impl<'a> BlockWeights<'a> {
    /// C.
    pub(crate) fn channels(&self) -> usize {
        self.depthwise_bias.len()
    }

    /// E.
    pub(crate) fn width(&self) -> usize {
        self.expand_bias.len()
    }

    /// The block's GRN. A block without is one in which gamma and beta are 0.
    pub(crate) fn grn_or_zeros(&self) -> BlockGrn<'a> {
        let zeros = || Cow::Owned(vec![0.0; self.width()]);
        match self.grn {
            Some(GrnWeights { variant, gamma, beta }) => {
                BlockGrn { variant, gamma: Cow::Borrowed(gamma), beta: Cow::Borrowed(beta) }
            }
            None => BlockGrn { variant: GrnVariant::GRN, gamma: zeros(), beta: zeros() },
        }
    }

    /// Weight and bias of the second linear layer with LayerScale folded in.
    pub(crate) fn scaled_projection(&self) -> [Cow<'a, [f32]>; 2] {
        let Some(scale) = self.layer_scale else {
            return [Cow::Borrowed(self.project_weight), Cow::Borrowed(self.project_bias)];
        };
        let rows = self.project_weight.chunks_exact(self.width()).zip(scale);
        let weight = rows.flat_map(|(row, scale)| row.iter().map(move |value| value * scale)).collect();
        let bias = self.project_bias.iter().zip(scale).map(|(value, scale)| value * scale).collect();
        [Cow::Owned(weight), Cow::Owned(bias)]
    }

    /// Checks that all sizes fit each other.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn check(&self) {
        let (channels, width) = (self.channels(), self.width());
        assert_eq!(self.depthwise_weight.len(), TAPS * channels, "the depthwise weight is [C, 49]");
        assert!(
            [self.norm_weight, self.norm_bias, self.project_bias].iter().all(|part| part.len() == channels),
            "norm and projection have C channels"
        );
        assert!(
            [self.expand_weight, self.project_weight].iter().all(|part| part.len() == width * channels),
            "the linear layers are [E, C] and [C, E]"
        );
        let grn = self.grn.iter().flat_map(|grn| [grn.gamma, grn.beta]);
        assert!(grn.into_iter().all(|part| part.len() == width), "GRN has E channels");
        assert!(self.layer_scale.is_none_or(|part| part.len() == channels), "LayerScale has C channels");
    }
}
