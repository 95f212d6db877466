//! Description of a foreign model besides its tensors: sizes, statistics and class names.

use std::path::Path;

use convnext_core::{ClassNames, WeightMetadata};

use super::dialect::Dialect;
use super::{classes, undescribed};
use crate::error::IoError;
use crate::package_config::PackageConfig;

/// Beside weights of timm and transformers.
const CONFIG: &str = "config.json";
/// Beside weights of transformers.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Description of a foreign model, and remarks on what is not done as it says.
pub(super) struct Completed {
    pub(super) metadata: WeightMetadata,
    pub(super) remarks: Vec<String>,
    /// Stated names of classes that do not fit the model.
    pub(super) unused_names: Option<ClassNames>,
}

/// Completes what shapes told by the configuration of timm or transformers beside the file, if it is of such a model, or else
/// as files under names of this kind are used.
///
/// What makes no sense for this model is left aside, because a `config.json` may be of anything; a remark says so.
pub(super) fn complete(path: &Path, metadata: WeightMetadata, dialect: Dialect) -> Completed {
    let Beside { described, mut remarks, unused_names } = match read_config(path) {
        None => Beside::default(),
        Some(Err(error)) => Beside { remarks: vec![format!("{error}: {NOT_USED}")], ..Beside::default() },
        Some(Ok(stated)) => with_stated(path, &metadata, stated),
    };
    let metadata = described.unwrap_or_else(|| {
        let (metadata, remark) = undescribed::complete(path, metadata, dialect, !remarks.is_empty());
        remarks.extend(remark);
        metadata
    });
    Completed { metadata, remarks, unused_names }
}

/// Handles a configuration that does not fit.
const NOT_USED: &str = "it is not used";

/// The configuration beside a file, if there is one.
pub(super) fn read_config(path: &Path) -> Option<Result<PackageConfig, IoError>> {
    let [config, preprocessor] = [CONFIG, PREPROCESSOR].map(|name| path.with_file_name(name));
    config
        .is_file()
        .then(|| PackageConfig::read(&config, preprocessor.is_file().then_some(preprocessor.as_path())))
}

/// What the configuration beside a file says of it.
#[derive(Default)]
struct Beside {
    /// None when it is of another model.
    described: Option<WeightMetadata>,
    unused_names: Option<ClassNames>,
    remarks: Vec<String>,
}

/// Of an encoder alone a configuration may tell the classes of its head.
fn with_stated(path: &Path, metadata: &WeightMetadata, stated: PackageConfig) -> Beside {
    let file = path.with_file_name(CONFIG);
    let classes = metadata.class_count();
    let described = WeightMetadata {
        preprocessing: stated.preprocessing(metadata.preprocessing.clone()),
        ..metadata.clone()
    };
    let names = stated.class_names.filter(|names| names.is_empty() || !classes::stand_for_none(names));
    let names = names.filter(|_| classes > 0);
    let refused = match stated.classes {
        Some(stated) if stated != classes && classes > 0 => {
            Some(format!("it states {stated} classes, but the weights have {classes}"))
        }
        _ => described.validate().err().map(|error| error.to_string()),
    };
    if let Some(why) = refused {
        let remarks = vec![format!("{}: {why}: {NOT_USED}", file.display())];
        return Beside { described: None, unused_names: names, remarks };
    }
    let remarks = stated.remarks.iter().map(|text| format!("beside {}: {text}", path.display())).collect();
    let mut beside = Beside { described: Some(described.clone()), unused_names: None, remarks };
    match names.as_ref().map(|names| names.check(classes)) {
        None => {}
        // That their numbers have gaps is one of the remarks.
        Some(Ok(())) if names.as_ref().is_some_and(ClassNames::is_empty) => beside.unused_names = names,
        Some(Ok(())) => beside.described = names.map(|names| described.with_class_names(names)),
        Some(Err(why)) => {
            beside.remarks.push(format!("{}: the names of classes are not used: {why}", file.display()));
            beside.unused_names = names;
        }
    }
    beside
}

#[cfg(test)]
mod tests {
    use std::fs;

    use convnext_core::{Geometry, Preprocessing};

    use super::*;
    use crate::test_files::speck;

    fn metadata(classes: usize) -> WeightMetadata {
        let model = convnext_core::ModelConfig { classes, input_channels: 3, stem_stride: 4, ..speck() };
        WeightMetadata::of_classifier(&model, ClassNames::default(), Preprocessing::for_size(224, 3))
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
            complete(&path, metadata(2), Dialect::Timm)
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
        let transformers = r#"{"id2label": {"0": "ant", "1": "bee"}}"#;
        let found =
            described(transformers, Some(r#"{"size": {"shortest_edge": 384}, "crop_pct": 0.875}"#)).metadata;
        assert_eq!(found.class_names().0, ["ant", "bee"]);
        assert_eq!(found.preprocessing.geometry, Geometry::Warp { size: 384.into() });
    }

    #[test]
    fn names_of_classes_that_do_not_fit_are_remarked_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        for (config, why) in [
            (r#"{"num_classes": 2, "label_names": ["a", "a"], "mean": 0.5}"#, "'a' is duplicated"),
            (r#"{"num_classes": 2, "label_names": ["a"], "mean": 0.5}"#, "1 names for 2 classes"),
            (r#"{"id2label": {"0": "a", "2": "b"}, "mean": 0.5}"#, "do not go from 0 on"),
        ] {
            fs::write(folder.path().join(CONFIG), config).unwrap();
            let Completed { metadata, remarks, unused_names } = complete(&path, metadata(2), Dialect::Timm);
            assert!(remarks.len() == 1 && remarks[0].contains(why), "{remarks:?}");
            assert!(unused_names.is_some() && metadata.class_names().is_empty());
            // The rest of the configuration counts all the same.
            assert_eq!(metadata.preprocessing.mean, [0.5; 3]);
        }
    }

    #[test]
    fn an_encoder_alone_is_prepared_as_its_classifier_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"num_classes": 2, "label_names": ["cat", "dog"], "mean": 0.5}"#;
        fs::write(folder.path().join(CONFIG), config).unwrap();
        let found = complete(&folder.path().join("model.safetensors"), metadata(0), Dialect::Timm);
        assert_eq!(
            (found.metadata.class_names().len(), found.metadata.preprocessing.mean),
            (0, vec![0.5; 3])
        );
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }
}
