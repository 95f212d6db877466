//! The CPU backend: its kernels of the block and of linear layers. Those of the other operations stand in the
//! operations' files.

use burn::backend::Flex;

use crate::ops::block_flex::FlexBlock;
use crate::ops::kernels::BackendKernels;
use crate::ops::linear_flex::FlexLinear;
use crate::ops::reference_kernels::Reference;

impl BackendKernels for Flex {
    type Block = FlexBlock;
    type Linear = FlexLinear;
    type Convolution = Reference;
    type BatchNorm = Reference;
    type Resample = Reference;
}
