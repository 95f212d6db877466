//! The linear layers of a block, packed for its forward.

use crate::bf16::implementation::bf16;
use crate::bf16::packed::PackedBf16;
use crate::block::weights::BlockWeights;
use crate::element::Element;
use crate::isa::isa;
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
            Precision::F32 => PackedLayers::F32(pack(isa(), [expansion, projection])),
            Precision::Bf16 => PackedLayers::Bf16(pack(bf16(), [expansion, projection])),
        };
        Self { layers, projection_bias: projection_bias.into_owned() }
    }
}

fn pack<E: Element>(element: E, [expansion, projection]: [Matrix<'_>; 2]) -> [E::Packed; 2] {
    [element.pack_for_activations(expansion), element.pack(projection)]
}
