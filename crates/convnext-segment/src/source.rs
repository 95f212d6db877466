//! Images with label maps: the source of training for segmentation.

use convnext_core::{Preprocessing, Purpose};
use convnext_data::{
    BatchContext, DataError, Dataset, Decoding, ImageReader, LabelledImage, SampleContext, SegmentationSet,
    SegmentationTransform, Source,
};

use crate::batch::SegmentationBatch;

/// One image with its label map at a time, transformed at random to the same size as all others.
#[derive(Debug, Clone)]
pub struct SegmentationSource {
    set: SegmentationSet,
    preprocessing: Preprocessing,
    transform: SegmentationTransform,
    decoding: Decoding,
}

impl SegmentationSource {
    /// Images to train on. Mean, standard deviation, channels and value range are those of `preprocessing`, the
    /// treatment of EXIF is the set's, and everything else is the transform's.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] for a setting that makes no sense.
    pub fn training(
        set: SegmentationSet,
        transform: SegmentationTransform,
        preprocessing: Preprocessing,
    ) -> Result<Self, DataError> {
        preprocessing.validate()?;
        transform.validate()?;
        transform.check_channels(preprocessing.channels())?;
        let decoding = Decoding::of(&preprocessing, set.orientation());
        Ok(Self { set, preprocessing, transform, decoding })
    }
}

impl Source for SegmentationSource {
    type Draw = ();
    type Sample = LabelledImage;
    type Batch = SegmentationBatch;

    fn dataset(&self) -> &Dataset {
        self.set.images()
    }

    fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    fn draw(&self, _place: BatchContext) {}

    fn load(&self, visit: SampleContext, (): &(), reader: &ImageReader) -> Result<LabelledImage, DataError> {
        let image = reader.image(visit.sample)?;
        let labels = self.set.label_map_of(visit.sample, image.size())?;
        let mut rng = visit.stream(Purpose::Augmentation);
        Ok(self.transform.apply(&image, labels, &self.preprocessing, &mut rng))
    }

    fn collate(
        &self,
        place: BatchContext,
        (): (),
        samples: Vec<(usize, LabelledImage)>,
    ) -> SegmentationBatch {
        let size = self.transform.crop_size;
        let mut batch = SegmentationBatch {
            images: Vec::with_capacity(samples.len() * self.preprocessing.channels() * size.pixels()),
            channels: self.preprocessing.channels(),
            height: size.height,
            width: size.width,
            labels: Vec::with_capacity(samples.len() * size.pixels()),
            samples: Vec::with_capacity(samples.len()),
            epoch: place.epoch,
        };
        for (sample, image) in samples {
            batch.images.extend(image.values);
            batch.labels.extend(image.labels.labels);
            batch.samples.push(sample);
        }
        batch
    }
}
