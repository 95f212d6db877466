//! Names of the tensors of UperNet besides the backbone's, here and in transformers.
//!
//! Here they are mmsegmentation's, whose norms on the outputs of the stages stand under `backbone.`, with mmpretrain's names
//! in the blocks:
//!
//! | here | transformers |
//! |---|---|
//! | `norm0.*` to `norm3.*` | `backbone.hidden_states_norms.stage1.*` to `stage4.*` |
//! | `decode_head.P.conv.*`, `decode_head.P.bn.*` | `decode_head.P.conv.*`, `decode_head.P.batch_norm.*` |
//! | `decode_head.conv_seg.*` | `decode_head.classifier.*` |
//! | `auxiliary_head.*` | in the same way |

use convnext_core::STAGES;

use crate::naming::{Naming, PARTS_OF_OPENMMLAB, exchange};

/// Prefixes of the names of the decode head and of the auxiliary head, in every program.
pub(crate) const HEADS: [&str; 2] = ["decode_head.", "auxiliary_head."];

/// Prefix of the names of a backbone in a network of mmsegmentation or transformers.
const BACKBONE: &str = "backbone.";

/// Parts of the names in heads: here, and in transformers.
const PARTS: [[&str; 2]; 2] = [["bn", "batch_norm"], ["conv_seg", "classifier"]];

/// Prefix of the norms on the outputs of the stages in transformers; the number of the stage follows, from 1.
const NORMS_OF_TRANSFORMERS: &str = "hidden_states_norms.stage";

/// `true` for the norm on the output of a stage.
pub(crate) fn is_output_norm(name: &str) -> bool {
    stage_of_norm(name).is_some()
}

/// Our name of a norm that transformers calls so behind the prefix of the backbone; `None` for another tensor.
pub(crate) fn norm_of_transformers(name: &str) -> Option<String> {
    let (stage, leaf) = name.strip_prefix(NORMS_OF_TRANSFORMERS)?.split_once('.')?;
    let stage = (0..STAGES).find(|index| stage == (index + 1).to_string())?;
    Some(format!("norm{stage}.{leaf}"))
}

/// Our name of a tensor of a head that transformers calls so.
pub(crate) fn head_of_transformers(name: &str) -> String {
    exchange(name, &PARTS, 1, 0)
}

/// Name in transformers of any tensor of a segmentation network; `None` for what is none.
pub(crate) fn in_transformers(name: &str) -> Option<String> {
    if HEADS.iter().any(|head| name.starts_with(head)) {
        return Some(exchange(name, &PARTS, 0, 1));
    }
    let bare = match stage_of_norm(name) {
        Some((stage, leaf)) => format!("{NORMS_OF_TRANSFORMERS}{}.{leaf}", stage + 1),
        None => Naming::HuggingFace.bare_of_official(name)?,
    };
    Some(format!("{BACKBONE}{bare}"))
}

/// Name in OpenMMLab of a tensor of a network with these heads, with mmpretrain's names in the blocks.
pub(crate) fn openmmlab_name(name: &str, heads: &[&str]) -> String {
    if heads.iter().any(|head| name.starts_with(head)) {
        return name.to_owned();
    }
    format!("{BACKBONE}{}", exchange(name, &PARTS_OF_OPENMMLAB, 0, 1))
}

/// Stage of a norm on an output, and the last part of its name.
fn stage_of_norm(name: &str) -> Option<(usize, &str)> {
    let (stage, leaf) = name.strip_prefix("norm")?.split_once('.')?;
    Some(((0..STAGES).find(|index| stage == index.to_string())?, leaf))
}

#[cfg(test)]
mod tests {
    use convnext_core::{ModelConfig, UperNetConfig, backbone_tensors};

    use super::*;
    use crate::test_files::speck;

    #[test]
    fn names_are_those_of_transformers() {
        for (ours, transformers) in [
            ("norm0.weight", "backbone.hidden_states_norms.stage1.weight"),
            ("norm3.bias", "backbone.hidden_states_norms.stage4.bias"),
            ("downsample_layers.0.0.weight", "backbone.embeddings.patch_embeddings.weight"),
            ("stages.2.1.grn.gamma", "backbone.encoder.stages.2.layers.1.grn.weight"),
            ("decode_head.psp_modules.3.1.conv.weight", "decode_head.psp_modules.3.1.conv.weight"),
            ("decode_head.bottleneck.bn.running_var", "decode_head.bottleneck.batch_norm.running_var"),
            ("decode_head.conv_seg.bias", "decode_head.classifier.bias"),
            (
                "auxiliary_head.convs.0.bn.num_batches_tracked",
                "auxiliary_head.convs.0.batch_norm.num_batches_tracked",
            ),
            ("auxiliary_head.conv_seg.weight", "auxiliary_head.classifier.weight"),
        ] {
            assert_eq!(in_transformers(ours).as_deref(), Some(transformers));
        }
        assert_eq!(in_transformers("mask_token"), None);
        for other in ["norm4.weight", "norm.weight", "norm00.weight", "norm1"] {
            assert!(!is_output_norm(other), "{other}");
        }
        for other in
            ["hidden_states_norms.stage0.weight", "hidden_states_norms.stage5.weight", "layernorm.weight"]
        {
            assert_eq!(norm_of_transformers(other), None, "{other}");
        }
    }

    #[test]
    fn every_name_goes_there_and_back() {
        let model = ModelConfig { classes: 3, ..speck() };
        let tensors = UperNetConfig::PAPER.tensors(&model).into_iter().chain(backbone_tensors("", &model));
        for (name, _) in tensors {
            let there = in_transformers(&name).unwrap();
            let back = match there.strip_prefix(BACKBONE) {
                Some(bare) => norm_of_transformers(bare).or_else(|| Naming::HuggingFace.official(bare)),
                None => Some(head_of_transformers(&there)),
            };
            assert_eq!(back, Some(name), "{there}");
        }
    }
}
