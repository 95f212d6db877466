//! Operations that move pixels: Pillow's `transform(size, AFFINE, matrix, BICUBIC, fillcolor)`.

use crate::Picture;

/// `[a, b, c, d, e, f]`: a point (x, y) of the result comes from (ax + by + c, dx + ey + f). The centre of
/// the first pixel is (0.5, 0.5).
pub(super) type Matrix = [f64; 6];

/// The matrix of Pillow's `rotate(degrees)`: about the centre, counter-clockwise.
pub(super) fn rotation(picture: &Picture, degrees: f64) -> Matrix {
    // Pillow rounds to 15 places, so that a quarter turn is exact.
    let round = |value: f64| (value * 1e15).round() / 1e15;
    let (sin, cos) = (-degrees.rem_euclid(360.0).to_radians()).sin_cos();
    let (sin, cos) = (round(sin), round(cos));
    let (x, y) = (picture.width() as f64 / 2.0, picture.height() as f64 / 2.0);
    [cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y]
}

/// The picture as the matrix moves it, with the same sides. Points from outside the picture get `fill`.
///
/// The filter is Pillow's: bicubic with a = -1 over 4 x 4 pixels, those at the border repeated beyond it;
/// fractions are cut off. It is computed in the same order and precision, for the same pixels.
pub(super) fn transform(picture: &Picture, [a, b, c, d, e, f]: Matrix, fill: [u8; 3]) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let mut rgb = vec![0; width * height * 3];
    let (new_rows, _) = rgb.as_chunks_mut::<3>();
    for (y, new_row) in new_rows.chunks_exact_mut(width).enumerate() {
        let y = y as f64 + 0.5;
        for (x, new) in new_row.iter_mut().enumerate() {
            let x = x as f64 + 0.5;
            *new = interpolate(picture, a * x + b * y + c, d * x + e * y + f).unwrap_or(fill);
        }
    }
    Picture::from_parts(width, height, rgb)
}

/// The colour at a point of a picture; `None` outside.
fn interpolate(picture: &Picture, x: f64, y: f64) -> Option<[u8; 3]> {
    let (width, height) = (picture.width(), picture.height());
    let inside = x >= 0.0 && x < width as f64 && y >= 0.0 && y < height as f64;
    if !inside {
        return None;
    }
    let (columns, right) = neighbours(x, width);
    let (rows, below) = neighbours(y, height);
    let pixels = picture.rgb().as_chunks::<3>().0;
    let in_row = |row: usize| {
        let row = &pixels[row * width..][..width];
        cubic(columns.map(|column| row[column].map(f64::from)), right)
    };
    // A shift along one side leaves the other as it is: the same value, sooner.
    let colour = if below == 0.0 { in_row(rows[1]) } else { cubic(rows.map(in_row), below) };
    Some(colour.map(|value| value as u8))
}

/// The four pixels around a point of a side, and how far it lies from the second to the third, in [0, 1).
fn neighbours(point: f64, side: usize) -> ([usize; 4], f64) {
    let point = point - 0.5;
    // Rounded down. `f64::floor` would be a call for each pixel on plain x86-64.
    let second = if point < 0.0 { -1 } else { point as isize };
    let last = side as isize - 1;
    ([-1, 0, 1, 2].map(|step| (second + step).clamp(0, last) as usize), point - second as f64)
}

/// Pillow's cubic through four values of each colour, at `d` from the second to the third.
fn cubic([first, second, third, fourth]: [[f64; 3]; 4], d: f64) -> [f64; 3] {
    if d == 0.0 {
        return second;
    }
    std::array::from_fn(|colour| {
        let (v1, v2, v3, v4) = (first[colour], second[colour], third[colour], fourth[colour]);
        let p2 = -v1 + v3;
        let p3 = 2.0 * (v1 - v2) + v3 - v4;
        let p4 = -v1 + v2 - v3 + v4;
        v2 + d * (p2 + d * (p3 + d * p4))
    })
}
