//! Serialised form of the metadata of weights, that of earlier versions included.

use serde::Deserialize;
use serde_json::Value;

use crate::class_names::ClassNames;
use crate::classification_task::ClassificationTask;
use crate::config::ModelConfig;
use crate::decoder_config::DecoderConfig;
use crate::error::ConfigError;
use crate::fcmae_config::{EncoderKind, FcmaeConfig, FcmaeObjective};
use crate::fcmae_task::FcmaeTask;
use crate::preprocessing::Preprocessing;
use crate::tagged::Tagged;

/// [`crate::WeightMetadata`] as files of any age hold it: in the first layout the kind of a file named one of two models, with
/// the names of classes beside it, and an autoencoder held its encoder and its objective.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredMetadata {
    backbone: Option<Tagged>,
    task: Option<Tagged>,
    kind: Option<FirstKind>,
    model: Option<ModelConfig>,
    fcmae: Option<StoredFcmae>,
    #[serde(default)]
    classes: ClassNames,
    preprocessing: Preprocessing,
    #[serde(default)]
    recipe: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FirstKind {
    Classifier,
    Fcmae,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFcmae {
    encoder: ModelConfig,
    encoder_kind: EncoderKind,
    decoder: DecoderConfig,
    mask_ratio: f64,
    normalize_target: bool,
}

impl StoredMetadata {
    /// Backbone, task, preprocessing and recipe, whatever the layout.
    ///
    /// # Errors
    /// [`ConfigError::OtherLayout`] when the parts are those of no layout, [`ConfigError::ClassNames`] for names beside
    /// a task that has others or none.
    pub(crate) fn into_parts(self) -> Result<(Tagged, Tagged, Preprocessing, String), ConfigError> {
        let Self { backbone, task, kind, model, fcmae, classes, preprocessing, recipe } = self;
        let (backbone, task) = match (backbone, task, kind, model, fcmae) {
            (Some(backbone), Some(task), None, None, None) => {
                check_names_beside(&task, classes)?;
                (backbone, task)
            }
            (None, None, Some(FirstKind::Classifier), Some(model), None) => {
                (Tagged::new(&model), Tagged::new(&ClassificationTask { classes }))
            }
            (None, None, Some(FirstKind::Fcmae), None, Some(fcmae)) => {
                let StoredFcmae { encoder, encoder_kind, decoder, mask_ratio, normalize_target } = fcmae;
                let config = FcmaeConfig { encoder, encoder_kind, decoder };
                let task = FcmaeTask::new(&config, FcmaeObjective { mask_ratio, normalize_target });
                let task = Tagged::new(&task);
                check_names_beside(&task, classes)?;
                (Tagged::new(&config.encoder), task)
            }
            _ => return Err(ConfigError::OtherLayout),
        };
        Ok((backbone, task, preprocessing, recipe))
    }
}

/// Checks that class names beside a task, if there are any, are those within it: no others are read.
fn check_names_beside(task: &Tagged, classes: ClassNames) -> Result<(), ConfigError> {
    if classes.is_empty() || task.field("classes") == Some(&Value::from(classes.0)) {
        return Ok(());
    }
    let why = format!("`classes` beside the task '{}' are not those within it; leave them out", task.kind());
    Err(ConfigError::ClassNames { why })
}

#[cfg(test)]
mod tests {
    use crate::classification_task::ClassificationTask;
    use crate::fcmae_config::FcmaeObjective;
    use crate::fcmae_task::FcmaeTask;
    use crate::metadata::WeightMetadata;
    use crate::preprocessing::Preprocessing;
    use crate::sizes::find_model;
    use crate::tagged::Tagged;

    /// The header of a file of the first layout.
    const OLD: &str = r#"{"kind":"fcmae","fcmae":{"encoder":{"name":"v1-micro","depths":[1,1,2,1],
        "widths":[16,32,64,128],"grn":false,"layer_scale":1e-6,"classes":0,"input_channels":3,"stem_stride":1,
        "drop_path":0.0,"head_init_scale":1.0},"encoder_kind":"sparse","decoder":{"depth":1,"width":128,"grn":false,
        "layer_scale":true},"mask_ratio":0.75,"normalize_target":false},"preprocessing":{"image_size":32,"crop":null,
        "mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]},"classes":[],"recipe":"claim = 'x'"}"#;

    #[test]
    fn files_of_the_first_layout_are_read() {
        let read: WeightMetadata = serde_json::from_str(OLD).unwrap();
        let task: FcmaeTask = read.task_as().unwrap();
        assert_eq!(task.objective(), FcmaeObjective { mask_ratio: 0.75, normalize_target: false });
        let mut expected = find_model("v1-micro").unwrap().config();
        (expected.classes, expected.stem_stride) = (0, 1);
        assert_eq!((read.convnext().unwrap(), read.recipe.as_str()), (expected, "claim = 'x'"));
        let without = OLD.replace("1e-6", "null");
        let read: WeightMetadata = serde_json::from_str(&without).unwrap();
        assert_eq!(read.convnext().unwrap().layer_scale, None);
    }

    #[test]
    fn classifiers_of_the_first_layout_keep_their_class_names() {
        let backbone = serde_json::to_string(&find_model("micro").unwrap().config()).unwrap();
        let old = format!(
            r#"{{"kind":"classifier","model":{},"preprocessing":{{"image_size":32,"crop":null,"mean":[0.5],"std":[0.2]}},
            "classes":["cat","dog"]}}"#,
            backbone
                .replace(r#""classes":1000"#, r#""classes":2"#)
                .replace(r#""input_channels":3"#, r#""input_channels":1"#)
        );
        let read: WeightMetadata = serde_json::from_str(&old).unwrap();
        let task: ClassificationTask = read.task_as().unwrap();
        assert_eq!(task.classes.0, ["cat", "dog"]);
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(
            (&written["task"]["kind"], &written["task"]["classes"][0]),
            (&"classification".into(), &"cat".into())
        );
        assert_eq!(
            (&written["backbone"]["kind"], &written["backbone"]["classes"]),
            (&"convnext".into(), &2.into())
        );
        assert_eq!(serde_json::from_value::<WeightMetadata>(written).unwrap(), read);
    }

    #[test]
    fn what_the_weights_are_is_said_once() {
        let mut read: serde_json::Value = serde_json::from_str(OLD).unwrap();
        read["task"] = serde_json::to_value(Tagged::new(&ClassificationTask::default())).unwrap();
        let message = serde_json::from_value::<WeightMetadata>(read).unwrap_err().to_string();
        assert!(message.contains("`backbone` and `task` are needed"), "{message}");
    }

    #[test]
    fn class_names_beside_a_task_are_not_lost() {
        let model = find_model("micro").unwrap().config();
        let read = |within: &str, beside: &str| {
            let task = ClassificationTask { classes: serde_json::from_str(within).unwrap() };
            let preprocessing = Preprocessing::for_size(32, 3);
            let mut text = serde_json::to_value(WeightMetadata::new(&model, &task, preprocessing)).unwrap();
            text["classes"] = serde_json::from_str(beside).unwrap();
            serde_json::from_value::<WeightMetadata>(text).map_err(|error| error.to_string())
        };
        let names = r#"["cat","dog"]"#;
        for beside in [names, "[]"] {
            assert_eq!(read(names, beside).unwrap().class_names().0, ["cat", "dog"], "{beside}");
        }
        for (within, beside) in [("[]", names), (names, r#"["dog","cat"]"#)] {
            let message = read(within, beside).unwrap_err();
            assert!(message.contains("`classes` beside the task 'classification'"), "{message}");
        }
        let autoencoder = OLD.replace(r#""classes":[]"#, r#""classes":["cat"]"#);
        let message = serde_json::from_str::<WeightMetadata>(&autoencoder).unwrap_err().to_string();
        assert!(message.contains("`classes` beside the task 'fcmae'"), "{message}");
    }

    #[test]
    fn unknown_keys_are_errors_still() {
        for (key, with) in [("drop_path", "drop_paths"), ("mask_ratio", "mask_ratios")] {
            assert!(serde_json::from_str::<WeightMetadata>(&OLD.replace(key, with)).is_err(), "{with}");
        }
    }
}
