//! The early part of a backbone, where it keeps the values that it starts with.
//!
//! As `frozen_stages` of OpenMMLab's backbone:
//! [`mmpretrain/models/backbones/convnext.py`](https://github.com/open-mmlab/mmpretrain/blob/9fe593e3e04b1258795c1020ec3fa29b867324bf/mmpretrain/models/backbones/convnext.py)
//! (Apache 2.0). What differs: drop path is not turned off there, because it is the task that draws it.

use crate::optimization::backbone_part::BackbonePart;

/// The stem and so many of the first stages, with the downsamplings before them; 0 is nothing at all. Norms of the
/// outputs learn, those of frozen stages included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrozenStages(pub usize);

impl FrozenStages {
    /// `true` if a parameter is in one of them, by its official name.
    pub fn contains(self, name: &str) -> bool {
        match BackbonePart::of(name) {
            BackbonePart::Downsampling { stage } | BackbonePart::Block { stage, .. } => stage < self.0,
            BackbonePart::Outside => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stages_are_frozen_with_the_stem() {
        // For each name, from how many stages on it is frozen.
        for (name, first) in [
            ("downsample_layers.0.0.weight", Some(1)),
            ("stages.0.2.dwconv.bias", Some(1)),
            ("downsample_layers.1.0.weight", Some(2)),
            ("backbone.stages.1.0.grn.beta", Some(2)),
            ("stages.3.0.norm.weight", Some(4)),
            ("norm0.weight", None),
            ("head.weight", None),
            ("mask_token", None),
        ] {
            for stages in 0..=4 {
                let expected = first.is_some_and(|first| stages >= first);
                assert_eq!(FrozenStages(stages).contains(name), expected, "{name}, {stages}");
            }
        }
    }
}
