//! From a weight file to the objects in an image.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use convnext_core::{ClassNames, DetectionTask, Preprocessing, ResizeRule};
use convnext_data::{Image, class_colours};
use convnext_detect::{
    DetectOptions, Detection, DrawnObject, MaskRcnn, SIDE_MULTIPLE, detect, detect_options_of,
    detection_overlay, load_detector,
};
use convnext_nn::Precision;
use convnext_train::TrainError;

use crate::classifier::open_image;

/// A detector with its preprocessing and the names of its classes, ready for images.
///
/// ```
/// use convnext::Detector;
/// use convnext::core::ResizeRule;
/// use convnext::data::Image;
/// use convnext::detect::DetectOptions;
/// # use convnext::core::{ClassNames, DetectionTask, MaskRcnnConfig, ModelConfig, Seed, WeightMetadata, find_model};
/// # use convnext::detect::MaskRcnn;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("weights.safetensors");
/// # let model = ModelConfig { classes: 1, ..find_model("micro").unwrap().config() };
/// # let head = MaskRcnnConfig { head_width: 8, box_width: 16, ..MaskRcnnConfig::PAPER };
/// # let task = DetectionTask { classes: ClassNames(vec!["cell".into()]), head };
/// # let metadata = WeightMetadata::new(&model, &task, convnext::core::Preprocessing::for_size(64, 3));
/// # let network = MaskRcnn::new(&model, &head, Seed(0), &burn::tensor::Device::flex())?;
/// # convnext::train::save_weights(&path, &network, &metadata)?;
///
/// // Images of their own size; without this, of the size that the weights say.
/// let detector = Detector::load(&path)?.with_resize(ResizeRule::None)?;
/// let detector = detector.with_options(DetectOptions { score: 0.1, at_most: 5, ..DetectOptions::default() })?;
/// let image = Image::new(96, 48, 3, vec![128; 96 * 48 * 3])?;
/// for found in detector.detect(&image)? {
///     println!("{}: {:.2} at {:?}", detector.class_name(found.class), found.score, found.bounds.corner_and_size());
/// #   assert!(found.mask.is_some() && found.bounds.right <= 96.0);
/// }
/// # assert!(detector.detect(&image)?.len() <= 5);
/// # let found = detector.detect(&image)?;
/// # assert_eq!(detector.overlay(&image, &found).size(), image.size());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Detector {
    model: MaskRcnn,
    preprocessing: Preprocessing,
    classes: ClassNames,
    options: DetectOptions,
    device: Device,
}

impl Detector {
    /// Reads a detector, to compute on the CPU.
    ///
    /// # Errors
    /// [`TrainError`] when the file cannot be read, holds no detector, or does not fit itself.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        Self::load_on(path.as_ref(), &Device::flex())
    }

    /// [`Self::load`], to compute on any device, such as [`convnext_nn::DeviceName::open`] gives.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_on(path: &Path, device: &Device) -> Result<Self, TrainError> {
        let (model, metadata) = load_detector(path, device)?;
        let DetectionTask { classes, .. } = metadata.task_as()?;
        let (options, preprocessing) = (detect_options_of(&metadata), metadata.preprocessing);
        Ok(Self { model, preprocessing, classes, options, device: device.clone() })
    }

    /// Sets the precision in which linear layers and convolutions multiply on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { model: self.model.with_precision(precision), ..self }
    }

    /// Sets how objects are looked for.
    ///
    /// # Errors
    /// [`TrainError::Config`] for an option out of its range.
    pub fn with_options(self, options: DetectOptions) -> Result<Self, TrainError> {
        options.validate()?;
        Ok(Self { options, ..self })
    }

    /// Sets the size that images are given for the network, in place of that of the weights.
    ///
    /// # Errors
    /// [`TrainError::Config`] for sides out of their range.
    pub fn with_resize(self, rule: ResizeRule) -> Result<Self, TrainError> {
        rule.validate()?;
        Ok(Self { preprocessing: self.preprocessing.resized_by(rule, SIDE_MULTIPLE), ..self })
    }

    /// Replaces the class names, given in the order of the logits.
    ///
    /// # Errors
    /// [`TrainError::Config`] for another number of names than it has classes.
    pub fn with_classes(self, classes: ClassNames) -> Result<Self, TrainError> {
        classes.check_each(self.model.config().classes)?;
        Ok(Self { classes, ..self })
    }

    /// The network.
    pub fn model(&self) -> &MaskRcnn {
        &self.model
    }

    /// How objects are looked for: as the weights say, unless something else was set.
    pub fn options(&self) -> &DetectOptions {
        &self.options
    }

    /// Preprocessing of the images.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The class names in the order of the logits; empty where none is known.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// The name of a class, or its number where none is known.
    pub fn class_name(&self, class: usize) -> String {
        self.classes.name(class)
    }

    /// Reads an image with the channels that the network takes, turned as its camera says.
    ///
    /// # Errors
    /// [`TrainError::Data`] when the file cannot be read or decoded.
    pub fn open(&self, path: impl Into<PathBuf>) -> Result<Image, TrainError> {
        open_image(path.into(), &self.preprocessing)
    }

    /// The objects in an image by descending score, in its own pixels.
    ///
    /// # Errors
    /// [`TrainError::Model`] when the image has other channels than the network takes, or is too small for it,
    /// [`TrainError::NotFinite`] when its weights are damaged.
    pub fn detect(&self, image: &Image) -> Result<Vec<Detection>, TrainError> {
        detect((&self.model, &self.device), image, &self.preprocessing, &self.options)
    }

    /// The image with boxes and masks of objects on it, in the colours of their classes; with one class each in its own.
    ///
    /// # Panics
    /// For objects whose masks are of an image of another size.
    pub fn overlay(&self, image: &Image, found: &[Detection]) -> Image {
        let colours = class_colours(&[], self.model.config().classes);
        detection_overlay(image, &DrawnObject::of_detections(found, &colours))
    }
}
