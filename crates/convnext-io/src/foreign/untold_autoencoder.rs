//! Autoencoders of which the tensors do not tell everything: those of `convnext pretrain` that are not the paper's, without
//! their metadata.

/// Beginnings of names that official files do not have, and whose they are.
const PARTS: [(&str, &str); 3] = [
    ("decoder.blocks.0.", "a transformer decoder"),
    ("decoder.steps.0.", "a UNet decoder"),
    ("encoder_token", "an encoder with mask tokens"),
];

/// The first tensor of such an autoencoder among official names, and what is wrong with it.
pub(super) fn find<'n>(names: impl Iterator<Item = &'n str>) -> Option<(&'n str, String)> {
    names.into_iter().find_map(|name| {
        let (_, whose) = PARTS.into_iter().find(|(start, _)| name.starts_with(start))?;
        let why = format!(
            "is of an autoencoder with {whose}, of which tensors do not tell everything; use a file as `convnext pretrain` \
             writes it, with its metadata, or the tensors of the encoder alone"
        );
        Some((name, why))
    })
}

#[cfg(test)]
mod tests {
    use convnext_core::{
        DecoderConfig, DecoderKind, EncoderKind, FcmaeConfig, FcmaeObjective, Preprocessing, WeightMetadata,
        find_model,
    };

    use crate::read_weights;
    use crate::test_files::{arrays_of, foreign_file};

    #[test]
    fn decoders_that_no_tensor_tells_are_refused_by_kind() {
        for (kind, encoder_kind, words) in [
            (DecoderKind::UNet, EncoderKind::Sparse, "decoder.steps.0.conv1.bn.bias of"),
            (DecoderKind::transformer(128), EncoderKind::Sparse, "a transformer decoder"),
            (DecoderKind::transformer(128), EncoderKind::Tokens, "a transformer decoder"),
            (DecoderKind::ConvNext, EncoderKind::Tokens, "an encoder with mask tokens"),
        ] {
            let mut config = FcmaeConfig::new(find_model("micro").unwrap().config());
            config.decoder = DecoderConfig { depth: 1, ..DecoderConfig::new(kind, &config.encoder) };
            config.encoder_kind = encoder_kind;
            let preprocessing = Preprocessing::for_size(32, 3);
            let metadata = WeightMetadata::of_fcmae(&config, FcmaeObjective::default(), preprocessing);
            let (_folder, path) = foreign_file(&arrays_of(&metadata));
            let message = read_weights(&path).unwrap_err().to_string();
            assert!(message.contains(words) && message.contains("`convnext pretrain`"), "{message}");
        }
    }
}
