//! What is stored beside the tensors of a weight file.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::stored::StoredKind;
use crate::{ConfigError, FcmaeConfig, FcmaeObjective, ImageSize, ModelConfig, PatchGrid, Preprocessing};

/// The names of the classes, in the order of the logits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassNames(pub Vec<String>);

impl ClassNames {
    /// The name of a class; `class_12` where none is known.
    pub fn name(&self, index: usize) -> String {
        self.0.get(index).cloned().unwrap_or_else(|| format!("class_{index}"))
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// `true` when there is no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The index of a name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }
}

/// What a weight file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredKind", into = "StoredKind")]
pub enum WeightKind {
    /// A classifier: backbone, final norm and head.
    Classifier {
        /// Its configuration.
        model: ModelConfig,
    },
    /// A masked autoencoder: encoder and decoder.
    Fcmae {
        /// Its configuration.
        fcmae: FcmaeConfig,
        /// What it was trained for.
        objective: FcmaeObjective,
    },
}

impl WeightKind {
    /// The configuration of the backbone, whichever kind it is.
    pub fn backbone(&self) -> &ModelConfig {
        match self {
            Self::Classifier { model } => model,
            Self::Fcmae { fcmae, .. } => &fcmae.encoder,
        }
    }
}

/// Everything that one needs to use a weight file, apart from the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightMetadata {
    /// What the tensors are.
    #[serde(flatten)]
    pub kind: WeightKind,
    /// How pictures are prepared.
    pub preprocessing: Preprocessing,
    /// The names of the classes; empty for an autoencoder.
    #[serde(default)]
    pub classes: ClassNames,
    /// The recipe of the training, as TOML; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recipe: String,
}

impl WeightMetadata {
    /// Checks every value against its range and the parts against each other. Whoever reads metadata
    /// from a file calls this before building anything.
    ///
    /// # Errors
    /// [`ConfigError`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.preprocessing.validate()?;
        let ImageSize { height, width } = self.preprocessing.geometry.smallest();
        let classes = match &self.kind {
            WeightKind::Classifier { model } => {
                model.stage_sizes(height, width)?;
                model.classes
            }
            WeightKind::Fcmae { fcmae, objective } => {
                fcmae.validate()?;
                objective.validate()?;
                // Its masks are of one grid.
                self.preprocessing.fixed_size()?;
                PatchGrid::of_image(&fcmae.encoder, height, width)?;
                0
            }
        };
        let (channels, inputs) = (self.preprocessing.channels(), self.kind.backbone().input_channels);
        if channels != inputs {
            return Err(ConfigError::OutOfRange {
                what: "number of means",
                found: format!("{channels} for {inputs} input channels"),
                expected: "one for each channel",
            });
        }
        let bad = |why: String| Err(ConfigError::ClassNames { why });
        if !self.classes.is_empty() && self.classes.len() != classes {
            return bad(format!("there are {} names for {classes} classes", self.classes.len()));
        }
        let mut seen = HashSet::new();
        match self.classes.0.iter().find(|name| !seen.insert(name.as_str())) {
            Some(name) => bad(format!("'{name}' stands twice")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Geometry, find_model};

    #[test]
    fn metadata_survives_json() {
        let model = find_model("micro").unwrap().config();
        let fcmae = FcmaeConfig::new(model.clone());
        for kind in [
            WeightKind::Classifier { model },
            WeightKind::Fcmae { fcmae, objective: FcmaeObjective::default() },
        ] {
            let metadata = WeightMetadata {
                kind,
                preprocessing: Preprocessing::for_size(32, 3),
                classes: ClassNames(vec!["cat".into(), "dog".into()]),
                recipe: "[training]\nepochs = 1\n".into(),
            };
            let text = serde_json::to_string(&metadata).unwrap();
            assert_eq!(serde_json::from_str::<WeightMetadata>(&text).unwrap(), metadata);
        }
    }

    #[test]
    fn names_must_fit_the_classes() {
        let model = ModelConfig { classes: 2, ..find_model("micro").unwrap().config() };
        let check = |names: &[&str]| {
            let classes = ClassNames(names.iter().map(|&name| name.to_owned()).collect());
            let kind = WeightKind::Classifier { model: model.clone() };
            WeightMetadata {
                kind,
                preprocessing: Preprocessing::for_size(32, 3),
                classes,
                recipe: String::new(),
            }
            .validate()
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["cat", "dog"]), Ok(()));
        assert!(check(&["cat"]).unwrap_err().to_string().contains("1 names for 2 classes"));
        assert!(check(&["cat", "cat"]).unwrap_err().to_string().contains("'cat' stands twice"));
    }

    #[test]
    fn each_channel_needs_its_statistics() {
        let model = ModelConfig { input_channels: 5, ..find_model("micro").unwrap().config() };
        let check = |channels| {
            let kind = WeightKind::Classifier { model: model.clone() };
            let preprocessing = Preprocessing::for_size(32, channels);
            WeightMetadata { kind, preprocessing, classes: ClassNames::default(), recipe: String::new() }
                .validate()
        };
        assert_eq!(check(5), Ok(()));
        let message = check(3).unwrap_err().to_string();
        assert!(message.contains("3 for 5 input channels"), "{message}");
    }

    #[test]
    fn padding_leaves_something_for_the_last_stage_and_autoencoders_have_one_size() {
        let model = find_model("micro").unwrap().config();
        let fcmae = FcmaeConfig::new(model.clone());
        let autoencoder = WeightKind::Fcmae { fcmae, objective: FcmaeObjective::default() };
        let check = |kind: &WeightKind, pad| {
            let geometry = Geometry::None { pad };
            let preprocessing = Preprocessing { geometry, ..Preprocessing::for_size(32, 3) };
            let classes = ClassNames::default();
            WeightMetadata { kind: kind.clone(), preprocessing, classes, recipe: String::new() }.validate()
        };
        let classifier = WeightKind::Classifier { model };
        assert_eq!(check(&classifier, 32), Ok(()));
        assert!(check(&classifier, 31).unwrap_err().to_string().contains("31x31 is too small"));
        assert!(matches!(check(&autoencoder, 32), Err(ConfigError::NoImageSize { .. })));
    }

    #[test]
    fn unknown_classes_are_numbered() {
        assert_eq!(ClassNames::default().name(12), "class_12");
    }
}
