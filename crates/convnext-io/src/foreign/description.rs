//! Description of a foreign model besides its tensors: sizes, statistics and class names.

use std::path::Path;

use convnext_core::{
    ClassificationTask, DetectionTask, Fit, Geometry, IMAGENET_1K_CLASSES, Preprocessing, SegmentationTask,
    WeightMetadata, imagenet_1k_classes,
};

use crate::error::IoError;
use crate::package_config::PackageConfig;

/// Beside weights of timm and transformers.
const CONFIG: &str = "config.json";
/// Beside weights of transformers.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Parts of the names of official files that were trained on larger images (docs/facts.md, "Released files").
const LARGER_SIZES: [(&str, usize); 2] = [("384", 384), ("512", 512)];

/// Part of the names of segmentation networks that were trained on larger crops than 512 pixels, and what their images
/// are resized to (docs/facts.md, "F. Segmentation").
const LARGER_CROPS: (&str, Fit) = ("640x640", Fit { long: 2560, short: 640, pad: 1 });

/// Description of a foreign model, and remarks on what is not done as it says.
pub(super) struct Completed {
    pub(super) metadata: WeightMetadata,
    pub(super) remarks: Vec<String>,
}

/// Completes what shapes told: by the configuration of timm or transformers beside the file, if it is of such a model;
/// by the size in an official file's name; and by the names of ImageNet's classes where there are a thousand.
///
/// What makes no sense for this model is left aside, because a `config.json` may be of anything; a remark says so.
pub(super) fn complete(path: &Path, metadata: WeightMetadata) -> Completed {
    let (stated, mut remarks) = match beside(path) {
        None => (None, Vec::new()),
        Some(Err(error)) => (None, vec![format!("{error}: {NOT_USED}")]),
        Some(Ok(stated)) => {
            let file = path.with_file_name(CONFIG);
            let found = with_stated(&metadata, &stated);
            let remark = |text: &String| format!("beside {}: {text}", path.display());
            match found {
                Ok(found) => (Some(found), stated.remarks.iter().map(remark).collect()),
                Err(why) => (None, vec![format!("{}: {why}: {NOT_USED}", file.display())]),
            }
        }
    };
    let is_described = stated.is_some();
    let mut metadata = stated.unwrap_or_else(|| with_size_of_name(path, metadata));
    if !is_described && !remarks.is_empty() {
        let geometry = metadata.preprocessing.geometry;
        let prepared = match geometry.image_size() {
            Some(size) => format!("with {}", size.with_unit()),
            None => geometry.to_string(),
        };
        remarks.push(format!("images are prepared {prepared} and the statistics of ImageNet"));
    }
    if metadata.class_names().is_empty() && is_of_imagenet(&metadata) {
        metadata = metadata.with_class_names(imagenet_1k_classes());
    }
    Completed { metadata, remarks }
}

/// `true` for a classifier with as many classes as ImageNet.
pub(super) fn is_of_imagenet(metadata: &WeightMetadata) -> bool {
    metadata.task.is::<ClassificationTask>() && metadata.class_count() == IMAGENET_1K_CLASSES
}

/// Handles a configuration that does not fit.
const NOT_USED: &str = "it is not used";

fn beside(path: &Path) -> Option<Result<PackageConfig, IoError>> {
    let [config, preprocessor] = [CONFIG, PREPROCESSOR].map(|name| path.with_file_name(name));
    config
        .is_file()
        .then(|| PackageConfig::read(&config, preprocessor.is_file().then_some(preprocessor.as_path())))
}

/// The reason when the configuration is of another model. Of an encoder alone it may tell the classes of its head.
fn with_stated(metadata: &WeightMetadata, stated: &PackageConfig) -> Result<WeightMetadata, String> {
    let classes = metadata.class_count();
    if let Some(stated) = stated.classes.filter(|&stated| stated != classes && classes > 0) {
        return Err(format!("it states {stated} classes, but the weights have {classes}"));
    }
    let names = stated.class_names.clone().filter(|names| names.len() == classes);
    let described = WeightMetadata {
        preprocessing: stated.preprocessing(metadata.preprocessing.clone()),
        ..metadata.clone()
    };
    let named = described.clone().with_class_names(names.unwrap_or_default());
    // Some lists name two classes the same.
    let found = if named.validate().is_ok() { named } else { described };
    found.validate().map(|()| found).map_err(|error| error.to_string())
}

