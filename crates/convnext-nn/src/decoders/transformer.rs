//! The decoder of MAE: a transformer on the map of patches (paper Table 1; docs/facts.md, "Decoder ablations").
//!
//! Follows `models_mae.py` of github.com/facebookresearch/mae (CC BY-NC 4.0; the layers, not the text). What is different:
//! there is no class token, since the encoder has none; and the layers around the decoder are FCMAE's, drawn with deviation
//! 0.02, where MAE draws its `decoder_embed` and `decoder_pred` by Xavier's rule, as the linear layers of its blocks.

use burn::prelude::*;
use convnext_kernels::Precision;

use crate::batch_norm::BatchStatistics;
use crate::decoders::patch_decoder::PatchDecoder;
use crate::decoders::position_embedding::position_embedding;
use crate::decoders::transformer_block::TransformerBlock;
use crate::encoded_stages::EncodedStages;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::layers::LayerNorm;
use crate::parameters::Scope;

/// A fixed position embedding, blocks of attention, and a norm. An image does not depend on others of its batch.
#[derive(Module, Debug)]
pub struct TransformerDecoder {
    /// Over all patches of an image.
    pub blocks: Vec<TransformerBlock>,
    /// In front of the prediction.
    pub norm: LayerNorm,
}

impl TransformerDecoder {
    /// A freshly initialised decoder of so many blocks and channels, with its parameters below `scope`.
    pub(crate) fn new([depth, width, heads]: [usize; 3], scope: &Scope) -> Self {
        let blocks = scope.at("blocks");
        let block = |index| TransformerBlock::new(width, heads, &blocks.at(index));
        Self { blocks: (0..depth).map(block).collect(), norm: LayerNorm::new(width, &scope.at("norm")) }
    }

    /// The same decoder with this precision of its linear layers on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        let blocks = self.blocks.into_iter().map(|block| block.with_precision(precision));
        Self { blocks: blocks.collect(), ..self }
    }
}

impl PatchDecoder for TransformerDecoder {
    fn forward(&self, patches: FeatureMaps, _encoded: &EncodedStages) -> Result<FeatureMaps, ModelError> {
        let ([count, channels], images) = (patches.rows.dims(), patches.images);
        let (device, element) = (patches.rows.device(), patches.rows.dtype());
        let values = position_embedding(patches.size(), channels);
        let values = TensorData::new(values, [1, count / images, channels]).convert_dtype(element);
        let embedding = Tensor::<3>::from_data(values, (&device, element));
        let rows = patches.rows.clone().reshape([images, count / images, channels]) + embedding;
        let rows = rows.reshape([count, channels]);
        let rows = self.blocks.iter().fold(rows, |rows, block| block.forward(rows, images));
        Ok(patches.with_rows(self.norm.forward(rows)))
    }

    fn take_statistics(&self) -> Vec<BatchStatistics> {
        Vec::new()
    }
}
