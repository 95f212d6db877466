//! A part of an image with a black border around it.

use crate::pixels::image::Image;
use crate::pixels::label_map::LabelMap;
use crate::pixels::levels::Levels;

/// The part of an image with a border of `padding` pixels that starts at (left, top) of the bordered image and has the size
/// of the image without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bordered {
    /// Width of the border in pixels.
    pub padding: usize,
    /// First column, at most twice the padding.
    pub left: usize,
    /// First row, at most twice the padding.
    pub top: usize,
}

impl Bordered {
    /// The part of an image, whose border is black.
    pub(crate) fn of(self, image: &Image) -> Image {
        let levels: Levels = match image.levels() {
            Levels::Eight(levels) => self.part(levels, image).into(),
            Levels::Sixteen(levels, _) => self.part(levels, image).into(),
        };
        Image::from_parts(image.width(), image.height(), image.channels(), levels)
    }

    /// The same part of a label map, whose border is ignored.
    pub(crate) fn of_labels(self, map: &LabelMap) -> LabelMap {
        let along = |start: usize, side: usize| -> Vec<Option<usize>> {
            let place = |at: usize| (at + start).checked_sub(self.padding).filter(|&place| place < side);
            (0..side).map(place).collect()
        };
        map.of_columns_and_rows(&along(self.left, map.width), &along(self.top, map.height))
    }

    fn part<T: Copy + Default>(self, levels: &[T], image: &Image) -> Vec<T> {
        let Self { padding, left, top } = self;
        let (width, height, channels) = (image.width(), image.height(), image.channels());
        let mut part = vec![T::default(); width * height * channels];
        // Columns of the result that come from the image, and where they start in it.
        let first = padding.saturating_sub(left);
        let source = left.saturating_sub(padding);
        let length = width.saturating_sub(first.max(source)) * channels;
        for y in 0..height {
            let Some(row) = (y + top).checked_sub(padding).filter(|&row| row < height) else { continue };
            let to = (y * width + first.min(width)) * channels;
            let from = (row * width + source.min(width)) * channels;
            part[to..to + length].copy_from_slice(&levels[from..from + length]);
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize) -> Image {
        let rgb = (0..width * height).flat_map(|i| [i as u8 + 1; 3]).collect();
        Image::new(width, height, 3, rgb).unwrap()
    }

    fn cut(image: &Image, padding: usize, left: usize, top: usize) -> Vec<u8> {
        Bordered { padding, left, top }.of(image).bytes().iter().step_by(3).copied().collect()
    }

    #[test]
    fn padding_moves_the_image_and_is_black() {
        let image = numbered(3, 2);
        assert_eq!(Bordered { padding: 1, left: 1, top: 1 }.of(&image), image);
        assert_eq!(cut(&image, 1, 0, 0), [0, 0, 0, 0, 1, 2]);
        assert_eq!(cut(&image, 1, 2, 1), [2, 3, 0, 5, 6, 0]);
        assert_eq!(cut(&image, 1, 1, 2), [4, 5, 6, 0, 0, 0]);
    }

    #[test]
    fn padding_as_wide_as_the_image_can_hide_it() {
        let image = numbered(2, 2);
        assert_eq!([cut(&image, 2, 4, 4), cut(&image, 2, 0, 2)], [vec![0; 4], vec![0; 4]]);
    }

    #[test]
    fn labels_move_with_the_image_and_the_border_is_ignored() {
        let image = numbered(5, 4);
        let map = LabelMap { width: 5, height: 4, labels: (1..=20).collect() };
        for (padding, left, top) in [(1, 0, 0), (1, 2, 1), (2, 1, 4), (5, 10, 0)] {
            let moved = Bordered { padding, left, top }.of_labels(&map);
            let expected = cut(&image, padding, left, top);
            let as_red =
                moved.labels.iter().map(|&label| if label == LabelMap::IGNORED { 0 } else { label as u8 });
            assert_eq!(as_red.collect::<Vec<_>>(), expected);
        }
    }
}
