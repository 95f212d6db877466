//! Images of a validation in the run folder, as the network saw them.

use std::path::Path;

use convnext_data::ImageSource;

use crate::error::TrainError;

/// Writes what the network saw of each of these samples into a folder, as `NAME-01.png` and so on, and puts the path
/// from the run folder where the sample's place for it is.
///
/// # Errors
/// [`TrainError::Data`] when an image cannot be read or written.
pub fn save_thumbnails<'a>(
    images: &ImageSource,
    folder: &Path,
    name: &str,
    shown: impl Iterator<Item = (usize, &'a mut Option<String>)>,
) -> Result<(), TrainError> {
    let parent = folder.file_name().unwrap_or_default().to_string_lossy();
    for (number, (sample, thumbnail)) in (1..).zip(shown) {
        let file = format!("{name}-{number:02}.png");
        images.seen(sample)?.save_png(&folder.join(&file))?;
        *thumbnail = Some(format!("{parent}/{file}"));
    }
    Ok(())
}
