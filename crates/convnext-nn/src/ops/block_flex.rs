//! The block on the CPU backend: kernels on f32, and the reference implementation on other types.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use convnext_kernels::{
    BlockInput, BlockWeights, PackedBlock, Save, SavedActivations, block_backward, block_forward,
};

use crate::ops::block::{BlockBackend, DifferentiableBlock, block_backward_reference};
use crate::ops::block_plan::{
    Activations, BlockGradients, BlockParameters, BlockPlan, GrnParameters, LayerScaleParameters, Placement,
};
use crate::ops::flex_slices::{buffer_tensor, contiguous, tensor};
use crate::ops::reference::block_reference;

impl BlockBackend for Flex {
    fn block(
        rows: FlexTensor,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
    ) -> FlexTensor {
        forward(rows, parameters, placement, &plan, Save::Nothing).0
    }
}

impl DifferentiableBlock for Flex {
    fn block_saving(
        rows: FlexTensor,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
    ) -> (FlexTensor, Option<SavedActivations>) {
        let save = if plan.activations == Activations::SaveBf16 { Save::Bf16 } else { Save::AsComputed };
        forward(rows, parameters, placement, &plan, save)
    }

    fn block_backward(
        rows: Option<FlexTensor>,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
        saved: Option<SavedActivations>,
        output_gradient: FlexTensor,
    ) -> BlockGradients<Self> {
        let (rows, output_gradient) = (rows.map(contiguous), contiguous(output_gradient));
        let parameters: BlockParameters<Self> = parameters.map(contiguous);
        if let (Some(weights), Some(dout)) = (weights(&parameters), output_gradient.as_slice::<f32>()) {
            let scales = plan.drop_path_scales.as_deref();
            // Without rows, the saved activations include them.
            let x = rows.as_ref().and_then(FlexTensor::as_slice).unwrap_or_default();
            let input = BlockInput::new(&plan.sites, x, &weights, scales);
            let found = block_backward(&input, plan.precision, saved, dout);
            return tensors(found, output_gradient.shape(), &parameters);
        }
        let rows = rows.unwrap_or_else(|| unreachable!("what was saved is of f32"));
        block_backward_reference(rows, parameters, placement, &plan, output_gradient)
    }
}

fn forward(
    rows: FlexTensor,
    parameters: BlockParameters<Flex>,
    placement: Placement<Flex>,
    plan: &BlockPlan,
    save: Save,
) -> (FlexTensor, Option<SavedActivations>) {
    let rows = contiguous(rows);
    let parameters: BlockParameters<Flex> = parameters.map(contiguous);
    if let (Some(x), Some(weights)) = (rows.as_slice::<f32>(), weights(&parameters)) {
        let scales = plan.drop_path_scales.as_deref();
        let packed = packed(&parameters, &weights, plan);
        let input = BlockInput::new(&plan.sites, x, &weights, scales);
        let (output, saved) = block_forward(&input, &packed, save);
        return (buffer_tensor(output, rows.shape()), saved);
    }
    (block_reference::<Flex>(rows, parameters, placement, plan), None)
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
    cache.get(&packed, pack)
}

/// The parameters as slices, if they are f32.
fn weights(parameters: &BlockParameters<Flex>) -> Option<BlockWeights<'_>> {
    let p = parameters;
    Some(BlockWeights {
        depthwise_weight: p.depthwise_weight.as_slice()?,
        depthwise_bias: p.depthwise_bias.as_slice()?,
        norm_weight: p.norm_weight.as_slice()?,
        norm_bias: p.norm_bias.as_slice()?,
        expand_weight: p.expand_weight.as_slice()?,
        expand_bias: p.expand_bias.as_slice()?,
        project_weight: p.project_weight.as_slice()?,
        project_bias: p.project_bias.as_slice()?,
        grn: match &p.grn {
            GrnParameters::Absent => None,
            GrnParameters::Present { gamma, beta } => Some([gamma.as_slice()?, beta.as_slice()?]),
        },
        layer_scale: match &p.layer_scale {
            LayerScaleParameters::Absent => None,
            LayerScaleParameters::Present { gamma } => Some(gamma.as_slice()?),
        },
    })
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
            grn: match (&p.grn, found.grn) {
                (GrnParameters::Present { gamma, beta }, Some([dgamma, dbeta])) => {
                    GrnParameters::Present { gamma: like(dgamma, gamma), beta: like(dbeta, beta) }
                }
                _ => GrnParameters::Absent,
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
