//! Operations that move pixels: Pillow's `transform(size, AFFINE, matrix, BICUBIC, fillcolor)`.

use convnext_core::ImageSize;

use crate::pixels::image::Image;
use crate::pixels::label_map::LabelMap;

/// `[a, b, c, d, e, f]`: a point (x, y) of the result comes from (ax + by + c, dx + ey + f). The centre of
/// the first pixel is (0.5, 0.5).
pub(super) type Matrix = [f64; 6];

/// The matrix of Pillow's `rotate(degrees)`: about the centre, counter-clockwise.
pub(super) fn rotation(size: ImageSize, degrees: f64) -> Matrix {
    // Pillow rounds to 15 places, so that a quarter turn is exact.
    let round = |value: f64| (value * 1e15).round() / 1e15;
    let (sin, cos) = (-degrees.rem_euclid(360.0).to_radians()).sin_cos();
    let (sin, cos) = (round(sin), round(cos));
    let (x, y) = (size.width as f64 / 2.0, size.height as f64 / 2.0);
    [cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y]
}

/// The image as the matrix moves it, with the same sides. Points from outside the image get `fill`.
///
/// The filter is Pillow's: bicubic with a = -1 over 4 x 4 pixels, those at the border repeated beyond it;
/// fractions are cut off. It is computed in the same order and precision, for the same pixels.
pub(super) fn transform(image: &Image, [a, b, c, d, e, f]: Matrix, fill: [u8; 3]) -> Image {
    let (width, height) = (image.width(), image.height());
    let source = Source::new(image);
    let mut bytes = vec![0; width * height * 3];
    for (y, new_row) in bytes.as_chunks_mut::<3>().0.chunks_exact_mut(width).enumerate() {
        let y = y as f64 + 0.5;
        for (x, new) in new_row.iter_mut().enumerate() {
            let x = x as f64 + 0.5;
            let (from_x, from_y) = (a * x + b * y + c, d * x + e * y + f);
            let inside = from_x >= 0.0 && from_x < width as f64 && from_y >= 0.0 && from_y < height as f64;
            *new = if inside { source.colour(from_x, from_y) } else { fill };
        }
    }
    Image::from_parts(width, height, 3, bytes)
}

/// The label map as the matrix moves it: the label of the pixel that each point lies in, and ignored outside.
pub(super) fn transform_labels(map: &LabelMap, [a, b, c, d, e, f]: Matrix) -> LabelMap {
    let mut labels = Vec::with_capacity(map.labels.len());
    for y in 0..map.height {
        let y = y as f64 + 0.5;
        for x in 0..map.width {
            let x = x as f64 + 0.5;
            let (from_x, from_y) = (a * x + b * y + c, d * x + e * y + f);
            let inside = from_x >= 0.0 && from_y >= 0.0;
            labels.push(if inside { map.get(from_x as usize, from_y as usize) } else { LabelMap::IGNORED });
        }
    }
    LabelMap { labels, ..*map }
}

/// Red, green, blue and nothing: four values are two registers of plain x86-64.
type Colour = [f64; 4];

/// An image with its border pixels repeated around it, as floats.
struct Source {
    pixels: Vec<Colour>,
    stride: usize,
}

impl Source {
    /// Repeated pixels on each side: as many as the filter reaches from a point inside.
    const MARGIN: usize = 2;

    fn new(image: &Image) -> Self {
        let (width, height) = (image.width(), image.height());
        let stride = width + 2 * Self::MARGIN;
        let mut pixels = Vec::with_capacity(stride * (height + 2 * Self::MARGIN));
        let rows = image.bytes().as_chunks::<3>().0;
        for y in 0..height + 2 * Self::MARGIN {
            let y = y.saturating_sub(Self::MARGIN).min(height - 1);
            let row = &rows[y * width..][..width];
            let float =
                |&[red, green, blue]: &[u8; 3]| [f64::from(red), f64::from(green), f64::from(blue), 0.0];
            let (first, last) = (float(&row[0]), float(&row[width - 1]));
            pixels.extend([first; Self::MARGIN]);
            pixels.extend(row.iter().map(float));
            pixels.extend([last; Self::MARGIN]);
        }
        Self { pixels, stride }
    }

    /// The colour at a point inside the image.
    #[inline]
    fn colour(&self, x: f64, y: f64) -> [u8; 3] {
        let ((left, right), (top, below)) = (first_of_four(x), first_of_four(y));
        let in_row = |row: usize| {
            let four = &self.pixels[row * self.stride + left..][..4];
            if right == 0.0 { four[1] } else { cubic([four[0], four[1], four[2], four[3]], right) }
        };
        // A shift along one side leaves the other as it is: the same value, sooner.
        let colour = if below == 0.0 {
            in_row(top + 1)
        } else {
            cubic([in_row(top), in_row(top + 1), in_row(top + 2), in_row(top + 3)], below)
        };
        [colour[0] as u8, colour[1] as u8, colour[2] as u8]
    }
}

/// First of the four pixels around a point of a side, margin included, and how far it lies from the
/// second to the third, in [0, 1).
fn first_of_four(point: f64) -> (usize, f64) {
    let point = point - 0.5;
    // Rounded down. `f64::floor` would be a call for each pixel on plain x86-64.
    let second = if point < 0.0 { -1 } else { point as isize };
    ((second - 1 + Source::MARGIN as isize) as usize, point - second as f64)
}

/// Pillow's cubic through four values of each colour, at `d` from the second to the third.
#[inline]
fn cubic([first, second, third, fourth]: [Colour; 4], d: f64) -> Colour {
    std::array::from_fn(|colour| {
        let (v1, v2, v3, v4) = (first[colour], second[colour], third[colour], fourth[colour]);
        let p2 = -v1 + v3;
        let p3 = 2.0 * (v1 - v2) + v3 - v4;
        let p4 = -v1 + v2 - v3 + v4;
        v2 + d * (p2 + d * (p3 + d * p4))
    })
}
