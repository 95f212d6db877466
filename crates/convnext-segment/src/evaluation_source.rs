//! Source of images with their label maps, as they are measured on: whole and unchanged.

use convnext_core::Preprocessing;
use convnext_data::{
    Batch, BatchContext, DataError, Dataset, Decoding, Image, ImageReader, LabelMap, SampleContext,
    SegmentationSet, Source,
};
use convnext_train::{EvalLoaderConfig, SharedLoader, TrainError};

/// Images with their label maps, one at a time, decoded and not yet resized: inference does that, once for each look.
#[derive(Debug, Clone)]
pub struct EvaluationSource {
    set: SegmentationSet,
    decoding: Decoding,
    preprocessing: Preprocessing,
}

/// One image with its label map; none where it could not be read.
#[derive(Debug)]
pub struct WholeImage {
    /// Index in the data set, image and label map.
    pub(crate) sample: Option<(usize, Image, LabelMap)>,
}

impl Batch for WholeImage {
    fn len(&self) -> usize {
        usize::from(self.sample.is_some())
    }
}

impl EvaluationSource {
    /// A loader of the images of a set, in their order, for a network with this preprocessing, whose classes the set has. The
    /// treatment of EXIF is the set's, whatever `reading` says.
    ///
    /// # Errors
    /// [`TrainError::Data`] when there are none, or the preprocessing leaves parts of an image out.
    pub fn loader(
        set: SegmentationSet,
        preprocessing: Preprocessing,
        reading: &EvalLoaderConfig,
    ) -> Result<SharedLoader<Self>, TrainError> {
        let config = reading.of_whole_images(&preprocessing)?;
        let decoding = Decoding::of(&preprocessing, set.orientation());
        let source = Self { set, decoding, preprocessing };
        Ok(SharedLoader::new(source, config, reading.ranks.clone())?)
    }

    /// The images and their label maps.
    pub fn set(&self) -> &SegmentationSet {
        &self.set
    }

    /// What the network wants of an image.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }
}

impl Source for EvaluationSource {
    type Draw = ();
    type Sample = (Image, LabelMap);
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

    fn load(
        &self,
        visit: SampleContext,
        (): &(),
        _reader: &ImageReader,
    ) -> Result<(Image, LabelMap), DataError> {
        let image = self.set.images().image(visit.sample, &self.decoding)?;
        let labels = self.set.label_map_of(visit.sample, image.size())?;
        Ok((image, labels))
    }

    fn collate(&self, _place: BatchContext, (): (), samples: Vec<(usize, (Image, LabelMap))>) -> WholeImage {
        let sample = samples.into_iter().next().map(|(sample, (image, labels))| (sample, image, labels));
        WholeImage { sample }
    }
}
