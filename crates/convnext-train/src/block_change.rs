//! Differences between the blocks of weights to start from and those of the model that starts: GRN or an alternative to it,
//! and LayerScale, dropped, added or replaced (paper Table 2f); and decoders of another kind (paper Table 1).

use convnext_core::{
    BlockLayout, BlockParameter, DecoderConfig, DecoderKind, FcmaeTask, ModelConfig, ResponseNorm,
    WeightMetadata,
};

/// First part of the names of a decoder's layers.
const DECODER: &str = "decoder.";

/// Beginnings of the names of what learned together with the layers of a decoder: its inputs, and the prediction from its
/// outputs.
const AROUND_DECODER: [&str; 3] = ["proj.", "mask_token", "pred."];

/// The parameters of blocks that cannot go on learning.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BlockChange {
    /// The normalisations of the hidden channels, where they differ: of the weights and of the model.
    norms: Option<[Option<ResponseNorm>; 2]>,
    /// The initial values of LayerScale, where one has it and the other not.
    scales: Option<[Option<f64>; 2]>,
}

impl BlockChange {
    /// From the blocks of weights to those of a model.
    fn new(from: BlockLayout, to: BlockLayout) -> Self {
        let norms = [from.response_norm, to.response_norm];
        let scales = [from.layer_scale, to.layer_scale];
        Self {
            norms: (norms[0] != norms[1]).then_some(norms),
            scales: (scales[0].is_some() != scales[1].is_some()).then_some(scales),
        }
    }

    /// `true` if this parameter starts fresh, or is left out of the weights.
    fn concerns(self, parameter: BlockParameter) -> bool {
        match parameter {
            BlockParameter::LayerScale => self.scales.is_some(),
            other => self.norms.is_some() && other.is_of_response_norm(),
        }
    }

    /// A sentence about the normalisation, where it differs.
    fn norm_in_words(self) -> Option<String> {
        let words = |norm: ResponseNorm| norm.in_words();
        self.norms.and_then(|norms| match norms {
            [None, None] => None,
            [Some(old), None] => {
                Some(format!("{} of the weights is dropped, and nothing takes its place", words(old)))
            }
            [None, Some(new)] => Some(format!("{} is added to the weights and starts fresh", words(new))),
            [Some(old), Some(new)] => {
                let [old, new] = [old, new].map(words);
                Some(format!("{old} of the weights is replaced by {new}, which starts fresh"))
            }
        })
    }

    /// A sentence about LayerScale, where only one side has it.
    fn scale_in_words(self) -> Option<String> {
        self.scales.map(|[_, new]| match new {
            None => {
                "LayerScale of the weights is dropped, and the factors that it learned are lost".to_owned()
            }
            Some(value) => format!("LayerScale is added to the weights and starts at {value:?}"),
        })
    }

    /// A sentence for each difference.
    fn in_words(self) -> impl Iterator<Item = String> {
        self.norm_in_words().into_iter().chain(self.scale_in_words())
    }

    /// Sentences about what the model has and the weights have not.
    fn additions_in_words(self) -> Vec<String> {
        let of_norm = self.norm_in_words().filter(|_| matches!(self.norms, Some([_, Some(_)])));
        let of_scale = self.scale_in_words().filter(|_| matches!(self.scales, Some([_, Some(_)])));
        of_norm.into_iter().chain(of_scale).collect()
    }
}

/// The difference between two decoders.
#[derive(Debug, Clone, Copy, PartialEq)]
enum DecoderChange {
    /// In their blocks, if at all.
    Blocks(BlockChange),
    /// Decoders of these kinds, of the weights and of the model, compute different functions of equal tensors. None of them
    /// goes on: not the layers, and not what learned together with them, even where it has the same shape.
    Kinds([DecoderKind; 2]),
    /// None between decoders without blocks.
    None,
}

impl DecoderChange {
    /// From the decoder of weights to that of a model.
    fn new(from: &DecoderConfig, to: &DecoderConfig) -> Self {
        match (from.kind, to.kind) {
            (DecoderKind::ConvNext, DecoderKind::ConvNext) => {
                Self::Blocks(BlockChange::new(BlockLayout::of_decoder(from), BlockLayout::of_decoder(to)))
            }
            (old, new) if old == new => Self::None,
            kinds => Self::Kinds(kinds.into()),
        }
    }

