//! From a weight file to the classes of an image's pixels.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use convnext_core::{ClassNames, ConfigError, ImageSize, Preprocessing, ResizeRule, SegmentationTask};
use convnext_data::{Image, LabelMap, class_colours};
use convnext_nn::Precision;
use convnext_segment::{InferenceOptions, UperNet, inference_of, load_segmentation, overlay, segment};
use convnext_train::TrainError;
use serde::Serialize;

use crate::classifier::open_image;

/// A segmentation network with its preprocessing and the names and colours of its classes, ready for images.
///
/// ```
/// use convnext::Segmenter;
/// use convnext::data::Image;
/// # use convnext::core::{ClassNames, ModelConfig, Seed, SegmentationTask, UperNetConfig, WeightMetadata, find_model};
/// # use convnext::core::ResizeRule;
/// # use convnext::segment::UperNet;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("weights.safetensors");
/// # let model = ModelConfig { classes: 2, ..find_model("micro").unwrap().config() };
/// # let head = UperNetConfig { head_width: 8, auxiliary_width: None };
/// # let classes = ClassNames(vec!["sky".into(), "road".into()]);
/// # let task = SegmentationTask { classes, numbers: Vec::new(), palette: Vec::new(), head };
/// # let preprocessing = convnext::core::Preprocessing::for_size(64, 3);
/// # let metadata = WeightMetadata::new(&model, &task, preprocessing);
/// # let network = UperNet::new(&model, &head, Seed(0), &burn::tensor::Device::flex())?;
/// # convnext::train::save_weights(&path, &network, &metadata)?;
///
/// // Images of their own size; without this, of the size that the weights say.
/// let segmenter = Segmenter::load(&path)?.with_resize(ResizeRule::None)?;
/// let image = Image::new(96, 48, 3, vec![128; 96 * 48 * 3])?;
/// let segmentation = segmenter.segment(&image)?;
/// assert_eq!((segmentation.labels.width, segmentation.labels.height), (96, 48));
/// for area in &segmentation.areas {
///     println!("{}: {} pixels", area.label, area.pixels);
/// }
/// # let overlay = segmenter.overlay(&image, &segmentation)?;
/// # assert_eq!((overlay.width(), overlay.height()), (96, 48));
/// # let other = Image::new(97, 48, 3, vec![128; 97 * 48 * 3])?;
/// # assert!(segmenter.overlay(&other, &segmentation).unwrap_err().to_string().contains("48x96"));
/// # for rule in [ResizeRule::Short(0), ResizeRule::Fit { long: 1 << 40, short: 64 }] {
/// #     assert!(Segmenter::load(&path)?.with_resize(rule).is_err());
/// # }
/// # assert_eq!(segmentation.areas.iter().map(|area| area.pixels).sum::<usize>(), 96 * 48);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Segmenter {
    model: UperNet,
    preprocessing: Preprocessing,
    classes: ClassNames,
    palette: Vec<[u8; 3]>,
    options: InferenceOptions,
    device: Device,
}

/// The classes of an image's pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// The index of the class of each pixel, at the size of the image.
    pub labels: LabelMap,
    /// The classes that occur, the largest first.
    pub areas: Vec<ClassArea>,
}

/// Pixels of one class in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassArea {
    /// Name of the class.
    pub label: String,
    /// Index of the class among the logits.
    pub index: usize,
    /// Red, green and blue with which the class is shown.
    pub colour: [u8; 3],
    /// Number of its pixels, at least 1.
    pub pixels: usize,
}

