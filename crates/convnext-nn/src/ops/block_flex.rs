//! The block's kernels on the CPU backend, on f32.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_core::ResponseNorm;
use convnext_kernels::{
    BlockInput, BlockWeights, GrnVariant, GrnWeights, Normalisation, PackedBlock, Save, SavedActivations,
    block_backward, block_forward,
};

use crate::ops::block_plan::{
    Activations, BlockGradients, BlockParameters, BlockPlan, LayerScaleParameters, Placement,
    ResponseParameters,
};
use crate::ops::flex_slices::{Memory, buffer_tensor, contiguous, slice, tensor};
use crate::ops::kernels::BlockKernels;
use crate::ops::saved_bytes::tensor_bytes;

/// The block's kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexBlock;

/// What a block on the CPU saves for its backward.
#[derive(Debug, Clone)]
pub struct FlexSaved {
    /// `None` if the activations include them.
    rows: Option<FlexTensor>,
    /// `None` if the backward recomputes them.
    activations: Option<SavedActivations>,
}

impl BlockKernels<Flex> for FlexBlock {
    type Saved = FlexSaved;

    fn supports(plan: &BlockPlan, dtype: DType) -> bool {
        dtype == DType::F32 && has_kernels(plan.response_norm)
    }

    fn forward(
        rows: FlexTensor,
        parameters: BlockParameters<Flex>,
        _placement: Placement<Flex>,
        plan: &BlockPlan,
    ) -> FlexTensor {
        forward(rows, parameters, plan, Save::Nothing).0
    }

    fn forward_saving(
        rows: FlexTensor,
        parameters: BlockParameters<Flex>,
        _placement: Placement<Flex>,
        plan: &BlockPlan,
    ) -> (FlexTensor, FlexSaved) {
        let save = match plan.activations {
            Activations::Save => Save::AsComputed,
            Activations::SaveBf16 => Save::Bf16,
            Activations::Recompute => Save::Nothing,
        };
        let (output, activations) = forward(rows.clone(), parameters, plan, save);
        let rows = Some(rows).filter(|_| !activations.as_ref().is_some_and(SavedActivations::has_rows));
        (output, FlexSaved { rows, activations })
    }

    fn backward(
        saved: FlexSaved,
        parameters: BlockParameters<Flex>,
        _placement: Placement<Flex>,
        plan: &BlockPlan,
        output_gradient: FlexTensor,
    ) -> BlockGradients<Flex> {
        let FlexSaved { rows, activations } = saved;
        let (rows, dout) = (rows.map(contiguous), contiguous(output_gradient));
        let parameters: BlockParameters<Flex> = parameters.map(contiguous);
        let (x, weights) = (rows.as_ref().map(slice).unwrap_or_default(), weights(&parameters, plan));
        let input = BlockInput::new(&plan.sites, x, &weights, plan.drop_path_scales.as_deref());
        let found = block_backward(&input, plan.precision, activations, slice(&dout));
        tensors(found, dout.shape(), &parameters)
    }

    fn saved_bytes(saved: &FlexSaved) -> usize {
        saved.rows.as_ref().map_or(0, tensor_bytes)
            + saved.activations.as_ref().map_or(0, SavedActivations::bytes)
    }
}

/// `true` if blocks with this in the place of GRN have kernels on the CPU, which know f32, bf16 and all that
/// [`Activations`] says; others run in ordinary operations in f32, several times slower.
pub fn has_kernels(norm: Option<ResponseNorm>) -> bool {
    norm.is_none_or(|norm| grn_variant(norm).is_some())
}

/// The kernels' name of a normalisation whose responses are L2 norms; `None` of the others.
fn grn_variant(norm: ResponseNorm) -> Option<GrnVariant> {
    let (normalisation, is_residual) = match norm {
        ResponseNorm::Grn => (Normalisation::Mean, true),
        ResponseNorm::GrnNoResidual => (Normalisation::Mean, false),
        ResponseNorm::GrnStandardised => (Normalisation::Standardised, true),
        ResponseNorm::GrnSum => (Normalisation::Sum, true),
        ResponseNorm::GrnNoNorm => (Normalisation::Norm, true),
        ResponseNorm::Identity => (Normalisation::One, true),
        _ => return None,
    };
    Some(GrnVariant { normalisation, is_residual })
}

