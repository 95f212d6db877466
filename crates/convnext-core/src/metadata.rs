//! Metadata stored beside the tensors of a weight file.

use serde::{Deserialize, Serialize};

use crate::class_names::ClassNames;
use crate::classification_task::ClassificationTask;
use crate::config::ModelConfig;
use crate::detection_task::DetectionTask;
use crate::error::ConfigError;
use crate::fcmae_config::{FcmaeConfig, FcmaeObjective};
use crate::fcmae_task::FcmaeTask;
use crate::image_size::ImageSize;
use crate::preprocessing::Preprocessing;
use crate::segmentation_task::SegmentationTask;
use crate::stored_metadata::StoredMetadata;
use crate::tagged::{Kind, Tagged};
use crate::task_metadata::{TaskKind, TaskMetadata};
use crate::tensors::TensorShape;

/// The tasks whose networks are this crate's own.
pub const CORE_TASKS: [TaskKind; 4] = [
    TaskKind::of::<ClassificationTask>(),
    TaskKind::of::<FcmaeTask>(),
    TaskKind::of::<SegmentationTask>(),
    TaskKind::of::<DetectionTask>(),
];

/// Everything that one needs to use a weight file, apart from the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredMetadata")]
pub struct WeightMetadata {
    /// The network that looks at images; [`WeightMetadata::convnext`] where it is one of ours.
    pub backbone: Tagged,
    /// The head and its task, such as a [`ClassificationTask`]; the crate of another task brings its own.
    pub task: Tagged,
    /// Evaluation transform of the images.
    pub preprocessing: Preprocessing,
    /// The recipe of the training, as TOML; empty where it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recipe: String,
}

impl TryFrom<StoredMetadata> for WeightMetadata {
    type Error = ConfigError;

    fn try_from(stored: StoredMetadata) -> Result<Self, ConfigError> {
        let (backbone, task, preprocessing, recipe) = stored.into_parts()?;
        Ok(Self { backbone, task, preprocessing, recipe })
    }
}

impl WeightMetadata {
    /// The metadata of a ConvNeXt of any task, without a recipe.
    pub fn new<T: Kind + TaskMetadata>(
        backbone: &ModelConfig,
        task: &T,
        preprocessing: Preprocessing,
    ) -> Self {
        let (backbone, task) = (Tagged::new(backbone), Tagged::new(task));
        Self { backbone, task, preprocessing, recipe: String::new() }
    }

    /// The metadata of a classifier, or without classes of an encoder alone.
    pub fn of_classifier(model: &ModelConfig, classes: ClassNames, preprocessing: Preprocessing) -> Self {
        Self::new(model, &ClassificationTask { classes }, preprocessing)
    }

    /// The metadata of a masked autoencoder.
    pub fn of_fcmae(config: &FcmaeConfig, objective: FcmaeObjective, preprocessing: Preprocessing) -> Self {
        Self::new(&config.encoder, &FcmaeTask::new(config, objective), preprocessing)
    }

    /// The same with the recipe that the weights were trained by.
    #[must_use]
    pub fn with_recipe(self, recipe: String) -> Self {
        Self { recipe, ..self }
    }

    /// The configuration of the backbone.
    ///
    /// # Errors
    /// [`ConfigError::OtherKind`] for a backbone that is no ConvNeXt, and what [`Tagged::read`] and
    /// [`ModelConfig::validate`] report.
    pub fn convnext(&self) -> Result<ModelConfig, ConfigError> {
        let model: ModelConfig = self.backbone.read()?;
        model.validate().map(|()| model)
    }

    /// The task, checked against backbone and preprocessing.
    ///
    /// # Errors
    /// [`ConfigError::OtherKind`] for another task, and what [`Tagged::read`] and [`TaskMetadata::validate`] report.
    pub fn task_as<T: Kind + TaskMetadata>(&self) -> Result<T, ConfigError> {
        let task: T = self.task.read()?;
        self.check_task(&task)?;
        Ok(task)
    }

