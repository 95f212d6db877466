//! GPUs: the reference implementation of every operation, through Burn's one backend for wgpu and CUDA.

use burn::backend::Cube;

use crate::ops::adamw::AdamWBackend;
use crate::ops::block::{BlockBackend, DifferentiableBlock};
use crate::ops::gather::{DifferentiableGather, GatherBackend};
use crate::ops::layer_norm::{DifferentiableLayerNorm, LayerNormBackend};
use crate::ops::linear::{DifferentiableLinear, LinearBackend};
use crate::ops::patch_loss::{DifferentiablePatchLoss, PatchLossBackend};

impl AdamWBackend for Cube {}
impl BlockBackend for Cube {}
impl DifferentiableBlock for Cube {}
impl GatherBackend for Cube {}
impl DifferentiableGather for Cube {}
impl LayerNormBackend for Cube {}
impl DifferentiableLayerNorm for Cube {}
impl LinearBackend for Cube {}
impl DifferentiableLinear for Cube {}
impl PatchLossBackend for Cube {}
impl DifferentiablePatchLoss for Cube {}
