//! The CPU backend: its kernels of the block, of linear layers and on dense maps. Those of the other operations stand in
//! the operations' files.

use burn::backend::Flex;

use crate::ops::batch_norm_flex::FlexBatchNorm;
use crate::ops::block_flex::FlexBlock;
use crate::ops::convolution_flex::FlexConvolution;
use crate::ops::kernels::BackendKernels;
use crate::ops::linear_flex::FlexLinear;
use crate::ops::resample_flex::FlexResample;
use crate::ops::roi_align_flex::FlexRoiAlign;

impl BackendKernels for Flex {
    type Block = FlexBlock;
    type Linear = FlexLinear;
    type Convolution = FlexConvolution;
    type BatchNorm = FlexBatchNorm;
    type Resample = FlexResample;
    type RoiAlign = FlexRoiAlign;
}
