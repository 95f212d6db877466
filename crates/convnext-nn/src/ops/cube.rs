//! GPUs: the reference implementation of every operation, through Burn's one backend for wgpu and CUDA.

use burn::backend::Cube;

use crate::ops::adamw::AdamWBackend;
use crate::ops::gather::{DifferentiableGather, GatherBackend};
use crate::ops::kernels::BackendKernels;
use crate::ops::layer_norm::{DifferentiableLayerNorm, LayerNormBackend};
use crate::ops::patch_loss::{DifferentiablePatchLoss, PatchLossBackend};
use crate::ops::pixel_loss::{DifferentiablePixelLoss, PixelLossBackend};
use crate::ops::reference_kernels::Reference;

impl BackendKernels for Cube {
    type Block = Reference;
    type Linear = Reference;
    type Convolution = Reference;
    type BatchNorm = Reference;
    type Resample = Reference;
    type RoiAlign = Reference;
}

impl AdamWBackend for Cube {}
impl GatherBackend for Cube {}
impl DifferentiableGather for Cube {}
impl LayerNormBackend for Cube {}
impl DifferentiableLayerNorm for Cube {}
impl PatchLossBackend for Cube {}
impl DifferentiablePatchLoss for Cube {}
impl PixelLossBackend for Cube {}
impl DifferentiablePixelLoss for Cube {}
