//! Outlines of the areas of a class, as polygons along the borders of pixels.

use crate::pixels::label_map::LabelMap;

/// Corners of a closed outline, `[x, y]` in pixels from the upper left corner of the image, without the first one again at
/// the end. Those of an area run clockwise as it is seen; those of a hole run the other way.
pub type Ring = Vec<[usize; 2]>;

/// The outlines of all areas of a class, from top to bottom. Pixels that touch at a corner only are two areas.
pub fn outlines(labels: &LabelMap, class: u16) -> Vec<Ring> {
    let (width, height) = (labels.width, labels.height);
    let is_inside = |x: usize, y: usize| labels.get(x, y) == class;
    let mut visited = vec![false; width * height];
    let mut rings = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let is_upper_border = is_inside(x, y) && (y == 0 || !is_inside(x, y - 1));
            if is_upper_border && !visited[y * width + x] {
                rings.push(trace(&is_inside, [x, y], |x, y| visited[y * width + x] = true));
            }
        }
    }
    rings
}

/// A direction along the borders of pixels; the area lies to its right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    East,
    South,
    West,
    North,
}

impl Direction {
    fn right(self) -> Self {
        match self {
            Self::East => Self::South,
            Self::South => Self::West,
            Self::West => Self::North,
            Self::North => Self::East,
        }
    }

    fn left(self) -> Self {
        self.right().right().right()
    }

    /// The next corner along a border.
    fn step(self, [x, y]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::East => [x + 1, y],
            Self::South => [x, y + 1],
            Self::West => [x - 1, y],
            Self::North => [x, y - 1],
        }
    }

    /// The pixels ahead of a corner, to the left and to the right; one outside of the image wraps to a place where there is
    /// none.
    fn ahead(self, [x, y]: [usize; 2]) -> [[usize; 2]; 2] {
        let (west, north) = (x.wrapping_sub(1), y.wrapping_sub(1));
        match self {
            Self::East => [[x, north], [x, y]],
            Self::South => [[x, y], [west, y]],
            Self::West => [[west, y], [west, north]],
            Self::North => [[west, north], [x, north]],
        }
    }
}

/// Follows a border from the upper left corner of a pixel at it until it is closed.
fn trace(
    is_inside: &impl Fn(usize, usize) -> bool,
    start: [usize; 2],
    mut visit: impl FnMut(usize, usize),
) -> Ring {
    let mut ring = vec![start];
    let (mut corner, mut direction) = (start, Direction::East);
    loop {
        if direction == Direction::East {
            visit(corner[0], corner[1]);
        }
        corner = direction.step(corner);
        let [left, right] = direction.ahead(corner).map(|[x, y]| is_inside(x, y));
        let next = match (left, right) {
            (_, false) => direction.right(),
            (true, true) => direction.left(),
            (false, true) => direction,
        };
        if corner == start && next == Direction::East {
            break;
        }
        if next != direction {
            ring.push(corner);
        }
        direction = next;
    }
    // The ring may have begun in the middle of a side.
    if direction == Direction::East {
        ring.remove(0);
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[&str]) -> LabelMap {
        let labels = rows.iter().flat_map(|row| row.bytes()).map(|letter| u16::from(letter == b'#'));
        LabelMap { width: rows[0].len(), height: rows.len(), labels: labels.collect() }
    }

    /// Twice the area of a ring, positive where it runs clockwise.
    fn area(ring: &Ring) -> i64 {
        let next = ring.iter().cycle().skip(1);
        ring.iter().zip(next).map(|(a, b)| a[0] as i64 * b[1] as i64 - b[0] as i64 * a[1] as i64).sum()
    }

    #[test]
    fn an_area_is_outlined_at_its_corners() {
        assert_eq!(outlines(&map(&["##", "##"]), 1), [[[0, 0], [2, 0], [2, 2], [0, 2]]]);
        let corner = outlines(&map(&["#.", "##"]), 1);
        assert_eq!(corner, [[[0, 0], [1, 0], [1, 1], [2, 1], [2, 2], [0, 2]]]);
        assert_eq!(outlines(&map(&["##"]), 0), Vec::<Ring>::new());
    }

    #[test]
    fn a_hole_runs_the_other_way() {
        let rings = outlines(&map(&["###", "#.#", "###"]), 1);
        assert_eq!(rings.iter().map(area).collect::<Vec<_>>(), [18, -2]);
        assert_eq!(rings[1].len(), 4);
    }

    #[test]
    fn the_rings_have_the_area_of_the_class() {
        let rows = ["##.#.#", ".##..#", "#.#.##", "###.#.", "..#.##"];
        let labels = map(&rows);
        for class in [0, 1] {
            let pixels = labels.labels.iter().filter(|&&label| label == class).count() as i64;
            let rings = outlines(&labels, class);
            assert_eq!(rings.iter().map(area).sum::<i64>(), 2 * pixels, "{class}: {rings:?}");
        }
        // Pixels that touch at a corner are two areas.
        assert_eq!(outlines(&map(&["#.", ".#"]), 1).len(), 2);
    }
}