    /// `true` if the tensor of this name, which is no backbone's, starts fresh, or is left out of the weights.
    fn concerns(self, name: &str) -> bool {
        match self {
            Self::Blocks(change) => {
                BlockParameter::of_name(name).is_some_and(|parameter| change.concerns(parameter))
            }
            Self::Kinds(_) => true,
            Self::None => false,
        }
    }

    /// A sentence for each difference; of blocks that change as those of the encoder nothing more is to be told.
    fn in_words(self, backbone: BlockChange) -> Vec<String> {
        match self {
            Self::Blocks(change) if change != backbone => {
                change.in_words().map(|words| format!("decoder: {words}")).collect()
            }
            Self::Blocks(_) | Self::None => Vec::new(),
            Self::Kinds(kinds) => {
                let [old, new] = match kinds {
                    [DecoderKind::Transformer { heads: old }, DecoderKind::Transformer { heads: new }] => {
                        [old, new].map(|heads| format!("{heads} head(s)"))
                    }
                    kinds => kinds.map(|kind| kind.name().to_owned()),
                };
                vec![format!(
                    "the decoder is another one than that of the weights ({new}, not {old}) and starts fresh, with its \
                     projection, mask token and prediction"
                )]
            }
        }
    }
}

/// The blocks of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelBlocks<'a> {
    /// Its backbone.
    pub(crate) backbone: &'a ModelConfig,
    /// The decoder of an autoencoder.
    pub(crate) decoder: Option<&'a DecoderConfig>,
}

/// What changes in the blocks from weights to a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BlockChanges {
    backbone: BlockChange,
    /// Where both have a decoder.
    decoder: Option<DecoderChange>,
}

impl BlockChanges {
    /// From weights that say this about themselves to a model; `None` where the weights are of another backbone, which is
    /// refused by its tensors.
    pub(crate) fn new(weights: &WeightMetadata, to: ModelBlocks<'_>) -> Option<Self> {
        let from = weights.convnext().ok()?;
        let [of_weights, of_model] = [&from, to.backbone].map(|model| BlockLayout::of_stage(model, 0));
        let decoder_of_weights = weights.task_as::<FcmaeTask>().ok().map(|task| task.config(&from).decoder);
        let decoder = decoder_of_weights.zip(to.decoder).map(|(from, to)| DecoderChange::new(&from, to));
        Some(Self { backbone: BlockChange::new(of_weights, of_model), decoder })
    }

    /// `true` if the tensor of this name starts fresh, or is left out of the weights.
    pub(crate) fn concern(self, name: &str) -> bool {
        if name.starts_with(DECODER) {
            return self.decoder.is_some_and(|change| change.concerns(name));
        }
        if AROUND_DECODER.iter().any(|part| name.starts_with(part)) {
            return matches!(self.decoder, Some(DecoderChange::Kinds(_)));
        }
        BlockParameter::of_name(name).is_some_and(|parameter| self.backbone.concerns(parameter))
    }

    /// A sentence for each difference.
    pub(crate) fn in_words(self) -> Vec<String> {
        let of_decoder = self.decoder.map(|change| change.in_words(self.backbone));
        self.backbone.in_words().chain(of_decoder.into_iter().flatten()).collect()
    }

