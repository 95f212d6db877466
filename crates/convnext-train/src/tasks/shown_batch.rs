//! Images of a batch as the network sees them in training, for the report.

use std::path::Path;

use convnext_core::{ImageSize, Preprocessing};
use convnext_data::{Image, ImageBatch};

use crate::error::TrainError;
use crate::tasks::denormalized::denormalized;

/// Images that are shown, the first of the batch.
const SHOWN: usize = 12;

/// Their longer side at most, in pixels.
const SIDE: usize = 160;

/// Writes the first images of a batch into a folder, as `batch-01.png` and so on: cropped, augmented and mixed.
///
/// # Errors
/// [`TrainError::Data`] when one cannot be written.
pub(crate) fn save_batch(
    batch: &ImageBatch,
    preprocessing: &Preprocessing,
    folder: &Path,
) -> Result<(), TrainError> {
    let ImageBatch { images, channels, height, width, .. } = batch;
    let pixels = ImageSize { height: *height, width: *width }.pixels();
    for (number, values) in (1..=SHOWN).zip(images.chunks_exact(channels * pixels)) {
        let bytes = denormalized(values, pixels, &preprocessing.mean, &preprocessing.std);
        let image = Image::new(*width, *height, *channels, bytes)?;
        image.shrunk(SIDE).save_png(&folder.join(format!("batch-{number:02}.png")))?;
    }
    Ok(())
}
