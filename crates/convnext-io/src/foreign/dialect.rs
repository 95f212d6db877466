//! Translation of the names of a file to those of a [`Naming`]: what wrappers put into them, and the
//! spellings of programs that are near to one.
//!
//! | program | example | near to |
//! |---|---|---|
//! | OpenMMLab (mmpretrain, mmdet, mmseg) | `stages.0.0.depthwise_conv.weight`, `norm3.weight`, `head.fc.weight` | official |
//! | SparK | `fc.weight` for the head | official |
//! | torchvision | `features.1.0.block.0.weight`, `classifier.2.weight` | official |
//! | torchvision's `BackboneWithFPN` | `body.1.0.block.0.weight` | official |
//! | timm with `features_only` | `stem_0.weight`, `stages_0.blocks.0.conv_dw.weight` | timm |

use crate::naming::{Naming, PARTS_OF_OPENMMLAB, exchange};

/// Prefixes that wrappers of PyTorch put before any part of a name: `torch.compile`, FSDP, activation
/// checkpointing.
const WRAPPERS: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// A convention of names for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// With OpenMMLab's and SparK's spellings.
    Official,
    /// With the flat spellings of `features_only`.
    Timm,
    /// Of Hugging Face.
    Transformers,
    /// V1 of torchvision.
    Torchvision,
}

/// The stem of each; the rest of a name before it is the prefix of the model.
const STEMS: [(&str, Dialect); 6] = [
    ("downsample_layers.0.0.weight", Dialect::Official),
    ("stem.0.weight", Dialect::Timm),
    ("stem_0.weight", Dialect::Timm),
    ("embeddings.patch_embeddings.weight", Dialect::Transformers),
    ("features.0.0.weight", Dialect::Torchvision),
    ("body.0.0.weight", Dialect::Torchvision),
];

/// The name without what wrappers put into it.
pub(super) fn without_wrappers(name: &str) -> String {
    let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
    parts.collect::<Vec<_>>().join(".")
}

impl Dialect {
    /// Prefix of the stem, and whose stem it is, if the name is that of a stem.
    pub(super) fn of_stem(name: &str) -> Option<(&str, Self)> {
        STEMS.iter().find_map(|&(stem, dialect)| {
            let prefix = name.strip_suffix(stem)?;
            (prefix.is_empty() || prefix.ends_with('.')).then_some((prefix, dialect))
        })
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Official => "the official code or OpenMMLab",
            Self::Timm => "timm",
            Self::Transformers => "transformers",
            Self::Torchvision => "torchvision",
        }
    }

    /// The official name of a tensor of a backbone, its final norm or its head; `None` for others.
    pub(super) fn official(self, name: &str) -> Option<String> {
        match self {
            Self::Official => Naming::Official.official(&usual(name)),
            Self::Timm => Naming::Timm.official(&nested(name)),
            Self::Transformers => Naming::HuggingFace.official(name),
            Self::Torchvision => of_torchvision(name),
        }
    }

    /// `true` if a name is in the place of the backbone's: what is there and not known changes what it
    /// computes.
    pub(super) fn is_of_backbone(self, name: &str) -> bool {
        let first = name.split('.').next().unwrap_or_default();
        match self {
            Self::Official => matches!(first, "downsample_layers" | "stages"),
            Self::Timm => {
                let first = nested(first);
                matches!(first.split('.').next(), Some("stem" | "stages" | "norm_pre"))
            }
            Self::Transformers => matches!(first, "embeddings" | "encoder"),
            Self::Torchvision => LISTS_OF_TORCHVISION.contains(&first),
        }
    }

    /// `true` if the model has a block besides its stem, so that it is no other kind of network.
    pub(super) fn is_of_first_block(self, name: &str) -> bool {
        self.official(name).is_some_and(|name| name.starts_with("stages.0.0.dwconv."))
    }
}

/// OpenMMLab's and SparK's spellings as the official ones.
fn usual(name: &str) -> String {
    match name.strip_prefix("fc.") {
        Some(leaf) => format!("head.{leaf}"),
        None => exchange(name, &PARTS_OF_OPENMMLAB, 1, 0),
    }
}

/// timm's `stages_0` as `stages.0`.
fn nested(name: &str) -> String {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let first = match first.split_once('_') {
        Some((part @ ("stem" | "stages"), number)) => format!("{part}.{number}"),
        _ => first.to_owned(),
    };
    rest.map_or(first.clone(), |rest| format!("{first}.{rest}"))
}

/// The list of a classifier, and the same in a detector.
const LISTS_OF_TORCHVISION: [&str; 2] = ["features", "body"];

