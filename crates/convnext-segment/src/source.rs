//! Images with label maps: the source of segmentation.

use convnext_core::{Geometry, ImageSize, Preprocessing, Purpose};
use convnext_data::{
    BatchContext, DataError, Dataset, Decoding, Image, ImageReader, LabelMap, LabelledImage, MaskError,
    Orientation, SampleContext, SegmentationSet, SegmentationTransform, Source, prepare_for_evaluation,
};

use crate::batch::SegmentationBatch;

/// One image with its label map at a time.
///
/// In training all images have one size and are stacked. In evaluation each has a size of its own, and its label map the
/// size of the image file, so batches are of one image.
#[derive(Debug, Clone)]
pub struct SegmentationSource {
    set: SegmentationSet,
    preprocessing: Preprocessing,
    transform: Option<SegmentationTransform>,
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
        Ok(Self { set, preprocessing, transform: Some(transform), decoding })
    }

    /// Images to measure on, as `preprocessing` resizes them; label maps keep the size of the image file.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] for a setting that makes no sense, such as a geometry that cuts
    /// a part out, because all labels are compared.
    pub fn evaluation(
        set: SegmentationSet,
        preprocessing: Preprocessing,
        orientation: Orientation,
    ) -> Result<Self, DataError> {
        preprocessing.validate()?;
        if let Geometry::CentreCrop { .. } = preprocessing.geometry {
            let (what, found) = ("geometry of the images", preprocessing.geometry.to_string());
            let expected = "one that keeps the whole image: fit, warp or none".to_owned();
            return Err(DataError::OutOfRange { what, found, expected });
        }
        let decoding = Decoding::of(&preprocessing, orientation);
        Ok(Self { set, preprocessing, transform: None, decoding })
    }

    /// The images and their label maps.
    pub fn set(&self) -> &SegmentationSet {
        &self.set
    }

    /// The image of a sample as it is decoded, and its label map.
    ///
    /// # Errors
    /// Those of reading image and mask, and [`MaskError::Size`] when their sizes differ.
    ///
    /// # Panics
    /// When there is no such sample.
    pub fn seen(&self, sample: usize) -> Result<(Image, LabelMap), DataError> {
        let image = self.set.images().image(sample, &self.decoding)?;
        let labels = self.labels(sample, image.size())?;
        Ok((image, labels))
    }

    /// The label map of a sample whose image has this size.
    fn labels(&self, sample: usize, expected: ImageSize) -> Result<LabelMap, DataError> {
        let labels = self.set.label_map(sample)?;
        if labels.size() == expected {
            return Ok(labels);
        }
        let (name, image) = (self.set.mask_name(sample), self.set.images().name(sample));
        let (found, turned) = (labels.size(), labels.width == expected.height);
        Err(MaskError::Size { name, found, image, expected, turned }.into())
    }

    /// The size of an image after resizing and before padding.
    fn content(&self, image: ImageSize) -> ImageSize {
        match self.preprocessing.geometry {
            Geometry::CentreCrop { size, .. } | Geometry::Warp { size } => size,
            Geometry::Fit(fit) => fit.resized(image),
            Geometry::None { .. } => image,
        }
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

    fn largest_batch(&self) -> Option<usize> {
        self.transform.is_none().then_some(1)
    }

    fn draw(&self, _place: BatchContext) {}

    fn load(&self, visit: SampleContext, (): &(), reader: &ImageReader) -> Result<LabelledImage, DataError> {
        let image = reader.image(visit.sample)?;
        let labels = self.labels(visit.sample, image.size())?;
        Ok(match &self.transform {
            Some(transform) => {
                let mut rng = visit.stream(Purpose::Augmentation);
                transform.apply(&image, labels, &self.preprocessing, &mut rng)
            }
            None => {
                let prepared = prepare_for_evaluation(&image, &self.preprocessing);
                let content = self.content(image.size());
                LabelledImage { values: prepared.values, size: prepared.size, content, labels }
            }
        })
    }

    fn collate(
        &self,
        place: BatchContext,
        (): (),
        samples: Vec<(usize, LabelledImage)>,
    ) -> SegmentationBatch {
        let first = samples.first().map(|(_, image)| (image.size, image.content, image.labels.size()));
        // Of no image the sizes say nothing.
        let one = ImageSize::square(1);
        let (size, content, labels_size) = first.unwrap_or((one, one, one));
        // Of several, the padding of each is in its labels.
        let content = if samples.len() > 1 { size } else { content };
        let mut batch = SegmentationBatch {
            images: Vec::with_capacity(samples.len() * self.preprocessing.channels() * size.pixels()),
            channels: self.preprocessing.channels(),
            height: size.height,
            width: size.width,
            content,
            labels: Vec::with_capacity(samples.len() * labels_size.pixels()),
            labels_size,
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
