//! The checkpoints that the authors released, under short names.

use convnext_core::ImageSize;

/// A released checkpoint (docs/facts.md, "Released files"), as timm's repositories on the hub hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Released {
    /// Its short name: size and training of ConvNeXt V2; for ConvNeXt (V1) the name as in timm.
    pub name: &'static str,
    /// The repository on the hub.
    pub repository: &'static str,
    /// The licence of the weights as the repository states it.
    pub licence: &'static str,
    /// Size of the images of the last training.
    pub image_size: ImageSize,
    /// Classes of the head; 0 for an encoder alone.
    pub classes: usize,
}

const fn v2(name: &'static str, repository: &'static str, side: usize, classes: usize) -> Released {
    let image_size = ImageSize::square(side);
    Released { name, repository, licence: "CC BY-NC 4.0", image_size, classes }
}

const fn v1(name: &'static str, repository: &'static str, side: usize, classes: usize) -> Released {
    let image_size = ImageSize::square(side);
    Released { name, repository, licence: "Apache 2.0", image_size, classes }
}

/// All released checkpoints: 26 of ConvNeXt V2, 19 of ConvNeXt.
#[rustfmt::skip]
pub const RELEASED: &[Released] = &[
    v2("atto.fcmae", "timm/convnextv2_atto.fcmae", 224, 0),
    v2("femto.fcmae", "timm/convnextv2_femto.fcmae", 224, 0),
    v2("pico.fcmae", "timm/convnextv2_pico.fcmae", 224, 0),
    v2("nano.fcmae", "timm/convnextv2_nano.fcmae", 224, 0),
    v2("tiny.fcmae", "timm/convnextv2_tiny.fcmae", 224, 0),
    v2("base.fcmae", "timm/convnextv2_base.fcmae", 224, 0),
    v2("large.fcmae", "timm/convnextv2_large.fcmae", 224, 0),
    v2("huge.fcmae", "timm/convnextv2_huge.fcmae", 224, 0),
    v2("atto.fcmae_ft_in1k", "timm/convnextv2_atto.fcmae_ft_in1k", 224, 1000),
    v2("femto.fcmae_ft_in1k", "timm/convnextv2_femto.fcmae_ft_in1k", 224, 1000),
    v2("pico.fcmae_ft_in1k", "timm/convnextv2_pico.fcmae_ft_in1k", 224, 1000),
    v2("nano.fcmae_ft_in1k", "timm/convnextv2_nano.fcmae_ft_in1k", 224, 1000),
    v2("tiny.fcmae_ft_in1k", "timm/convnextv2_tiny.fcmae_ft_in1k", 224, 1000),
    v2("base.fcmae_ft_in1k", "timm/convnextv2_base.fcmae_ft_in1k", 224, 1000),
    v2("large.fcmae_ft_in1k", "timm/convnextv2_large.fcmae_ft_in1k", 224, 1000),
    v2("huge.fcmae_ft_in1k", "timm/convnextv2_huge.fcmae_ft_in1k", 224, 1000),
    v2("nano.fcmae_ft_in22k_in1k", "timm/convnextv2_nano.fcmae_ft_in22k_in1k", 224, 1000),
    v2("tiny.fcmae_ft_in22k_in1k", "timm/convnextv2_tiny.fcmae_ft_in22k_in1k", 224, 1000),
    v2("base.fcmae_ft_in22k_in1k", "timm/convnextv2_base.fcmae_ft_in22k_in1k", 224, 1000),
    v2("large.fcmae_ft_in22k_in1k", "timm/convnextv2_large.fcmae_ft_in22k_in1k", 224, 1000),
    v2("nano.fcmae_ft_in22k_in1k_384", "timm/convnextv2_nano.fcmae_ft_in22k_in1k_384", 384, 1000),
    v2("tiny.fcmae_ft_in22k_in1k_384", "timm/convnextv2_tiny.fcmae_ft_in22k_in1k_384", 384, 1000),
    v2("base.fcmae_ft_in22k_in1k_384", "timm/convnextv2_base.fcmae_ft_in22k_in1k_384", 384, 1000),
    v2("large.fcmae_ft_in22k_in1k_384", "timm/convnextv2_large.fcmae_ft_in22k_in1k_384", 384, 1000),
    v2("huge.fcmae_ft_in22k_in1k_384", "timm/convnextv2_huge.fcmae_ft_in22k_in1k_384", 384, 1000),
    v2("huge.fcmae_ft_in22k_in1k_512", "timm/convnextv2_huge.fcmae_ft_in22k_in1k_512", 512, 1000),
    v1("convnext_tiny.fb_in1k", "timm/convnext_tiny.fb_in1k", 224, 1000),
    v1("convnext_small.fb_in1k", "timm/convnext_small.fb_in1k", 224, 1000),
    v1("convnext_base.fb_in1k", "timm/convnext_base.fb_in1k", 224, 1000),
    v1("convnext_large.fb_in1k", "timm/convnext_large.fb_in1k", 224, 1000),
    v1("convnext_tiny.fb_in22k", "timm/convnext_tiny.fb_in22k", 224, 21_841),
    v1("convnext_small.fb_in22k", "timm/convnext_small.fb_in22k", 224, 21_841),
    v1("convnext_base.fb_in22k", "timm/convnext_base.fb_in22k", 224, 21_841),
    v1("convnext_large.fb_in22k", "timm/convnext_large.fb_in22k", 224, 21_841),
    v1("convnext_xlarge.fb_in22k", "timm/convnext_xlarge.fb_in22k", 224, 21_841),
    v1("convnext_tiny.fb_in22k_ft_in1k", "timm/convnext_tiny.fb_in22k_ft_in1k", 224, 1000),
    v1("convnext_small.fb_in22k_ft_in1k", "timm/convnext_small.fb_in22k_ft_in1k", 224, 1000),
    v1("convnext_base.fb_in22k_ft_in1k", "timm/convnext_base.fb_in22k_ft_in1k", 224, 1000),
    v1("convnext_large.fb_in22k_ft_in1k", "timm/convnext_large.fb_in22k_ft_in1k", 224, 1000),
    v1("convnext_xlarge.fb_in22k_ft_in1k", "timm/convnext_xlarge.fb_in22k_ft_in1k", 224, 1000),
    v1("convnext_tiny.fb_in22k_ft_in1k_384", "timm/convnext_tiny.fb_in22k_ft_in1k_384", 384, 1000),
    v1("convnext_small.fb_in22k_ft_in1k_384", "timm/convnext_small.fb_in22k_ft_in1k_384", 384, 1000),
    v1("convnext_base.fb_in22k_ft_in1k_384", "timm/convnext_base.fb_in22k_ft_in1k_384", 384, 1000),
    v1("convnext_large.fb_in22k_ft_in1k_384", "timm/convnext_large.fb_in22k_ft_in1k_384", 384, 1000),
    v1("convnext_xlarge.fb_in22k_ft_in1k_384", "timm/convnext_xlarge.fb_in22k_ft_in1k_384", 384, 1000),
];

