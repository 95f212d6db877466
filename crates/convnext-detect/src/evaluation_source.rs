//! Source of images with their objects, as they are measured on: whole and unchanged.

use convnext_core::Preprocessing;
use convnext_data::{
    Batch, BatchContext, DataError, Dataset, Decoding, DetectionSet, Image, ImageReader, SampleContext,
    Source,
};
use convnext_train::{EvalLoaderConfig, SharedLoader, TrainError};

/// Images one at a time, decoded and not yet resized: inference does that.
#[derive(Debug, Clone)]
pub struct DetectionEvaluationSource {
    set: DetectionSet,
    decoding: Decoding,
    preprocessing: Preprocessing,
}

/// One image; none where it could not be read.
#[derive(Debug)]
pub struct WholeImage {
    /// Index in the data set, and image.
    pub(crate) sample: Option<(usize, Image)>,
}

impl Batch for WholeImage {
    fn len(&self) -> usize {
        usize::from(self.sample.is_some())
    }
}

impl DetectionEvaluationSource {
    /// A loader of the images of a set, in their order, for a network with this preprocessing, whose classes the set has.
    ///
    /// # Errors
    /// [`TrainError::Data`] when there are none, or the preprocessing leaves parts of an image out.
    pub fn loader(
        set: DetectionSet,
        preprocessing: Preprocessing,
        reading: &EvalLoaderConfig,
    ) -> Result<SharedLoader<Self>, TrainError> {
        let config = reading.of_whole_images(&preprocessing)?;
        let decoding = Decoding::of(&preprocessing, set.orientation());
        let source = Self { set, decoding, preprocessing };
        Ok(SharedLoader::new(source, config, reading.ranks.clone())?)
    }

    /// The images and their objects.
    pub fn set(&self) -> &DetectionSet {
        &self.set
    }

    /// What the network wants of an image.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }
}

impl Source for DetectionEvaluationSource {
    type Draw = ();
    type Sample = Image;
    type Batch = WholeImage;

    fn dataset(&self) -> &Dataset {
        self.set.images()
    }

    fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    fn largest_batch(&self) -> Option<usize> {
        Some(1)
    }

    fn draw(&self, _place: BatchContext) {}

    fn load(&self, visit: SampleContext, (): &(), _reader: &ImageReader) -> Result<Image, DataError> {
        self.set.cut(visit.sample, self.set.images().image(visit.sample, &self.decoding)?)
    }

    fn collate(&self, _place: BatchContext, (): (), samples: Vec<(usize, Image)>) -> WholeImage {
        WholeImage { sample: samples.into_iter().next() }
    }
}
