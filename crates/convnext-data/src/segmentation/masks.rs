//! Where the masks of a data set come from.

use convnext_core::ImageSize;

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::pixels::orientation::Orientation;
use crate::segmentation::coco::maps::AnnotatedImage;
use crate::segmentation::decode::decode_mask;
use crate::segmentation::mask::Mask;

/// The masks of a data set, each with its image.
#[derive(Debug)]
pub(crate) struct Masks {
    /// Folder or archive of the data.
    pub(crate) root: String,
    pub(crate) source: MaskSource,
    /// What is done with the turn that a file names, as with that of its image.
    pub(crate) orientation: Orientation,
}

/// Kind of masks.
#[derive(Debug)]
pub(crate) enum MaskSource {
    /// Image files, and the position of the image of each among all files.
    Files(Dataset, Vec<usize>),
    /// Annotations that are drawn.
    Coco(Vec<AnnotatedImage>),
}

impl Masks {
    /// Number of masks.
    pub(crate) fn len(&self) -> usize {
        match &self.source {
            MaskSource::Files(_, images) => images.len(),
            MaskSource::Coco(images) => images.len(),
        }
    }

    /// Position of the image of a mask among all files.
    pub(crate) fn image(&self, at: usize) -> usize {
        match &self.source {
            MaskSource::Files(_, images) => images[at],
            MaskSource::Coco(images) => images[at].image,
        }
    }

    /// The name of a mask in messages.
    pub(crate) fn name(&self, at: usize) -> String {
        match &self.source {
            MaskSource::Files(files, _) => files.name(at),
            MaskSource::Coco(images) => images[at].name.clone(),
        }
    }

    /// The size of a mask that is drawn, which is known before that.
    pub(crate) fn drawn_size(&self, at: usize) -> Option<ImageSize> {
        match &self.source {
            MaskSource::Files(..) => None,
            MaskSource::Coco(images) => images[at].size,
        }
    }

    /// Reads or draws a mask.
    pub(crate) fn read(&self, at: usize) -> Result<Mask, DataError> {
        match &self.source {
            MaskSource::Files(files, _) => {
                let mask = decode_mask(&files.read(at)?, "").map_err(|error| error.named(files.name(at)))?;
                Ok(match self.orientation {
                    Orientation::Honour => mask.upright(),
                    Orientation::Ignore => mask,
                })
            }
            MaskSource::Coco(images) => {
                images[at].mask().map_err(|why| DataError::decode(&images[at].name, why))
            }
        }
    }

    /// Keeps some of the masks.
    pub(crate) fn retain(&mut self, kept: &[bool]) {
        let mut flags = kept.iter();
        let mut is_kept = || flags.next().copied().unwrap_or(true);
        match &mut self.source {
            MaskSource::Files(files, images) => {
                let indices: Vec<usize> = (0..kept.len()).filter(|&at| kept[at]).collect();
                *files = files.subset(&indices);
                images.retain(|_| is_kept());
            }
            MaskSource::Coco(images) => images.retain(|_| is_kept()),
        }
    }
}
