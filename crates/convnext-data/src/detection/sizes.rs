//! The sizes of images beside those that annotations state, and which orientation these are of.

use convnext_core::{COLOURS, ImageSize};

use crate::datasets::dataset::Dataset;
use crate::datasets::stored_image::stored_image;
use crate::detection::annotated::AnnotatedFile;
use crate::error::DataError;
use crate::pixels::orientation::Orientation;
use crate::reading::decoding::Decoding;

/// Sizes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSizes {
    /// As it is looked at.
    pub(crate) upright: ImageSize,
    /// As its pixels are stored.
    pub(crate) stored: ImageSize,
}

impl FileSizes {
    /// The size with this orientation.
    pub(crate) fn with(self, orientation: Orientation) -> ImageSize {
        match orientation {
            Orientation::Honour => self.upright,
            Orientation::Ignore => self.stored,
        }
    }
}

/// Reads the sizes of an image, without decoding it where that can be.
///
/// # Errors
/// [`DataError`] when it cannot be read, or its size is not to be had without decoding it and that fails.
pub(crate) fn file_sizes(files: &Dataset, file: usize) -> Result<FileSizes, DataError> {
    if let Some(image) = stored_image(files, file)? {
        let upright = image.size_with(Orientation::Honour);
        return Ok(FileSizes { upright, stored: image.size });
    }
    let upright = decoded_size(files, file, Orientation::Honour)?;
    Ok(FileSizes { upright, stored: decoded_size(files, file, Orientation::Ignore)? })
}

/// The size of an image of whatever channels, by decoding it.
fn decoded_size(files: &Dataset, file: usize, orientation: Orientation) -> Result<ImageSize, DataError> {
    let image = match files.image(file, &Decoding::new(COLOURS, orientation)) {
        Err(DataError::Channels { found, .. }) => files.image(file, &Decoding::new(found, orientation))?,
        image => image?,
    };
    Ok(image.size())
}

/// The orientation that annotations are of: images as they are looked at, unless some fit only the pixels as they are
/// stored and all fit these.
pub(crate) fn orientation(images: &[AnnotatedFile], sizes: &[Option<FileSizes>]) -> Orientation {
    let stated = || images.iter().zip(sizes).filter_map(|(image, sizes)| Some((image.stated?, (*sizes)?)));
    let all_stored = stated().all(|(stated, sizes)| stated == sizes.stored);
    let all_upright = stated().all(|(stated, sizes)| stated == sizes.upright);
    if all_stored && !all_upright { Orientation::Ignore } else { Orientation::Honour }
}

/// Reason why an image does not have the size that its annotations state.
pub(crate) fn check_size(
    stated: Option<ImageSize>,
    sizes: FileSizes,
    orientation: Orientation,
) -> Result<(), String> {
    let found = sizes.with(orientation);
    let Some(stated) = stated.filter(|&stated| stated != found) else { return Ok(()) };
    let turned = sizes.upright != sizes.stored && (stated == sizes.stored || stated == sizes.upright);
    let words = match turned {
        true => {
            "; it fits only with another use of the turn in its EXIF data than other images do: turn its pixels"
        }
        false => "; annotations are in pixels, so take the image that was annotated, or scale them with it",
    };
    Err(format!("its annotations are of {}, but it is {}{words}", stated.with_unit(), found.with_unit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: ImageSize = ImageSize { height: 2, width: 3 };
    const HIGH: ImageSize = ImageSize { height: 3, width: 2 };

    fn image(stated: ImageSize) -> AnnotatedFile {
        AnnotatedFile { stated: Some(stated), ..AnnotatedFile::default() }
    }

    #[test]
    fn annotations_are_of_the_pixels_that_they_fit() {
        let turned = FileSizes { upright: HIGH, stored: WIDE };
        let plain = FileSizes { upright: WIDE, stored: WIDE };
        let of = |stated: [ImageSize; 2]| orientation(&stated.map(image), &[Some(turned), Some(plain)]);
        assert_eq!(of([HIGH, WIDE]), Orientation::Honour);
        assert_eq!(of([WIDE, WIDE]), Orientation::Ignore);
        // One of them fits neither way with the other.
        assert_eq!(of([WIDE, HIGH]), Orientation::Honour);
        let why = check_size(Some(WIDE), turned, Orientation::Honour).unwrap_err();
        assert!(why.contains("2 x 3 px") && why.contains("EXIF"), "{why}");
        let why = check_size(Some(HIGH), plain, Orientation::Honour).unwrap_err();
        assert!(why.contains("3 x 2 px") && why.contains("scale them"), "{why}");
        assert_eq!(check_size(Some(HIGH), turned, Orientation::Honour), Ok(()));
        assert_eq!(check_size(None, plain, Orientation::Honour), Ok(()));
    }
}