/// The released checkpoint with this short name.
pub fn find_released(name: &str) -> Option<&'static Released> {
    RELEASED.iter().find(|released| released.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::HubModel;

    #[test]
    fn names_and_repositories_are_unique_and_agree() {
        let names: HashSet<&str> = RELEASED.iter().map(|released| released.name).collect();
        let repositories: HashSet<&str> = RELEASED.iter().map(|released| released.repository).collect();
        assert_eq!(names.len(), RELEASED.len());
        assert_eq!(repositories.len(), RELEASED.len());
        for released in RELEASED {
            assert!(released.repository.ends_with(released.name), "{}", released.name);
            HubModel::new(released.repository, None).unwrap();
        }
    }

    #[test]
    fn rows_say_what_their_names_say() {
        for Released { name, repository, licence, image_size, classes } in RELEASED {
            let size = if name.ends_with("_384") {
                384
            } else if name.ends_with("_512") {
                512
            } else {
                224
            };
            assert_eq!(*image_size, size.into(), "{name}");
            let expected = if name.ends_with(".fcmae") {
                0
            } else if name.ends_with(".fb_in22k") {
                21_841
            } else {
                1000
            };
            assert_eq!(*classes, expected, "{name}");
            assert_eq!(repository.contains("convnextv2"), *licence == "CC BY-NC 4.0", "{name}");
        }
    }

    #[test]
    fn there_are_as_many_as_were_released() {
        let count = |what: &str| RELEASED.iter().filter(|released| released.name.ends_with(what)).count();
        assert_eq!(count(".fcmae"), 8);
        assert_eq!(count(".fcmae_ft_in1k"), 8);
        assert_eq!(count(".fcmae_ft_in22k_in1k"), 4);
        assert_eq!(count(".fcmae_ft_in22k_in1k_384"), 5);
        assert_eq!(count(".fcmae_ft_in22k_in1k_512"), 1);
        assert_eq!(RELEASED.len(), 26 + 19);
    }

    #[test]
    fn every_size_of_convnext_v2_is_one_of_the_table() {
        for released in RELEASED.iter().filter(|released| released.name.contains(".fcmae")) {
            let size = released.name.split('.').next().unwrap();
            assert!(convnext_core::find_model(size).is_ok(), "{size}");
        }
    }
}
