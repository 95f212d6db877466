//! The linear layers of a block, packed for its forward.

use crate::bf16::implementation::bf16;
use crate::bf16::packed::PackedBf16;
use crate::block::weights::BlockWeights;
use crate::packed::{Matrix, Packed};
use crate::precision::Precision;

/// The packed linear layers of a block, for [`crate::block_forward`].
#[derive(Debug)]
pub struct PackedBlock {
    pub(crate) layers: PackedLayers,
    /// With LayerScale, `[C]`.
    pub(crate) projection_bias: Vec<f32>,
}

/// The first one, and the second one with LayerScale.
#[derive(Debug)]
pub(crate) enum PackedLayers {
    F32([Packed; 2]),
    Bf16([PackedBf16; 2]),
}

impl PackedBlock {
    /// Packs the linear layers and LayerScale of a block. The result can be reused until these change.
    ///
    /// # Panics
    /// When sizes do not fit each other.
    pub fn new(weights: &BlockWeights<'_>, precision: Precision) -> Self {
        weights.check();
        let (channels, width) = (weights.channels(), weights.width());
        let [projection, projection_bias] = weights.scaled_projection();
        let expansion = Matrix::new(weights.expand_weight, width, channels).transposed();
        let projection = Matrix::new(&projection, channels, width).transposed();
        let layers = match precision {
            Precision::F32 => PackedLayers::F32([expansion, projection].map(Packed::new)),
            Precision::Bf16 => {
                let bf16 = bf16();
                let expansion = PackedBf16::of_whole_interleaves(bf16, expansion);
                PackedLayers::Bf16([expansion, PackedBf16::new(bf16, projection)])
            }
        };
        Self { layers, projection_bias: projection_bias.into_owned() }
    }
}