fn forward(
    rows: FlexTensor,
    parameters: BlockParameters<Flex>,
    plan: &BlockPlan,
    save: Save,
) -> (FlexTensor, Option<SavedActivations>) {
    let rows = contiguous(rows);
    let parameters: BlockParameters<Flex> = parameters.map(contiguous);
    let weights = weights(&parameters, plan);
    let packed = packed(&parameters, &weights, plan);
    let input = BlockInput::new(&plan.sites, slice(&rows), &weights, plan.drop_path_scales.as_deref());
    let (output, saved) = block_forward(&input, &packed, save);
    (buffer_tensor(output, rows.shape()), saved)
}

/// The packed linear layers, cached between inferences.
fn packed(
    parameters: &BlockParameters<Flex>,
    weights: &BlockWeights<'_>,
    plan: &BlockPlan,
) -> Arc<PackedBlock> {
    let pack = || PackedBlock::new(weights, plan.precision);
    let Some(cache) = &plan.packing else { return Arc::new(pack()) };
    let p = parameters;
    let mut packed = vec![&p.expand_weight, &p.project_weight, &p.project_bias];
    if let LayerScaleParameters::Present { gamma } = &p.layer_scale {
        packed.push(gamma);
    }
    let packed: Vec<Memory> = packed.into_iter().map(Memory::of).collect();
    cache.get(packed, pack)
}

/// The parameters, contiguous, as slices.
fn weights<'a>(parameters: &'a BlockParameters<Flex>, plan: &BlockPlan) -> BlockWeights<'a> {
    let p = parameters;
    BlockWeights {
        depthwise_weight: slice(&p.depthwise_weight),
        depthwise_bias: slice(&p.depthwise_bias),
        norm_weight: slice(&p.norm_weight),
        norm_bias: slice(&p.norm_bias),
        expand_weight: slice(&p.expand_weight),
        expand_bias: slice(&p.expand_bias),
        project_weight: slice(&p.project_weight),
        project_bias: slice(&p.project_bias),
        grn: match &p.response {
            ResponseParameters::Grn { gamma, beta } => (plan.response_norm.and_then(grn_variant))
                .map(|variant| GrnWeights { variant, gamma: slice(gamma), beta: slice(beta) }),
            // `supports` declines the others.
            _ => None,
        },
        layer_scale: match &p.layer_scale {
            LayerScaleParameters::Absent => None,
            LayerScaleParameters::Present { gamma } => Some(slice(gamma)),
        },
    }
}

/// Gradients in the shapes of their parameters.
fn tensors(
    found: convnext_kernels::BlockGradients,
    rows: Shape,
    parameters: &BlockParameters<Flex>,
) -> BlockGradients<Flex> {
    let p = parameters;
    let like = |values: Vec<f32>, parameter: &FlexTensor| tensor(values, parameter.shape());
    BlockGradients {
        rows: buffer_tensor(found.rows, rows),
        parameters: BlockParameters {
            depthwise_weight: like(found.depthwise_weight, &p.depthwise_weight),
            depthwise_bias: like(found.depthwise_bias, &p.depthwise_bias),
            norm_weight: like(found.norm_weight, &p.norm_weight),
            norm_bias: like(found.norm_bias, &p.norm_bias),
            expand_weight: like(found.expand_weight, &p.expand_weight),
            expand_bias: like(found.expand_bias, &p.expand_bias),
            project_weight: like(found.project_weight, &p.project_weight),
            project_bias: like(found.project_bias, &p.project_bias),
            response: match (&p.response, found.grn) {
                (ResponseParameters::Grn { gamma, beta }, Some([dgamma, dbeta])) => {
                    ResponseParameters::Grn { gamma: like(dgamma, gamma), beta: like(dbeta, beta) }
                }
                _ => ResponseParameters::Absent,
            },
            layer_scale: match (&p.layer_scale, found.layer_scale) {
                (LayerScaleParameters::Present { gamma }, Some(dgamma)) => {
                    LayerScaleParameters::Present { gamma: like(dgamma, gamma) }
                }
                _ => LayerScaleParameters::Absent,
            },
        },
    }
}
