//! Names of the tensors of Mask R-CNN besides the backbone's, here and in torchvision.
//!
//! Here they are MMDetection's, whose norms on the outputs of the stages stand under `backbone.`, with mmpretrain's names in
//! the blocks. torchvision's heads are laid out in the same way but for the background, which is its first class there
//! (`foreign/remap.rs`).

use crate::naming::translate_by;
use crate::upernet_names::openmmlab_name;

/// Prefixes of the names of the pyramid and of the heads.
pub(crate) const DETECTOR_PARTS: [&str; 3] = ["neck.", "rpn_head.", "roi_head."];

/// Names in torchvision, and here. Those of two spellings changed between its versions. The norms are of nobody's but
/// programs of one's own, as torchvision has none.
const OF_TORCHVISION: [[&str; 2]; 20] = [
    ["backbone.norms.#.*", "norm.#.*"],
    ["backbone.fpn.inner_blocks.#.0.*", "neck.lateral_convs.#.conv.*"],
    ["backbone.fpn.inner_blocks.#.*", "neck.lateral_convs.#.conv.*"],
    ["backbone.fpn.layer_blocks.#.0.*", "neck.fpn_convs.#.conv.*"],
    ["backbone.fpn.layer_blocks.#.*", "neck.fpn_convs.#.conv.*"],
    ["rpn.head.conv.0.0.*", "rpn_head.rpn_conv.*"],
    ["rpn.head.conv.*", "rpn_head.rpn_conv.*"],
    ["rpn.head.cls_logits.*", "rpn_head.rpn_cls.*"],
    ["rpn.head.bbox_pred.*", "rpn_head.rpn_reg.*"],
    ["roi_heads.box_head.fc6.*", "roi_head.bbox_head.shared_fcs.0.*"],
    ["roi_heads.box_head.fc7.*", "roi_head.bbox_head.shared_fcs.1.*"],
    ["roi_heads.box_predictor.cls_score.*", "roi_head.bbox_head.fc_cls.*"],
    ["roi_heads.box_predictor.bbox_pred.*", "roi_head.bbox_head.fc_reg.*"],
    ["roi_heads.mask_head.mask_fcn1.*", "roi_head.mask_head.convs.0.conv.*"],
    ["roi_heads.mask_head.mask_fcn2.*", "roi_head.mask_head.convs.1.conv.*"],
    ["roi_heads.mask_head.mask_fcn3.*", "roi_head.mask_head.convs.2.conv.*"],
    ["roi_heads.mask_head.mask_fcn4.*", "roi_head.mask_head.convs.3.conv.*"],
    ["roi_heads.mask_head.#.0.*", "roi_head.mask_head.convs.#.conv.*"],
    ["roi_heads.mask_predictor.conv5_mask.*", "roi_head.mask_head.upsample.*"],
    ["roi_heads.mask_predictor.mask_fcn_logits.*", "roi_head.mask_head.conv_logits.*"],
];

/// Our name of a tensor that torchvision calls so; `None` for what is none of a detector's besides the backbone. It may still
/// be a name that no Mask R-CNN has.
pub(crate) fn of_torchvision(name: &str) -> Option<String> {
    let ours = translate_by(&OF_TORCHVISION, name)?;
    // No dot stands before the number of a norm.
    Some(ours.strip_prefix("norm.").map_or_else(|| ours.clone(), |rest| format!("norm{rest}")))
}

/// Name in MMDetection, with mmpretrain's names in the blocks.
pub(crate) fn in_mmdetection(name: &str) -> String {
    openmmlab_name(name, &DETECTOR_PARTS)
}

#[cfg(test)]
mod tests {
    use convnext_core::{MaskRcnnConfig, ModelConfig};

    use super::*;
    use crate::test_files::speck;

    #[test]
    fn names_are_those_of_torchvision() {
        for (theirs, ours) in [
            ("backbone.fpn.inner_blocks.3.0.weight", "neck.lateral_convs.3.conv.weight"),
            ("backbone.fpn.layer_blocks.0.bias", "neck.fpn_convs.0.conv.bias"),
            ("backbone.norms.2.bias", "norm2.bias"),
            ("rpn.head.conv.0.0.weight", "rpn_head.rpn_conv.weight"),
            ("rpn.head.conv.weight", "rpn_head.rpn_conv.weight"),
            ("rpn.head.bbox_pred.bias", "rpn_head.rpn_reg.bias"),
            ("roi_heads.box_head.fc7.weight", "roi_head.bbox_head.shared_fcs.1.weight"),
            ("roi_heads.box_predictor.cls_score.bias", "roi_head.bbox_head.fc_cls.bias"),
            ("roi_heads.mask_head.3.0.weight", "roi_head.mask_head.convs.3.conv.weight"),
            ("roi_heads.mask_head.mask_fcn4.weight", "roi_head.mask_head.convs.3.conv.weight"),
            ("roi_heads.mask_predictor.conv5_mask.bias", "roi_head.mask_head.upsample.bias"),
        ] {
            assert_eq!(of_torchvision(theirs).as_deref(), Some(ours));
        }
        for other in
            ["roi_heads.keypoint_head.0.weight", "backbone.body.conv1.weight", "rpn.head.other.weight"]
        {
            assert_eq!(of_torchvision(other), None, "{other}");
        }
    }

    /// Every tensor has a name there.
    #[test]
    fn no_tensor_is_without_a_name_in_torchvision() {
        let model = ModelConfig { classes: 3, ..speck() };
        for (name, _) in MaskRcnnConfig::PAPER.tensors(&model) {
            let is_there = OF_TORCHVISION.iter().any(|[theirs, _]| {
                let filled = |stage: usize| theirs.replace('#', &stage.to_string()).replace('*', "weight");
                (0..4).any(|stage| of_torchvision(&filled(stage)) == Some(name.replace(".bias", ".weight")))
            });
            assert!(is_there, "{name}");
        }
    }

    #[test]
    fn names_are_those_of_mmdetection() {
        assert_eq!(in_mmdetection("norm0.weight"), "backbone.norm0.weight");
        assert_eq!(in_mmdetection("stages.1.0.pwconv1.weight"), "backbone.stages.1.0.pointwise_conv1.weight");
        assert_eq!(in_mmdetection("rpn_head.rpn_cls.bias"), "rpn_head.rpn_cls.bias");
    }
}
