//! The layers of a decoder, between the projection of the encoder's last stage and the prediction of patches.

use crate::batch_norm::BatchStatistics;
use crate::encoded_stages::EncodedStages;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;

/// The layers of a decoder of FCMAE.
pub trait PatchDecoder {
    /// From the map of patches to the map that removed patches are predicted from.
    ///
    /// `patches` is the projection of the last stage, with mask tokens at removed patches; `encoded` has what the encoder
    /// saw in all four stages.
    ///
    /// # Shapes
    /// - patches: rows `[N P, D]`, one for each patch
    /// - output: rows `[N P s s, D']`, where s divides the side of a patch
    ///
    /// # Errors
    /// [`ModelError::OneValue`] when a batch norm would learn from one site, [`ModelError::NoMaskToken`] when the decoder has
    /// no token for patches that the encoder leaves open.
    fn forward(&self, patches: FeatureMaps, encoded: &EncodedStages) -> Result<FeatureMaps, ModelError>;

    /// Takes what batch norms saw in the last training batch, in the order of the layers.
    fn take_statistics(&self) -> Vec<BatchStatistics>;
}
