//! Images and their classes: the source of FCMAE and classification.

use convnext_core::{ImageSize, Preprocessing, Purpose};

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::loading::image_batch::ImageBatch;
use crate::loading::image_reader::ImageReader;
use crate::loading::mixing::Mixing;
use crate::loading::source::{BatchContext, SampleContext, Source};
use crate::pixels::image::Image;
use crate::pixels::orientation::Orientation;
use crate::reading::decoding::Decoding;
use crate::transforms::evaluation::{PreparedImage, prepare_for_evaluation, resize_for_evaluation};
use crate::transforms::transform::{TrainTransform, validate_preprocessing};

/// Transform of each image.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// Random crops, flips and other changes.
    Train(TrainTransform),
    /// The same part of the image each time.
    Evaluation(Preprocessing),
}

impl Transform {
    /// The size of every image that comes out; `None` where each has a size of its own.
    fn image_size(&self) -> Option<ImageSize> {
        match self {
            Self::Train(train) => Some(train.image_size),
            Self::Evaluation(preprocessing) => preprocessing.image_size(),
        }
    }

    /// Channels of the images.
    pub(crate) fn channels(&self) -> usize {
        match self {
            Self::Train(train) => train.channels(),
            Self::Evaluation(preprocessing) => preprocessing.channels(),
        }
    }

    /// Decoding options.
    fn decoding(&self, orientation: Orientation) -> Decoding {
        match self {
            Self::Train(train) => train.decoding(orientation),
            Self::Evaluation(preprocessing) => Decoding::of(preprocessing, orientation),
        }
    }

    fn validate(&self) -> Result<(), DataError> {
        match self {
            Self::Train(train) => train.validate(),
            Self::Evaluation(preprocessing) => validate_preprocessing(preprocessing),
        }
    }
}

/// One image of a data set at a time, each with its class if it has one.
///
/// Images of one size are stacked into batches. Where evaluation leaves each a size of its own, batches are of one
/// image.
#[derive(Debug, Clone)]
pub struct ImageSource {
    dataset: Dataset,
    transform: Transform,
    decoding: Decoding,
    fast_decode: bool,
    mixing: Option<Mixing>,
}

impl ImageSource {
    /// The images of a data set; `orientation` says what to do with what a camera wrote into a file.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] for a setting of the transform that makes no sense.
    pub fn new(dataset: Dataset, transform: Transform, orientation: Orientation) -> Result<Self, DataError> {
        transform.validate()?;
        let decoding = transform.decoding(orientation);
        Ok(Self { dataset, transform, decoding, fast_decode: false, mixing: None })
    }

    /// The same images, mixed with each other in finished batches.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] as [`Mixing::validate`] says.
    pub fn with_mixing(self, mixing: Option<Mixing>) -> Result<Self, DataError> {
        if let Some(mixing) = mixing {
            mixing.validate()?;
        }
        Ok(Self { mixing, ..self })
    }

    /// Decodes JPEG files at a smaller size where the random crop of training allows it, which changes pixels
    /// by less than 2 levels of 255 on average: [`TrainTransform::apply_to_file`]. Evaluation never does, nor
    /// does a loader that keeps images: what is kept is whole.
    pub fn with_fast_decode(self, fast_decode: bool) -> Self {
        Self { fast_decode, ..self }
    }
}

impl ImageSource {
    /// The image of a sample as evaluation sees it; in training, before anything random happens to it.
    ///
    /// # Errors
    /// Those of [`Dataset::image`].
    ///
    /// # Panics
    /// When there is no such sample.
    pub fn seen(&self, sample: usize) -> Result<Image, DataError> {
        let image = self.dataset.image(sample, &self.decoding)?;
        Ok(match &self.transform {
            Transform::Train(_) => image,
            Transform::Evaluation(preprocessing) => resize_for_evaluation(&image, preprocessing),
        })
    }
}

impl Source for ImageSource {
    type Draw = ();
    type Sample = PreparedImage;
    type Batch = ImageBatch;

    fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    fn draw(&self, _place: BatchContext) {}

    fn largest_batch(&self) -> Option<usize> {
        self.transform.image_size().is_none().then_some(1)
    }

    fn load(&self, visit: SampleContext, (): &(), reader: &ImageReader) -> Result<PreparedImage, DataError> {
        let sample = visit.sample;
        let train = match &self.transform {
            Transform::Train(train) => train,
            Transform::Evaluation(preprocessing) => {
                return Ok(prepare_for_evaluation(&*reader.image(sample)?, preprocessing));
            }
        };
        let mut rng = visit.stream(Purpose::Augmentation);
        if self.fast_decode && !reader.are_kept() {
            let (bytes, name) = (self.dataset.read(sample)?, || self.dataset.name(sample));
            let values = train.apply_to_named(&bytes, &name, &self.decoding, &mut rng)?;
            return Ok(PreparedImage { values, size: train.image_size });
        }
        let values = train.apply(&*reader.image(sample)?, &mut rng);
        Ok(PreparedImage { values, size: train.image_size })
    }

    fn collate(&self, place: BatchContext, (): (), samples: Vec<(usize, PreparedImage)>) -> ImageBatch {
        // Of images of any size a batch has at most one; of none the size says nothing.
        let size = samples.first().map_or(ImageSize::square(1), |(_, image)| image.size);
        let channels = self.transform.channels();
        let mut batch = ImageBatch {
            images: Vec::with_capacity(samples.len() * channels * size.pixels()),
            channels,
            height: size.height,
            width: size.width,
            labels: Vec::with_capacity(samples.len()),
            samples: Vec::with_capacity(samples.len()),
            epoch: place.epoch,
            mix: None,
        };
        for (sample, image) in samples {
            batch.images.extend(image.values);
            batch.labels.push(self.dataset.label(sample));
            batch.samples.push(sample);
        }
        if let Some(mixing) = self.mixing {
            mixing.apply(&mut batch, &mut place.stream(Purpose::Mixing));
        }
        batch
    }
}
