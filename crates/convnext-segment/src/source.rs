//! Images with label maps: the source of training for segmentation.

use convnext_core::{ImageSize, Preprocessing, Purpose};
use convnext_data::{
    BatchContext, DataError, Dataset, Decoding, ImageReader, LabelMap, LabelledImage, MaskError, Orientation,
    SampleContext, SegmentationSet, SegmentationTransform, Source,
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
    /// Images to train on. Mean, standard deviation, channels and value range are those of `preprocessing`, everything
    /// else is the transform's; `orientation` says what to do with what a camera wrote into a file.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] for a setting that makes no sense.
    pub fn training(
        set: SegmentationSet,
        transform: SegmentationTransform,
        preprocessing: Preprocessing,
        orientation: Orientation,
    ) -> Result<Self, DataError> {
        preprocessing.validate()?;
        transform.validate(preprocessing.channels())?;
        let decoding = Decoding::of(&preprocessing, orientation);
        Ok(Self { set, preprocessing, transform, decoding })
    }
}

/// The label map of a sample whose image has this size.
///
/// # Errors
/// Those of reading the mask, and [`MaskError::Size`] when its size is another.
pub(crate) fn labels_of(
    set: &SegmentationSet,
    sample: usize,
    expected: ImageSize,
) -> Result<LabelMap, DataError> {
    let labels = set.label_map(sample)?;
    if labels.size() == expected {
        return Ok(labels);
    }
    let (name, image) = (set.mask_name(sample), set.images().name(sample));
    let (found, turned) = (labels.size(), labels.width == expected.height);
    Err(MaskError::Size { name, found, image, expected, turned }.into())
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
        let labels = labels_of(&self.set, visit.sample, image.size())?;
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
