//! Activations of an image to look at: the maps of 64 channels of a layer (paper Figure 3).

use convnext_data::Image;

use crate::error::TrainError;

/// Channels that are shown of a layer.
pub const SHOWN_CHANNELS: usize = 64;

/// Maps side by side.
const COLUMNS: usize = 8;

/// Pixels between two maps.
const GAP: usize = 1;

/// Least width of a map in pixels: smaller ones are enlarged by a whole factor.
const MIN_SIDE: usize = 28;

/// An image of the maps of 64 channels of a layer, spread evenly over all of them, side by side in grey. All share one scale: black is 0
/// or the smallest value, whichever is less, white the largest, so that a dead channel is as dark as it is.
///
/// # Shapes
/// - rows: `[height * width, channels]` of one image
///
/// # Errors
/// [`TrainError::Data`] when there is nothing to show.
pub fn activation_maps(
    rows: &[f32],
    [height, width]: [usize; 2],
    channels: usize,
) -> Result<Image, TrainError> {
    let shown = SHOWN_CHANNELS.min(channels);
    let (low, high) =
        rows.iter().fold((0.0_f32, 0.0_f32), |(low, high), &value| (low.min(value), high.max(value)));
    let range = if high > low { high - low } else { 1.0 };
    let factor = MIN_SIDE.div_ceil(width.max(1)).max(1);
    let (map_width, map_height) = (width * factor, height * factor);
    let [rows_of_maps, columns] = [shown.div_ceil(COLUMNS), shown.min(COLUMNS)];
    let whole = [map_height, map_width].map(|side| side + GAP);
    let (sheet_height, sheet_width) = (rows_of_maps * whole[0] - GAP, columns * whole[1] - GAP);
    let mut grey = vec![u8::MAX; sheet_height * sheet_width];
    for number in 0..shown {
        let channel = number * channels / shown;
        let (top, left) = (number / COLUMNS * whole[0], number % COLUMNS * whole[1]);
        for y in 0..map_height {
            for x in 0..map_width {
                let value = rows[(y / factor * width + x / factor) * channels + channel];
                let level = 255.0 * (value - low) / range;
                grey[(top + y) * sheet_width + left + x] = level.round() as u8;
            }
        }
    }
    Ok(Image::new(sheet_width, sheet_height, 1, grey)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lie_side_by_side_on_one_scale() {
        // Two positions of 3 channels: the second channel is dead, the third below 0.
        let sheet = activation_maps(&[4.0, 0.0, -1.0, 0.0, 0.0, -1.0], [1, 2], 3).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (3 * 28 + 2, 14));
        let row = &sheet.bytes()[..86];
        assert_eq!((row[0], row[27], row[28]), (255, 51, 255));
        assert_eq!((row[29], row[56]), (51, 51));
        assert_eq!((row[58], row[85]), (0, 0));
    }
}