    /// Sentences about what is fresh in the blocks of the backbone.
    pub(crate) fn additions_in_words(self) -> Vec<String> {
        self.backbone.additions_in_words()
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{FcmaeConfig, FcmaeObjective, Preprocessing, find_model};

    use super::*;

    fn micro(response_norm: Option<ResponseNorm>, layer_scale: Option<f64>) -> ModelConfig {
        ModelConfig { response_norm, layer_scale, ..find_model("micro").unwrap().config() }
    }

    fn changes(from: &FcmaeConfig, to: &FcmaeConfig) -> BlockChanges {
        let preprocessing = Preprocessing::for_size(32, 3);
        let metadata = WeightMetadata::of_fcmae(from, FcmaeObjective::default(), preprocessing);
        let blocks = ModelBlocks { backbone: &to.encoder, decoder: Some(&to.decoder) };
        BlockChanges::new(&metadata, blocks).unwrap()
    }

    #[test]
    fn what_differs_is_said_and_starts_fresh() {
        let (grn, se) = (Some(ResponseNorm::Grn), Some(ResponseNorm::Se));
        for (from, to, words, concerned, additions) in [
            ((grn, None), (grn, None), &[][..], [false, false], 0),
            ((grn, None), (None, None), &["GRN of the weights is dropped, and nothing"], [true, false], 0),
            ((None, None), (grn, None), &["GRN is added to the weights"], [true, false], 1),
            ((grn, None), (se, None), &["replaced by squeeze and excite"], [true, false], 1),
            ((grn, Some(1.0)), (grn, None), &["factors that it learned are lost"], [false, true], 0),
            (
                (grn, None),
                (grn, Some(1e-6)),
                &["LayerScale is added", "starts at 1e-6"][..1],
                [false, true],
                1,
            ),
            ((se, Some(1.0)), (se, Some(1e-6)), &[], [false, false], 0),
        ] {
            let [from, to] = [micro(from.0, from.1), micro(to.0, to.1)].map(FcmaeConfig::new);
            let changes = changes(&from, &to);
            let found = changes.in_words();
            assert_eq!(found.len(), words.len(), "{found:?}");
            assert!(found.iter().zip(words).all(|(line, word)| line.contains(word)), "{found:?}");
            let names = ["encoder.stages.0.0.grn.gamma", "stages.2.1.gamma"];
            assert_eq!(names.map(|name| changes.concern(name)), concerned, "{found:?}");
            let names = ["decoder.0.grn.gamma", "decoder.0.gamma"];
            assert_eq!(names.map(|name| changes.concern(name)), concerned, "{found:?}");
            assert!(!changes.concern("stages.0.0.norm.weight") && !changes.concern("norm.weight"));
            assert_eq!(changes.additions_in_words().len(), additions, "{found:?}");
        }
    }

    #[test]
    fn another_decoder_starts_fresh_as_a_whole_and_is_told_of_once() {
        let of_kind = |kind| {
            let mut config = FcmaeConfig::new(micro(Some(ResponseNorm::Grn), None));
            config.decoder = DecoderConfig::new(kind, &config.encoder);
            config
        };
        let [four, eight] = [4, 8].map(|heads| DecoderKind::Transformer { heads });
        for (from, to, words) in [
            (DecoderKind::ConvNext, DecoderKind::UNet, Some("(unet, not convnext)")),
            (DecoderKind::UNet, DecoderKind::UNetNoSkip, Some("(unet-no-skip, not unet)")),
            (four, DecoderKind::ConvNext, Some("(convnext, not transformer)")),
            (four, eight, Some("(8 head(s), not 4 head(s))")),
            (four, four, None),
            (DecoderKind::UNet, DecoderKind::UNet, None),
        ] {
            let changes = changes(&of_kind(from), &of_kind(to));
            let found = changes.in_words();
            assert_eq!(found.len(), usize::from(words.is_some()), "{from:?} to {to:?}: {found:?}");
            assert!(found.iter().zip(words).all(|(line, words)| line.contains(words)), "{found:?}");
            for name in ["decoder.steps.0.conv1.bn.weight", "decoder.norm.bias", "proj.bias", "mask_token"] {
                assert_eq!(changes.concern(name), words.is_some(), "{from:?} to {to:?}: {name}");
            }
            for name in ["encoder_token", "encoder.stages.0.0.grn.gamma", "stages.2.1.gamma"] {
                assert!(!changes.concern(name), "{from:?} to {to:?}: {name}");
            }
        }
    }

    #[test]
    fn a_decoder_may_change_by_itself() {
        let from = FcmaeConfig::new(micro(Some(ResponseNorm::Grn), None));
        let mut to = from.clone();
        to.decoder.response_norm = Some(ResponseNorm::GrnL1);
        let changes = changes(&from, &to);
        let words = "decoder: GRN of the weights is replaced by GRN by L1 norms, which starts fresh";
        assert_eq!(changes.in_words(), [words]);
        assert!(changes.concern("decoder.0.grn.beta") && !changes.concern("encoder.stages.0.0.grn.beta"));
    }
}
