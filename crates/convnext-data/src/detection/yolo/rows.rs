//! Rows of one of YOLO's label files.

use std::collections::HashSet;

use convnext_core::BoundingBox;

use crate::detection::annotated::AnnotatedObject;
use crate::detection::bounds::around;
use crate::instances::coco_region::Region;

/// How far a fraction may lie outside of 0 to 1: rounding of other programs.
const TOLERATED: f64 = 0.01;

/// Numbers of a box.
const BOX: usize = 4;

/// Objects of a label file, whose coordinates are fractions of the sides of the image, and the number of rows that occurred
/// before. Rows of poses have so many numbers of keypoints after the box, which are not used.
///
/// # Errors
/// In words, with the line, for what is no row.
pub(crate) fn read_rows(
    text: &[u8],
    keypoints: Option<usize>,
) -> Result<(Vec<AnnotatedObject>, usize), String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut objects: Vec<AnnotatedObject> = Vec::new();
    let mut rows = HashSet::new();
    let mut repeated = 0;
    for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
        let object = read_row(row, line, keypoints).map_err(|why| format!("line {line}: {why}"))?;
        if rows.insert(row.trim()) {
            objects.push(object);
        } else {
            repeated += 1;
        }
    }
    Ok((objects, repeated))
}

fn read_row(row: &str, line: i64, keypoints: Option<usize>) -> Result<AnnotatedObject, String> {
    let mut words = row.split_whitespace();
    let class = words.next().unwrap_or_default();
    let number = |word: &str| word.parse().ok().filter(|number: &f64| number.is_finite());
    // Some programs write 3.0.
    let class = number(class).filter(|class| class.fract() == 0.0 && (0.0..1e6).contains(class));
    let class = class.ok_or("it does not begin with the number of a class")? as usize;
    let numbers: Option<Vec<f64>> = words.map(number).collect();
    let mut numbers = numbers.ok_or("one of its words is no number")?;
    if keypoints.is_some_and(|keypoints| numbers.len() == BOX + keypoints) {
        numbers.truncate(BOX);
    }
    if let Some(outside) = numbers.iter().find(|value| !(-TOLERATED..=1.0 + TOLERATED).contains(*value)) {
        return Err(format!("{outside} is no fraction of a side of the image, from 0 to 1"));
    }
    let object = AnnotatedObject { id: line, class, ..AnnotatedObject::default() };
    match numbers[..] {
        [x, y, width, height] => {
            let corner = [x - width / 2.0, y - height / 2.0];
            let bounds = BoundingBox::of_corner_and_size([corner[0], corner[1], width, height]);
            Ok(AnnotatedObject { bounds: Some(bounds), ..object })
        }
        _ if numbers.len() >= 6 && numbers.len().is_multiple_of(2) => {
            let bounds = around(numbers.as_chunks().0);
            Ok(AnnotatedObject { bounds, region: Region::Rings(vec![numbers]), ..object })
        }
        _ => Err(format!(
            "it has {} numbers after the class; a box has 4, and an outline 2 for each of at least 3 corners",
            numbers.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_and_outlines_are_read_once() {
        let text = "\u{feff}1 0.5 0.5 0.2 0.4\r\n\n0 0 0 1 0 1 1.005\n1 0.5 0.5 0.2 0.4\n2.0 .5 .5 1 1\n";
        let (objects, repeated) = read_rows(text.as_bytes(), None).unwrap();
        assert_eq!((objects.len(), repeated), (3, 1));
        let bounds = objects[0].bounds.unwrap();
        assert!((bounds.left - 0.4).abs() < 1e-12 && (bounds.bottom - 0.7).abs() < 1e-12);
        assert_eq!((objects[1].class, objects[2].class), (0, 2));
        assert_eq!(objects[1].region, Region::Rings(vec![vec![0.0, 0.0, 1.0, 0.0, 1.0, 1.005]]));
        assert_eq!(objects[1].bounds.unwrap().edges(), [0.0, 0.0, 1.0, 1.005]);
        assert_eq!(read_rows(b"", None).unwrap().0, []);
    }

    #[test]
    fn poses_are_boxes() {
        let text = b"0 0.5 0.5 0.2 0.4 0.1 0.1 2 0 0 0\n0 0.5 0.5 0.25 0.5\n";
        let (objects, _) = read_rows(text, Some(6)).unwrap();
        assert!(objects.len() == 2 && objects.iter().all(|object| object.region == Region::None));
        assert!(read_rows(text, None).is_err());
    }

    #[test]
    fn other_rows_are_refused_by_line() {
        for (row, expected) in [
            ("cat 0.5 0.5 0.1 0.1", "number of a class"),
            ("1.5 0.5 0.5 0.1 0.1", "number of a class"),
            ("-1 0.5 0.5 0.1 0.1", "number of a class"),
            ("0 0.5 x 0.1 0.1", "no number"),
            ("0 12 40 3 3", "12 is no fraction"),
            ("0 0.5 0.5 0.1 -0.1", "-0.1 is no fraction"),
            ("0 0.5 0.5 0.1 0.1 0.9", "it has 5 numbers after the class"),
            ("0", "it has 0 numbers"),
            ("0 0 0 1 1 1 0 0", "it has 7 numbers"),
            ("0 nan 0 1 1", "no number"),
        ] {
            let why = read_rows(format!("0 0 0 0 0\n{row}").as_bytes(), None).unwrap_err();
            assert!(why.starts_with("line 2: ") && why.contains(expected), "{why}");
        }
    }
}
