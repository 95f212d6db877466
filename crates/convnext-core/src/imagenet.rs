//! The classes of ImageNet-1K, which released weights do not name.

use crate::class_names::ClassNames;

/// Synset of WordNet and name, in the order of the logits, which is that of the synsets. The names are those of
/// torchvision's weights (`ResNet50_Weights.DEFAULT.meta["categories"]`, BSD licence), where no two are the same.
const CLASSES: &str = include_str!("imagenet_1k.txt");

/// Number of classes of ImageNet-1K.
pub const IMAGENET_1K_CLASSES: usize = 1000;

/// The names of the classes of ImageNet-1K.
pub fn imagenet_1k_classes() -> ClassNames {
    ClassNames(classes().map(|(_, name)| name.to_owned()).collect())
}

/// The name of a class of ImageNet-1K whose folder is called after its synset, such as `n01440764`.
pub fn imagenet_1k_name(synset: &str) -> Option<&'static str> {
    classes().find(|(known, _)| *known == synset).map(|(_, name)| name)
}

/// The place of a class of ImageNet-1K among the logits, by its synset.
pub fn imagenet_1k_index(synset: &str) -> Option<usize> {
    classes().position(|(known, _)| known == synset)
}

/// `true` for names of the classes of ImageNet-1K in their order. Other lists than ours give synonyms after a comma and
/// call a few classes otherwise, so that most decide.
pub fn is_imagenet_1k(names: &ClassNames) -> bool {
    let first = |name: &str| name.split(',').next().unwrap_or_default().trim().to_lowercase();
    let same = classes().zip(&names.0).filter(|((_, known), name)| known.to_lowercase() == first(name));
    names.len() == IMAGENET_1K_CLASSES && 2 * same.count() > IMAGENET_1K_CLASSES
}

fn classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLASSES.lines().filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_of_its_own() {
        let names = imagenet_1k_classes();
        assert_eq!(names.len(), IMAGENET_1K_CLASSES);
        assert!(classes().is_sorted());
        let unique: std::collections::BTreeSet<_> = names.0.iter().collect();
        assert_eq!(unique.len(), IMAGENET_1K_CLASSES);
        for (index, name) in [(0, "tench"), (1, "goldfish"), (282, "tiger cat"), (999, "toilet tissue")] {
            assert_eq!(names.0[index], name);
        }
        assert_eq!(imagenet_1k_name("n01440764"), Some("tench"));
        assert_eq!(imagenet_1k_name("n00000000"), None);
        assert_eq!(imagenet_1k_index("n02012849"), Some(134));
    }

    #[test]
    fn other_lists_name_the_same_classes_with_synonyms() {
        let mut names = imagenet_1k_classes();
        names.0[0] = "tench, Tinca tinca".into();
        names.0[134] = "crane".into();
        assert!(is_imagenet_1k(&names));
        names.0.reverse();
        assert!(!is_imagenet_1k(&names));
        assert!(!is_imagenet_1k(&ClassNames(imagenet_1k_classes().0[..999].to_vec())));
    }
}
