//! A mask that has not the size of its image.

use convnext_core::ImageSize;

use crate::datasets::dataset::Dataset;
use crate::datasets::stored_image::stored_image;
use crate::error::DataError;
use crate::pixels::orientation::Orientation;
use crate::segmentation::error::MaskError;

/// The error of a mask of this name and size, which is not that of its image. It says so where the other treatment of EXIF
/// would help.
pub(crate) fn other_size(
    (name, found): (String, ImageSize),
    (images, image): (&Dataset, usize),
    expected: ImageSize,
    orientation: Orientation,
) -> DataError {
    let other = match orientation {
        Orientation::Honour => Orientation::Ignore,
        Orientation::Ignore => Orientation::Honour,
    };
    let stored = stored_image(images, image).ok().flatten();
    let fits = stored.is_some_and(|stored| stored.size_with(other) == found);
    let image = images.name(image);
    MaskError::Size { name, found, image, expected, fits: fits.then_some(other) }.into()
}