    /// The task, checked in the same way, if it is one of these kinds.
    ///
    /// # Errors
    /// Those of [`WeightMetadata::task_as`].
    pub fn task_of(&self, kinds: &[TaskKind]) -> Result<Box<dyn TaskMetadata>, ConfigError> {
        let task = TaskKind::read(kinds, &self.task)?;
        self.check_task(task.as_ref())?;
        Ok(task)
    }

    fn check_task(&self, task: &dyn TaskMetadata) -> Result<(), ConfigError> {
        let backbone = self.convnext()?;
        // Images of sizes of their own are measured when they come.
        if let Some(ImageSize { height, width }) = self.preprocessing.image_size() {
            backbone.stage_sizes(height, width)?;
        }
        task.validate(&backbone, &self.preprocessing)
    }

    /// Name and shape of every tensor, if the task is one of these kinds.
    ///
    /// # Errors
    /// Those of [`WeightMetadata::task_as`].
    pub fn tensors(&self, kinds: &[TaskKind]) -> Result<Vec<TensorShape>, ConfigError> {
        Ok(self.task_of(kinds)?.tensors(&self.convnext()?))
    }

    /// Number of classes of the head; 0 without one.
    pub fn class_count(&self) -> usize {
        self.backbone.read::<ModelConfig>().map_or(0, |model| model.classes)
    }

    /// The same classifier, segmentation network or detector with other names for its classes; an autoencoder has none.
    #[must_use]
    pub fn with_class_names(self, classes: ClassNames) -> Self {
        let task = if self.task.is::<ClassificationTask>() {
            Tagged::new(&ClassificationTask { classes })
        } else if let Ok(task) = self.task.read::<SegmentationTask>() {
            Tagged::new(&SegmentationTask { classes, ..task })
        } else if let Ok(task) = self.task.read::<DetectionTask>() {
            Tagged::new(&DetectionTask { classes, ..task })
        } else {
            return self;
        };
        Self { task, ..self }
    }

    /// The names of the classes of a classifier, a segmentation network or a detector; empty for other tasks, and where
    /// none is known.
    pub fn class_names(&self) -> ClassNames {
        let task = TaskKind::read(&CORE_TASKS, &self.task);
        task.map(|task| task.class_names()).unwrap_or_default()
    }

