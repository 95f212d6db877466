//! What is known of a foreign model besides its tensors: sizes, statistics and class names.

use std::path::Path;

use convnext_core::{IMAGENET_1K_CLASSES, Preprocessing, WeightMetadata, imagenet_1k_classes};

use crate::hub::HubConfig;

/// Beside weights of timm and transformers.
const CONFIG: &str = "config.json";
/// Beside weights of transformers.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// What stands in the names of official files that were trained on larger images (facts B8).
const LARGER_SIZES: [(&str, usize); 2] = [("384", 384), ("512", 512)];

/// Completes what shapes told: by the configuration of timm or transformers beside the file, if it is of such a model;
/// by the size in an official file's name; and by the names of ImageNet's classes where there are a thousand.
///
/// What makes no sense for this model is left aside, because a `config.json` may be of anything.
pub(super) fn complete(path: &Path, metadata: WeightMetadata) -> WeightMetadata {
    let stated = beside(path).and_then(|stated| with_stated(&metadata, &stated));
    let mut metadata = stated.unwrap_or_else(|| with_size_of_name(path, metadata));
    if metadata.classes.is_empty() && metadata.kind.backbone().classes == IMAGENET_1K_CLASSES {
        metadata.classes = imagenet_1k_classes();
    }
    metadata
}

fn beside(path: &Path) -> Option<HubConfig> {
    let [config, preprocessor] = [CONFIG, PREPROCESSOR].map(|name| path.with_file_name(name));
    if !config.is_file() {
        return None;
    }
    HubConfig::read(&config, preprocessor.is_file().then_some(preprocessor.as_path())).ok()
}

/// `None` when the configuration is of another model.
fn with_stated(metadata: &WeightMetadata, stated: &HubConfig) -> Option<WeightMetadata> {
    let classes = metadata.kind.backbone().classes;
    if stated.classes.is_some_and(|stated| stated != classes) {
        return None;
    }
    let described = WeightMetadata {
        preprocessing: stated.preprocessing(metadata.preprocessing.clone()),
        classes: stated.class_names.clone().unwrap_or_default(),
        ..metadata.clone()
    };
    if described.validate().is_ok() {
        return Some(described);
    }
    // Some lists name two classes alike.
    let unnamed = WeightMetadata { classes: metadata.classes.clone(), ..described };
    unnamed.validate().is_ok().then_some(unnamed)
}

fn with_size_of_name(path: &Path, metadata: WeightMetadata) -> WeightMetadata {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let size = LARGER_SIZES.iter().find(|(part, _)| name.split('_').any(|found| found == *part));
    match size {
        Some(&(_, size)) if name.starts_with("convnext") => WeightMetadata {
            preprocessing: Preprocessing::for_size(size, metadata.preprocessing.channels()),
            ..metadata
        },
        _ => metadata,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use convnext_core::{ClassNames, WeightKind};

    use super::*;
    use crate::test_files::speck;

    fn metadata(classes: usize) -> WeightMetadata {
        let model = convnext_core::ModelConfig { classes, input_channels: 3, stem_stride: 4, ..speck() };
        WeightMetadata {
            kind: WeightKind::Classifier { model },
            preprocessing: Preprocessing::for_size(224, 3),
            classes: ClassNames::default(),
            recipe: String::new(),
        }
    }

    #[test]
    fn official_names_tell_larger_images() {
        for (name, size, crop) in [
            ("convnextv2_base_22k_384_ema.pt", 384, None),
            ("convnextv2_huge_22k_512_ema.pt", 512, None),
            ("convnextv2_base_22k_224_ema.pt", 224, Some(0.875)),
            ("mine_384.pt", 224, Some(0.875)),
        ] {
            let found = complete(Path::new(name), metadata(2)).preprocessing;
            assert_eq!((found.image_size, found.crop), (size, crop), "{name}");
        }
    }

    #[test]
    fn a_thousand_classes_are_those_of_imagenet() {
        assert_eq!(complete(Path::new("x"), metadata(1000)).classes.name(0), "tench");
        assert!(complete(Path::new("x"), metadata(999)).classes.is_empty());
    }

    #[test]
    fn a_configuration_beside_the_weights_counts_if_it_is_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let described = |config: &str, processor: Option<&str>| {
            fs::write(folder.path().join(CONFIG), config).unwrap();
            if let Some(processor) = processor {
                fs::write(folder.path().join(PREPROCESSOR), processor).unwrap();
            }
            complete(&path, metadata(2))
        };
        let timm = r#"{"num_classes": 2, "label_names": ["cat", "dog"], "pretrained_cfg":
            {"input_size": [3, 288, 288], "crop_pct": 0.95, "mean": [0.5, 0.5, 0.5], "std": [0.1, 0.2, 0.3]}}"#;
        let found = described(timm, None);
        assert_eq!(found.classes.0, ["cat", "dog"]);
        let expected = Preprocessing {
            crop: Some(0.95),
            mean: vec![0.5; 3],
            std: vec![0.1, 0.2, 0.3],
            ..Preprocessing::for_size(288, 3)
        };
        assert_eq!(found.preprocessing, expected);
        // Of another model, of another kind of file, with names that stand twice, with statistics of other channels.
        assert_eq!(described(r#"{"num_classes": 3, "label_names": ["a", "b", "c"]}"#, None), metadata(2));
        assert_eq!(described("no JSON", None), metadata(2));
        assert_eq!(described(r#"{"label_names": ["a", "a"]}"#, None), metadata(2));
        assert_eq!(described(r#"{"mean": [0.5]}"#, None), metadata(2));
        let transformers = r#"{"id2label": {"0": "ant", "1": "bee"}}"#;
        let found = described(transformers, Some(r#"{"size": {"shortest_edge": 384}, "crop_pct": 0.875}"#));
        assert_eq!(found.classes.0, ["ant", "bee"]);
        assert_eq!((found.preprocessing.image_size, found.preprocessing.crop), (384, None));
    }
}