impl Segmenter {
    /// Reads a segmentation network of any origin that [`convnext_io::read_weights`] knows, to compute on the CPU: of this
    /// program, of transformers or of mmsegmentation.
    ///
    /// # Errors
    /// [`TrainError`] when the file cannot be read, holds no segmentation network, or does not fit itself.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        Self::load_on(path.as_ref(), &Device::flex())
    }

    /// [`Self::load`], to compute on any device, such as [`convnext_nn::DeviceName::open`] gives.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_on(path: &Path, device: &Device) -> Result<Self, TrainError> {
        let (model, metadata) = load_segmentation(path, device)?;
        let SegmentationTask { classes, palette, .. } = metadata.task_as()?;
        let palette = class_colours(&palette, model.config().classes);
        let (options, preprocessing) = (inference_of(&metadata), metadata.preprocessing);
        Ok(Self { model, preprocessing, classes, palette, options, device: device.clone() })
    }

    /// Sets the precision in which linear layers and convolutions multiply on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { model: self.model.with_precision(precision), ..self }
    }

    /// Sets windows, scales and mirror images, one look at the whole image otherwise.
    ///
    /// # Errors
    /// [`TrainError::Config`] for an option out of its range, or windows smaller than the network takes.
    pub fn with_options(self, options: InferenceOptions) -> Result<Self, TrainError> {
        options.validate_for(self.model.config())?;
        Ok(Self { options, ..self })
    }

    /// Sets the size that images are given for the network, in place of that of the weights.
    ///
    /// # Errors
    /// [`TrainError::Config`] for sides out of their range.
    pub fn with_resize(self, rule: ResizeRule) -> Result<Self, TrainError> {
        rule.validate()?;
        Ok(Self { preprocessing: self.preprocessing.resized_by(rule, 1), ..self })
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
    pub fn model(&self) -> &UperNet {
        &self.model
    }

    /// The device on which it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Windows, scales and mirror images: those of the weights, unless others were set.
    pub fn options(&self) -> &InferenceOptions {
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

    /// Red, green and blue of each class: those of the weights, or Pascal VOC's where they state none.
    pub fn palette(&self) -> &[[u8; 3]] {
        &self.palette
    }

    /// Reads an image with the channels that the network takes, turned as its camera says.
    ///
    /// # Errors
    /// [`TrainError::Data`] when the file cannot be read or decoded.
    pub fn open(&self, path: impl Into<PathBuf>) -> Result<Image, TrainError> {
        open_image(path.into(), &self.preprocessing)
    }

    /// The class of every pixel of an image, at its own size.
    ///
    /// # Errors
    /// [`TrainError::Model`] when the image has other channels than the network takes, or is too small for it,
    /// [`TrainError::Config`] for weights whose preprocessing leaves parts of an image out, [`TrainError::NotFinite`] when
    /// they are damaged.
    pub fn segment(&self, image: &Image) -> Result<Segmentation, TrainError> {
        let labels = segment((&self.model, &self.device), image, &self.preprocessing, &self.options)?;
        let areas = self.areas(&labels);
        Ok(Segmentation { labels, areas })
    }

    /// The image, half of each pixel, and the colour of its class, the other half.
    ///
    /// # Errors
    /// [`TrainError::Config`] for the segmentation of an image of another size.
    pub fn overlay(&self, image: &Image, segmentation: &Segmentation) -> Result<Image, TrainError> {
        let LabelMap { width, height, .. } = segmentation.labels;
        let size = ImageSize { height, width };
        if size != image.size() {
            let (what, expected) = ("size of the segmentation", "that of the image");
            return Err(ConfigError::OutOfRange { what, found: size.to_string(), expected }.into());
        }
        Ok(overlay(image, &segmentation.labels, &self.palette))
    }

    fn areas(&self, labels: &LabelMap) -> Vec<ClassArea> {
        let mut counts = vec![0; self.palette.len()];
        for &label in &labels.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        let area = |(index, &pixels): (usize, &usize)| {
            let (label, colour) = (self.classes.name(index), self.palette[index]);
            (pixels > 0).then_some(ClassArea { label, index, colour, pixels })
        };
        let mut areas: Vec<ClassArea> = counts.iter().enumerate().filter_map(area).collect();
        areas.sort_by_key(|area| (std::cmp::Reverse(area.pixels), area.index));
        areas
    }
}
