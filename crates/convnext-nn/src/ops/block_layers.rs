//! The layers of one block, in ordinary operations.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::ops::block_plan::{BlockParameters, GrnParameters, Placement};
use crate::ops::reference::{
    depthwise, gelu_reference, global_response_norm, layer_norm_reference, linear_reference,
};
use crate::site_map::SiteMap;

/// After the depthwise convolution `[rows, C]`, after GELU and after GRN `[rows, 4C]`.
pub(crate) fn block_layers(
    rows: Tensor<2>,
    parameters: BlockParameters<Dispatch>,
    sites: &SiteMap,
) -> [Tensor<2>; 3] {
    let placement = match sites.positions() {
        None => Placement::Dense,
        Some(positions) => Placement::Kept { positions: positions.clone().into_dispatch() },
    };
    let p = parameters;
    let depthwise = depthwise::<Dispatch>(
        rows.into_dispatch(),
        p.depthwise_weight,
        p.depthwise_bias,
        placement,
        sites.sites(),
    );
    let expanded = layer_norm_reference::<Dispatch>(depthwise.clone(), p.norm_weight, p.norm_bias);
    let expanded = linear_reference::<Dispatch>(expanded, p.expand_weight, p.expand_bias);
    let expanded = gelu_reference::<Dispatch>(expanded);
    let normalised = match p.grn {
        GrnParameters::Absent => expanded.clone(),
        GrnParameters::Present { gamma, beta } => {
            global_response_norm::<Dispatch>(expanded.clone(), gamma, beta, sites.sites().images())
        }
    };
    [depthwise, expanded, normalised].map(Tensor::from_dispatch)
}
