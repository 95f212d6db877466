//! Pixels inside a polygon, as COCO's tools rasterise it.
//!
//! Follows `rleFrPoly` of the COCO API (`common/maskApi.c` at 8c9bcc3, Piotr Dollar and Tsung-Yi Lin, simplified BSD
//! licence): corners are rounded to a fifth of a pixel, edges walked in such steps, and what lies between two crossings
//! of a column is inside. Here the crossings give ranges and no encoded string.

use convnext_core::ImageSize;

/// Ranges of pixels of an image, counted down its columns one after the other.
pub(crate) type Ranges = Vec<(usize, usize)>;

/// Steps of a pixel.
const SCALE: f64 = 5.0;

/// Steps beyond the borders of an image that are looked at, for rounding.
const MARGIN: f64 = 2.0 * SCALE;

/// The ranges inside one ring `x, y, x, y, ...` in pixels, sorted.
pub(crate) fn ring_ranges(ring: &[f64], size: ImageSize) -> Ranges {
    let corners: Vec<[i64; 2]> = ring.as_chunks::<2>().0.iter().map(|point| point.map(steps)).collect();
    let mut crossings: Vec<usize> = Vec::new();
    for (at, &start) in corners.iter().enumerate() {
        add_crossings(start, corners[(at + 1) % corners.len()], size, &mut crossings);
    }
    crossings.push(size.pixels());
    crossings.sort_unstable();
    let ranges = crossings.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    ranges.filter(|(start, end)| start < end).collect()
}

/// A coordinate in steps. Beyond these bounds no image has pixels, and arithmetic stays exact.
fn steps(coordinate: f64) -> i64 {
    const MOST: f64 = 1e6;
    (SCALE * coordinate.clamp(-MOST, MOST) + 0.5) as i64
}

/// Adds the pixels at which an edge enters or leaves a column. It has a point at each step along its longer side, both ends
/// included; those outside of the columns are passed over, as corners may lie far away.
fn add_crossings(start: [i64; 2], end: [i64; 2], size: ImageSize, crossings: &mut Vec<usize>) {
    let [dx, dy] = [0, 1].map(|side| (start[side] - end[side]).abs());
    if dx == 0 {
        return;
    }
    let (long, short) = if dx >= dy { (0, 1) } else { (1, 0) };
    // Slopes are those from the lower end of the longer side, so that both directions make the same points.
    let (low, high) = if start[long] > end[long] { (end, start) } else { (start, end) };
    let length = dx.max(dy);
    let slope = (high[short] - low[short]) as f64 / length as f64;
    let point = |along: i64| {
        let mut point = [0; 2];
        point[long] = low[long] + along;
        point[short] = (low[short] as f64 + slope * along as f64 + 0.5) as i64;
        point
    };
    // The steps at the left and the right border.
    let per_step = if long == 0 { 1.0 } else { slope };
    let borders = [-MARGIN, SCALE * size.width as f64 + MARGIN].map(|x| (x - low[0] as f64) / per_step);
    let [first, last] = [borders[0].min(borders[1]).floor(), borders[0].max(borders[1]).ceil()];
    let (first, last) = ((first as i64).max(0), (last as i64).min(length));
    crossings.extend((first..last).filter_map(|along| crossing(point(along), point(along + 1), size)));
}

/// The pixel at which a path enters or leaves a column, where its steps cross the middle of one.
fn crossing(before: [i64; 2], after: [i64; 2], size: ImageSize) -> Option<usize> {
    if before[0] == after[0] {
        return None;
    }
    let middle = |step: i64| (step as f64 + 0.5) / SCALE - 0.5;
    let column = middle(if after[0] < before[0] { after[0] } else { after[0] - 1 });
    if column.floor() != column || column < 0.0 || column > (size.width - 1) as f64 {
        return None;
    }
    let row = middle(before[1].min(after[1])).clamp(0.0, size.height as f64).ceil();
    Some(column as usize * size.height + row as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(ranges: &[(usize, usize)]) -> usize {
        ranges.iter().map(|(start, end)| end - start).sum()
    }

    #[test]
    fn known_polygons_have_their_pixels() {
        let size = ImageSize::square(10);
        // Columns 2 to 4, rows 1 to 3: the right and lower borders are outside.
        let expected = vec![(21, 24), (31, 34), (41, 44)];
        assert_eq!(ring_ranges(&[2.0, 1.0, 5.0, 1.0, 5.0, 4.0, 2.0, 4.0], size), expected);
        assert_eq!(area(&ring_ranges(&[0.0, 0.0, 10.0, 10.0, 10.0, 0.0, 0.0, 10.0], size)), 50);
        assert_eq!(area(&ring_ranges(&[-5.0, -5.0, 30.0, -5.0, 30.0, 30.0, -5.0, 30.0], size)), 100);
        assert_eq!(ring_ranges(&[3.0, 3.0, 3.0, 3.0, 3.0, 3.0], size), []);
    }

    #[test]
    fn far_corners_are_passed_over() {
        let size = ImageSize { height: 4, width: 6 };
        let far = 9e5;
        for (ring, pixels) in [
            ([-far, -far, far, -far, far, far, -far, far], 24),
            ([-far, 1.0, far, 1.0, far, 3.0, -far, 3.0], 12),
            ([2.0, -far, 4.0, -far, 4.0, far, 2.0, far], 8),
            ([2.0, -far, far, far, far, 2.0 * far, 2.0, far], 16),
        ] {
            let mut crossings = Vec::new();
            add_crossings([5 * ring[0] as i64, 0], [5 * ring[2] as i64, 0], size, &mut crossings);
            assert!(crossings.len() <= size.width);
            assert_eq!(area(&ring_ranges(&ring, size)), pixels, "{ring:?}");
        }
    }

    /// As pycocotools counts: coordinates in single precision would have 13228 pixels.
    #[test]
    fn corners_are_of_double_precision() {
        let ring = [40.3, 254.2, 229.1, 76.5, 148.6, 134.8, 195.5, 236.6, 28.2, 8.5, 250.7, 129.8];
        assert_eq!(area(&ring_ranges(&ring, ImageSize::square(300))), 13247);
    }

    /// Rings and run lengths of pycocotools 2.0.11, made by `tests/goldens/masks/make.py`.
    #[test]
    fn random_polygons_have_the_pixels_of_pycocotools() {
        #[derive(serde::Deserialize)]
        struct Case {
            height: usize,
            width: usize,
            ring: Vec<f64>,
            counts: Vec<usize>,
        }
        let text = include_str!("../../tests/goldens/masks/polygons.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        for Case { height, width, ring, counts } in cases {
            let mut at = 0;
            let mut expected = Ranges::new();
            for pair in counts.chunks(2) {
                let start = at + pair[0];
                at = start + pair.get(1).copied().unwrap_or(0);
                if at > start {
                    expected.push((start, at));
                }
            }
            let found = ring_ranges(&ring, ImageSize { height, width });
            assert_eq!(joined(&found), joined(&expected), "{ring:?}");
        }
    }

    /// Ranges without gaps between them as one.
    fn joined(ranges: &[(usize, usize)]) -> Ranges {
        let mut joined = Ranges::new();
        for &(start, end) in ranges {
            match joined.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => joined.push((start, end)),
            }
        }
        joined
    }
}