fn with_size_of_name(path: &Path, metadata: WeightMetadata) -> WeightMetadata {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if metadata.task.is::<SegmentationTask>() {
        let (part, fit) = LARGER_CROPS;
        let mut preprocessing = metadata.preprocessing.clone();
        if name.split('_').any(|found| found == part) {
            preprocessing.geometry = Geometry::Fit(fit);
        }
        return WeightMetadata { preprocessing, ..metadata };
    }
    if metadata.task.is::<DetectionTask>() {
        return metadata;
    }
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

    use convnext_core::{ClassNames, Geometry};

    use super::*;
    use crate::test_files::speck;

    fn metadata(classes: usize) -> WeightMetadata {
        let model = convnext_core::ModelConfig { classes, input_channels: 3, stem_stride: 4, ..speck() };
        WeightMetadata::of_classifier(&model, ClassNames::default(), Preprocessing::for_size(224, 3))
    }

    #[test]
    fn official_names_tell_larger_images() {
        for (name, size) in [
            ("convnextv2_base_22k_384_ema.pt", 384),
            ("convnextv2_huge_22k_512_ema.pt", 512),
            ("convnextv2_base_22k_224_ema.pt", 224),
            ("mine_384.pt", 224),
        ] {
            let found = complete(Path::new(name), metadata(2)).metadata.preprocessing;
            assert_eq!(found.geometry, Preprocessing::for_size(size, 3).geometry, "{name}");
        }
    }

    #[test]
    fn a_thousand_classes_are_those_of_imagenet() {
        assert_eq!(complete(Path::new("x"), metadata(1000)).metadata.class_names().name(0), "tench");
        assert!(complete(Path::new("x"), metadata(999)).metadata.class_names().is_empty());
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
        assert_eq!((found.metadata.class_names().0, found.remarks), (names(&["cat", "dog"]), names(&[])));
        let expected = Preprocessing {
            geometry: Geometry::CentreCrop { size: 288.into(), crop: 0.95 },
            mean: vec![0.5; 3],
            std: vec![0.1, 0.2, 0.3],
            ..Preprocessing::for_size(288, 3)
        };
        assert_eq!(found.metadata.preprocessing, expected);
        // Of another model, of another kind of file, with values of other channels: said and left aside.
        for (config, why) in [
            (r#"{"num_classes": 3, "label_names": ["a", "b", "c"]}"#, "states 3 classes"),
            ("no JSON", "config.json"),
            (r#"{"mean": [0.5, 0.5]}"#, "number of"),
            (r#"{"std": [0.5, 0, 0.5]}"#, "std is"),
        ] {
            let found = described(config, None);
            assert_eq!(found.metadata, metadata(2), "{config}");
            assert!(found.remarks[0].contains(why), "{config}: {:?}", found.remarks);
            assert!(found.remarks[1].contains("224 px"), "{config}: {:?}", found.remarks);
        }
        // Names that stand twice are no names.
        let found = described(r#"{"label_names": ["a", "a"]}"#, None);
        assert_eq!((found.metadata, found.remarks.len()), (metadata(2), 0));
        let transformers = r#"{"id2label": {"0": "ant", "1": "bee"}}"#;
        let found =
            described(transformers, Some(r#"{"size": {"shortest_edge": 384}, "crop_pct": 0.875}"#)).metadata;
        assert_eq!(found.class_names().0, ["ant", "bee"]);
        assert_eq!(found.preprocessing.geometry, Geometry::Warp { size: 384.into() });
    }

    #[test]
    fn an_encoder_alone_is_prepared_as_its_classifier_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"num_classes": 2, "label_names": ["cat", "dog"], "mean": 0.5}"#;
        fs::write(folder.path().join(CONFIG), config).unwrap();
        let found = complete(&folder.path().join("model.safetensors"), metadata(0));
        assert_eq!(
            (found.metadata.class_names().len(), found.metadata.preprocessing.mean),
            (0, vec![0.5; 3])
        );
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }
}