/// torchvision counts stem, stages and downsampling layers in one list, and the layers of a block in another.
fn of_torchvision(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        [list, layer, index, ref rest @ ..] if LISTS_OF_TORCHVISION.contains(&list) => {
            let layer: usize = layer.parse().ok()?;
            match (layer % 2, rest) {
                (0, [leaf]) => Some(format!("downsample_layers.{}.{index}.{leaf}", layer / 2)),
                (1, ["layer_scale"]) => Some(format!("stages.{}.{index}.gamma", layer / 2)),
                (1, ["block", place, leaf]) => {
                    let layer_of_block = match *place {
                        "0" => "dwconv",
                        "2" => "norm",
                        "3" => "pwconv1",
                        "5" => "pwconv2",
                        _ => return None,
                    };
                    Some(format!("stages.{}.{index}.{layer_of_block}.{leaf}", layer / 2))
                }
                _ => None,
            }
        }
        ["classifier", "0", leaf] => Some(format!("norm.{leaf}")),
        ["classifier", "2", ref rest @ ..] if !rest.is_empty() => Some(format!("head.{}", rest.join("."))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{BLOCK_PARAMETERS, BlockParameter as P};

    use super::*;

    /// In OpenMMLab and, if V1 has it, in torchvision.
    fn in_block(parameter: P) -> Option<(&'static str, Option<&'static str>)> {
        Some(match parameter {
            P::DepthwiseWeight => ("depthwise_conv.weight", Some("block.0.weight")),
            P::DepthwiseBias => ("depthwise_conv.bias", Some("block.0.bias")),
            P::NormWeight => ("norm.weight", Some("block.2.weight")),
            P::NormBias => ("norm.bias", Some("block.2.bias")),
            P::ExpandWeight => ("pointwise_conv1.weight", Some("block.3.weight")),
            P::ExpandBias => ("pointwise_conv1.bias", Some("block.3.bias")),
            P::ProjectWeight => ("pointwise_conv2.weight", Some("block.5.weight")),
            P::ProjectBias => ("pointwise_conv2.bias", Some("block.5.bias")),
            P::GrnGamma => ("grn.gamma", None),
            P::GrnBeta => ("grn.beta", None),
            P::LayerScale => ("gamma", Some("layer_scale")),
            _ => return None,
        })
    }

    #[test]
    fn every_parameter_of_a_block_is_understood() {
        for row in BLOCK_PARAMETERS {
            let official = row.parameter.in_block("stages.1.2");
            let Some((openmmlab, torchvision)) = in_block(row.parameter) else { continue };
            let found = Dialect::Official.official(&format!("stages.1.2.{openmmlab}"));
            assert_eq!(found.as_ref(), Some(&official), "{openmmlab}");
            if let Some(torchvision) = torchvision {
                let found = Dialect::Torchvision.official(&format!("features.3.2.{torchvision}"));
                assert_eq!(found, Some(official), "{torchvision}");
            }
        }
    }

    #[test]
    fn spellings_become_official_names() {
        for (dialect, name, official) in [
            (Dialect::Official, "stages.0.11.depthwise_conv.bias", "stages.0.11.dwconv.bias"),
            (Dialect::Official, "stages.0.1.pointwise_conv2.weight", "stages.0.1.pwconv2.weight"),
            (Dialect::Official, "stages.3.0.grn.beta", "stages.3.0.grn.beta"),
            (Dialect::Official, "fc.weight", "head.weight"),
            (Dialect::Timm, "stem_1.weight", "downsample_layers.0.1.weight"),
            (Dialect::Timm, "stages_2.downsample.1.bias", "downsample_layers.2.1.bias"),
            (Dialect::Timm, "stages_2.blocks.1.mlp.fc1.bias", "stages.2.1.pwconv1.bias"),
            (Dialect::Torchvision, "features.0.1.weight", "downsample_layers.0.1.weight"),
            (Dialect::Torchvision, "features.4.1.bias", "downsample_layers.2.1.bias"),
            (Dialect::Torchvision, "features.5.17.block.5.weight", "stages.2.17.pwconv2.weight"),
            (Dialect::Torchvision, "features.7.2.layer_scale", "stages.3.2.gamma"),
            (Dialect::Torchvision, "classifier.0.bias", "norm.bias"),
            (Dialect::Torchvision, "classifier.2.weight", "head.weight"),
        ] {
            assert_eq!(dialect.official(name).as_deref(), Some(official), "{name}");
        }
    }

    #[test]
    fn other_names_are_of_no_dialect() {
        for (dialect, name) in [
            (Dialect::Torchvision, "features.1.0.block.1.weight"),
            (Dialect::Torchvision, "features.1.0.1.running_mean"),
            (Dialect::Torchvision, "classifier.1.weight"),
            (Dialect::Timm, "stages.0.blocks.0.attn.weight"),
            (Dialect::Official, "neck.0.weight"),
        ] {
            assert_eq!(dialect.official(name), None, "{name}");
        }
    }

    #[test]
    fn the_prefix_is_what_stands_before_a_stem() {
        assert_eq!(Dialect::of_stem("a.b.stem.0.weight"), Some(("a.b.", Dialect::Timm)));
        assert_eq!(Dialect::of_stem("downsample_layers.0.0.weight"), Some(("", Dialect::Official)));
        for other in ["system.0.weight", "mystem.0.weight", "stem.0.weight.exp_avg", "stem.0.bias", ""] {
            assert_eq!(Dialect::of_stem(other), None, "{other}");
        }
        assert_eq!(without_wrappers("_orig_mod.stages.0._orig_mod.x"), "stages.0.x");
    }
}