    /// Checks every value against its range and the parts against each other. Whoever reads metadata
    /// from a file calls this before building anything. Of a task that this crate does not know, whoever knows it checks
    /// the values by [`WeightMetadata::task_as`].
    ///
    /// # Errors
    /// [`ConfigError`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.preprocessing.validate()?;
        if !self.backbone.is::<ModelConfig>() {
            return Ok(());
        }
        let inputs = self.convnext()?.input_channels;
        let channels = self.preprocessing.channels();
        if channels != inputs {
            return Err(ConfigError::OutOfRange {
                what: "number of means",
                found: format!("{channels} for {inputs} input channels"),
                expected: "one for each channel",
            });
        }
        let is_known = CORE_TASKS.iter().any(|task| task.name() == self.task.kind());
        if is_known { self.task_of(&CORE_TASKS).map(drop) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry;
    use crate::sizes::find_model;

    fn micro() -> ModelConfig {
        ModelConfig { classes: 2, ..find_model("micro").unwrap().config() }
    }

    #[test]
    fn metadata_survives_json() {
        let preprocessing = || Preprocessing::for_size(32, 3);
        let classes = ClassNames(vec!["cat".into(), "dog".into()]);
        let fcmae = FcmaeConfig::new(micro());
        let recipe = "[training]\nepochs = 1\n";
        for metadata in [
            WeightMetadata::of_classifier(&micro(), classes, preprocessing()),
            WeightMetadata::of_fcmae(&fcmae, FcmaeObjective::default(), preprocessing()),
        ] {
            let metadata = metadata.with_recipe(recipe.into());
            let text = serde_json::to_string(&metadata).unwrap();
            assert_eq!(serde_json::from_str::<WeightMetadata>(&text).unwrap(), metadata);
            assert_eq!(metadata.validate(), Ok(()));
        }
    }

    #[test]
    fn the_classes_of_classifiers_segmentation_networks_and_detectors_have_names() {
        let head = crate::upernet::UperNetConfig::of_backbone(&micro());
        let segmentation = SegmentationTask {
            classes: ClassNames::default(),
            numbers: vec![vec![7], vec![0]],
            palette: vec![[1, 2, 3]; 2],
            head,
        };
        let names = ClassNames(vec!["cat".into(), "dog".into()]);
        let preprocessing = || Preprocessing::for_size(32, 3);
        let renamed =
            WeightMetadata::new(&micro(), &segmentation, preprocessing()).with_class_names(names.clone());
        let expected = SegmentationTask { classes: names.clone(), ..segmentation };
        assert_eq!((renamed.class_names(), renamed.task_as()), (names.clone(), Ok(expected)));
        let head = crate::mask_rcnn::MaskRcnnConfig::of_backbone(&micro());
        let detection = DetectionTask { classes: ClassNames::default(), head };
        let renamed =
            WeightMetadata::new(&micro(), &detection, preprocessing()).with_class_names(names.clone());
        let expected = DetectionTask { classes: names.clone(), head };
        assert_eq!((renamed.class_names(), renamed.task_as()), (names.clone(), Ok(expected)));
        let classifier = WeightMetadata::of_classifier(&micro(), ClassNames::default(), preprocessing());
        assert_eq!(classifier.with_class_names(names.clone()).class_names(), names);
        let fcmae = FcmaeConfig::new(micro());
        let autoencoder = WeightMetadata::of_fcmae(&fcmae, FcmaeObjective::default(), preprocessing());
        assert_eq!(autoencoder.clone().with_class_names(names), autoencoder);
    }

    #[test]
    fn values_of_other_crates_pass_and_broken_ones_of_this_one_do_not() {
        let classifier =
            WeightMetadata::of_classifier(&micro(), ClassNames::default(), Preprocessing::for_size(32, 3));
        let text = serde_json::to_string(&classifier).unwrap();
        let of_text = |text: &str| serde_json::from_str::<WeightMetadata>(text);
        let depth =
            text.replace(r#"{"kind":"classification","classes":[]}"#, r#"{"kind":"depth","bins":64}"#);
        let found = of_text(&depth).unwrap();
        assert_eq!((found.validate(), serde_json::to_string(&found).unwrap()), (Ok(()), depth));
        let message = found.task_as::<ClassificationTask>().unwrap_err().to_string();
        assert_eq!(message, "the task is 'depth', but 'classification' is needed");
        let vit = of_text(&text.replace(r#""kind":"convnext""#, r#""kind":"vit""#)).unwrap();
        assert_eq!(vit.validate(), Ok(()));
        assert!(vit.convnext().unwrap_err().to_string().contains("'vit', but 'convnext'"));
        let unknown = of_text(&text.replace(r#""classes":[]}"#, r#""classes":[],"more":1}"#)).unwrap();
        assert!(unknown.validate().unwrap_err().to_string().contains("`more`"));
        assert!(of_text(&text.replacen('{', r#"{"more":1,"#, 1)).is_err());
    }

    #[test]
    fn each_channel_needs_its_statistics() {
        let model = ModelConfig { input_channels: 5, ..micro() };
        let check = |channels| {
            let preprocessing = Preprocessing::for_size(32, channels);
            WeightMetadata::of_classifier(&model, ClassNames::default(), preprocessing).validate()
        };
        assert_eq!(check(5), Ok(()));
        let message = check(3).unwrap_err().to_string();
        assert!(message.contains("3 for 5 input channels"), "{message}");
    }

    #[test]
    fn images_may_have_sizes_of_their_own_but_for_autoencoders() {
        let padded = |pad| {
            let geometry = Geometry::None { pad };
            Preprocessing { geometry, ..Preprocessing::for_size(32, 3) }
        };
        let classifier =
            |pad| WeightMetadata::of_classifier(&micro(), ClassNames::default(), padded(pad)).validate();
        assert_eq!((classifier(32), classifier(1)), (Ok(()), Ok(())));
        let config = FcmaeConfig::new(micro());
        let autoencoder = WeightMetadata::of_fcmae(&config, FcmaeObjective::default(), padded(32));
        assert!(matches!(autoencoder.validate(), Err(ConfigError::NoImageSize { .. })));
    }
}
