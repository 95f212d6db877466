//! A part of a resized image, bilinear and without antialiasing, as OpenCV resizes: what mmsegmentation trains on.

use convnext_core::ImageSize;

use crate::pixels::image::Image;
use crate::pixels::label_map::LabelMap;
use crate::pixels::levels::Levels;

/// A rectangle of an image that is resized. Only the pixels of the rectangle are computed, so that a part of a huge image
/// costs what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizedCut {
    /// Height and width of the whole image after resizing, at least 1.
    pub resized: ImageSize,
    /// First column of the rectangle.
    pub left: usize,
    /// First row of the rectangle.
    pub top: usize,
    /// Height and width of the rectangle, which lies inside.
    pub size: ImageSize,
}

impl ResizedCut {
    /// The part of an image: within 1 level of 255 of OpenCV's `INTER_LINEAR`.
    pub(crate) fn of(self, image: &Image) -> Image {
        let levels: Levels = match image.levels() {
            Levels::Eight(levels) => self.bilinear(levels, image, f32::from, |level| level as u8).into(),
            Levels::Sixteen(levels, _) => {
                self.bilinear(levels, image, f32::from, |level| level as u16).into()
            }
        };
        Image::from_parts(self.size.width, self.size.height, image.channels(), levels)
    }

    /// The same part of a label map, nearest labels: those of OpenCV's `INTER_NEAREST`.
    pub(crate) fn of_labels(self, map: &LabelMap) -> LabelMap {
        let along = |first: usize, count: usize, resized: usize, side: usize| -> Vec<Option<usize>> {
            let scale = 1.0 / (resized as f64 / side as f64);
            (first..first + count).map(|at| Some(((at as f64 * scale) as usize).min(side - 1))).collect()
        };
        let columns = along(self.left, self.size.width, self.resized.width, map.width);
        let rows = along(self.top, self.size.height, self.resized.height, map.height);
        map.of_columns_and_rows(&columns, &rows)
    }

    fn bilinear<T: Copy>(
        self,
        levels: &[T],
        image: &Image,
        float: impl Fn(T) -> f32,
        level: impl Fn(f32) -> T,
    ) -> Vec<T> {
        let (width, channels) = (image.width(), image.channels());
        let columns = taps(self.left, self.size.width, self.resized.width, width);
        let rows = taps(self.top, self.size.height, self.resized.height, image.height());
        let mut cut = Vec::with_capacity(self.size.pixels() * channels);
        for Tap { first, second, weight: below } in rows {
            let [upper, lower] =
                [first, second].map(|row| &levels[row * width * channels..][..width * channels]);
            for &Tap { first, second, weight: right } in &columns {
                for channel in 0..channels {
                    let [left, next] = [first, second].map(|column| column * channels + channel);
                    let along = |row: &[T]| {
                        let (left, next) = (float(row[left]), float(row[next]));
                        left + right * (next - left)
                    };
                    let (upper, lower) = (along(upper), along(lower));
                    cut.push(level(upper + below * (lower - upper) + 0.5));
                }
            }
        }
        cut
    }
}

/// The two pixels that a new one lies between, and the weight of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

/// The taps of `count` new pixels from `start` on, of a side of `side` pixels that becomes `resized`.
fn taps(start: usize, count: usize, resized: usize, side: usize) -> Vec<Tap> {
    let scale = side as f64 / resized as f64;
    let tap = |at: usize| {
        let place = (((at as f64 + 0.5) * scale - 0.5) as f32).clamp(0.0, (side - 1) as f32);
        let first = place as usize;
        Tap { first, second: (first + 1).min(side - 1), weight: place - first as f32 }
    };
    (start..start + count).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Image {
        let bytes = (0..width * height).flat_map(|i| [(i * 37 % 251) as u8, (i % width) as u8, 9]).collect();
        Image::new(width, height, 3, bytes).unwrap()
    }

    fn whole(size: ImageSize) -> ResizedCut {
        ResizedCut { resized: size, left: 0, top: 0, size }
    }

    /// Values of PyTorch's `interpolate(mode="bilinear", align_corners=False, antialias=False)`.
    #[test]
    fn values_are_those_of_bilinear_resizing_without_antialiasing() {
        let row = Image::new(4, 1, 1, vec![0, 100, 200, 40]).unwrap();
        let resized = |width| whole(ImageSize { height: 1, width }).of(&row).bytes().to_vec();
        assert_eq!(resized(8), [0, 25, 75, 125, 175, 160, 80, 40]);
        assert_eq!(resized(2), [50, 120]);
        assert_eq!(resized(4), [0, 100, 200, 40]);
        assert_eq!(resized(3), [17, 150, 67]);
    }

    /// Values of OpenCV, made by `tests/goldens/masks/make.py`.
    #[test]
    fn sizes_are_those_of_opencv() {
        #[derive(serde::Deserialize)]
        struct Case {
            size: [usize; 2],
            pixels: Vec<u8>,
            resized: [usize; 2],
            bilinear: Vec<u8>,
            nearest: Vec<u16>,
        }
        let text = include_str!("../../tests/goldens/masks/resized.json");
        for Case { size: [height, width], pixels, resized, bilinear, nearest } in
            serde_json::from_str::<Vec<Case>>(text).unwrap()
        {
            let labels = pixels.iter().map(|&level| u16::from(level)).collect();
            let image = Image::new(width, height, 1, pixels).unwrap();
            let found = whole(resized.into()).of(&image);
            assert!(found.bytes().iter().zip(&bilinear).all(|(a, b)| a.abs_diff(*b) <= 1), "{resized:?}");
            let map = LabelMap { width, height, labels };
            assert_eq!(whole(resized.into()).of_labels(&map).labels, nearest);
        }
    }

    #[test]
    fn a_part_is_that_of_the_whole() {
        let image = ramp(23, 17);
        let labels = LabelMap { width: 23, height: 17, labels: (0..23 * 17).collect() };
        let resized = ImageSize { height: 30, width: 13 };
        let cut = ResizedCut { resized, left: 3, top: 11, size: ImageSize { height: 9, width: 7 } };
        let (part, all) = (cut.of(&image), whole(resized).of(&image));
        let (part_labels, all_labels) = (cut.of_labels(&labels), whole(resized).of_labels(&labels));
        for y in 0..9 {
            for x in 0..7 {
                assert_eq!(part.pixel(x, y), all.pixel(x + 3, y + 11));
                assert_eq!(part_labels.get(x, y), all_labels.get(x + 3, y + 11));
            }
        }
        assert_eq!(whole(labels.size()).of_labels(&labels), labels);
    }

    #[test]
    fn deep_images_keep_their_levels() {
        let deep = Image::deep(2, 1, 1, vec![1000, 2000]).unwrap();
        let wide = whole(ImageSize { height: 1, width: 4 }).of(&deep);
        assert_eq!(wide.deep_levels().unwrap(), [1000, 1250, 1750, 2000]);
    }
}
