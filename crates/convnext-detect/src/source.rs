//! Images with their objects: the source of training for detection.

use std::sync::Arc;

use convnext_core::{ImageSize, Preprocessing, Purpose};
use convnext_data::{
    BatchContext, DataError, Dataset, Decoding, DetectionSet, DetectionTransform, ImageReader, Instance,
    Orientation, SampleContext, Source, normalize,
};

use crate::batch::DetectionBatch;
use crate::padding::{padded, stacked};

/// One image with its objects at a time, transformed at random.
#[derive(Debug, Clone)]
pub struct DetectionSource {
    set: DetectionSet,
    preprocessing: Preprocessing,
    transform: DetectionTransform,
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
    /// else is the transform's; `orientation` says what to do with what a camera wrote into a file.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] for a setting that makes no sense.
    pub fn training(
        set: DetectionSet,
        transform: DetectionTransform,
        preprocessing: Preprocessing,
        orientation: Orientation,
    ) -> Result<Self, DataError> {
        preprocessing.validate()?;
        transform.validate()?;
        let decoding = Decoding::of(&preprocessing, orientation);
        Ok(Self { set, preprocessing, transform, decoding })
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
        let image = self.set.cut(visit.sample, Arc::unwrap_or_clone(reader.image(visit.sample)?));
        let instances = self.set.instances(visit.sample);
        let mut rng = visit.stream(Purpose::Augmentation);
        let annotated = self.transform.apply(&image, instances, &mut rng);
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
