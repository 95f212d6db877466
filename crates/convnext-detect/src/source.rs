//! Images with their objects: the source of training for detection.

use std::sync::Arc;

use convnext_core::{ImageSize, Preprocessing, Purpose};
use convnext_data::{
    AnnotatedImage, BatchContext, CopyPaste, DataError, Dataset, Decoding, DetectionSet, DetectionTransform,
    Image, ImageReader, Instance, SampleContext, Source, copy_paste, normalize,
};

use crate::batch::DetectionBatch;
use crate::padding::{padded, stacked};

/// One image with its objects at a time, transformed at random.
#[derive(Debug, Clone)]
pub struct DetectionSource {
    set: DetectionSet,
    preprocessing: Preprocessing,
    transform: DetectionTransform,
    copy_paste: CopyPaste,
    decoding: Decoding,
}

/// An image of a batch.
#[derive(Debug)]
pub struct PreparedObjects {
    /// Shape `[channels, height, width]`, normalised.
    values: Vec<f32>,
    size: ImageSize,
    instances: Vec<Instance>,
}

impl DetectionSource {
    /// Images to train on. Mean, standard deviation, channels and value range are those of `preprocessing`, everything
    /// else is the transform's. Images are turned as the camera says where their annotations are about that.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] for a setting that makes no sense.
    pub fn training(
        set: DetectionSet,
        (transform, copy_paste): (DetectionTransform, CopyPaste),
        preprocessing: Preprocessing,
    ) -> Result<Self, DataError> {
        preprocessing.validate()?;
        transform.validate()?;
        copy_paste.validate()?;
        let decoding = Decoding::of(&preprocessing, set.orientation());
        Ok(Self { set, preprocessing, transform, copy_paste, decoding })
    }

    /// An image of the set with its objects, transformed.
    fn transformed(
        &self,
        sample: usize,
        image: Image,
        rng: &mut impl rand::Rng,
    ) -> Result<AnnotatedImage, DataError> {
        let image = self.set.cut(sample, image)?;
        Ok(self.transform.apply(&image, self.set.instances(sample), rng))
    }
}

impl Source for DetectionSource {
    type Draw = ();
    type Sample = PreparedObjects;
    type Batch = DetectionBatch;

    fn dataset(&self) -> &Dataset {
        self.set.images()
    }

    fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    fn draw(&self, _place: BatchContext) {}

    fn load(
        &self,
        visit: SampleContext,
        (): &(),
        reader: &ImageReader,
    ) -> Result<PreparedObjects, DataError> {
        let image = Arc::unwrap_or_clone(reader.image(visit.sample)?);
        let mut rng = visit.stream(Purpose::Augmentation);
        let other = self.copy_paste.draw(self.set.len(), &mut rng);
        let mut annotated = self.transformed(visit.sample, image, &mut rng)?;
        // Another image that cannot be used is reported at its own turn, and is no fault of this one.
        let from = other.and_then(|other| {
            let image = Arc::unwrap_or_clone(reader.image(other).ok()?);
            self.transformed(other, image, &mut rng).ok()
        });
        if let Some(from) = from {
            annotated = copy_paste(annotated, &from, &mut rng);
        }
        let Preprocessing { mean, std, .. } = &self.preprocessing;
        let values = normalize(&annotated.image, mean, std);
        Ok(PreparedObjects { values, size: annotated.image.size(), instances: annotated.instances })
    }

    fn collate(&self, place: BatchContext, (): (), samples: Vec<(usize, PreparedObjects)>) -> DetectionBatch {
        let channels = self.preprocessing.channels();
        let largest = |side: fn(&ImageSize) -> usize| {
            samples.iter().map(|(_, sample)| side(&sample.size)).max().unwrap_or_default()
        };
        let size =
            padded(ImageSize { height: largest(|size| size.height), width: largest(|size| size.width) });
        let images = samples.iter().map(|(_, sample)| (&*sample.values, sample.size));
        DetectionBatch {
            images: stacked(images, channels, size),
            channels,
            size,
            sizes: samples.iter().map(|(_, sample)| sample.size).collect(),
            samples: samples.iter().map(|(index, _)| *index).collect(),
            instances: samples.into_iter().map(|(_, sample)| sample.instances).collect(),
            epoch: place.epoch,
        }
    }
}
