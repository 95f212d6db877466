//! YOLO's labels of a data set.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use convnext_core::{ClassNames, ImageSize};

use crate::datasets::partial_folder::failed;
use crate::detection::set::DetectionSet;
use crate::error::DataError;
use crate::instances::instance::{Instance, InstanceMask};
use crate::instances::run_lengths::RunLengths;
use crate::pixels::label_map::LabelMap;
use crate::pixels::outlines::outlines;

/// Writes a text file for each image into a folder.
///
/// # Errors
/// [`DataError::Io`].
pub(crate) fn write_labels(set: &DetectionSet, names: &[String], folder: &Path) -> Result<(), DataError> {
    fs::create_dir_all(folder).map_err(|source| failed("create", folder, source))?;
    for (index, name) in names.iter().enumerate() {
        let size = set.image_size(index);
        let objects = set.instances(index).iter().filter(|instance| !instance.is_crowd);
        // Its programs read the rows of an image as boxes or as outlines.
        let outlined = is_outlined(set, index);
        let rows: String = objects.map(|instance| row(instance, size, outlined)).collect();
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let path = folder.join(format!("{stem}.txt"));
        fs::write(&path, rows).map_err(|source| failed("write", &path, source))?;
    }
    Ok(())
}

/// `true` for an image with a mask, whose boxes are written as outlines as well.
pub(crate) fn is_outlined(set: &DetectionSet, index: usize) -> bool {
    set.instances(index).iter().any(|instance| !instance.is_crowd && instance.mask.is_some())
}

/// Writes `data.yaml` for parts that lie in folders of their names.
///
/// # Errors
/// [`DataError::Io`].
pub(crate) fn write_data_file<'p>(
    classes: &ClassNames,
    parts: impl Iterator<Item = &'p str>,
    out: &Path,
) -> Result<(), DataError> {
    let mut text = String::from("path: .\n");
    for part in parts {
        let _ = writeln!(text, "{part}: images/{part}");
    }
    text.push_str("names:\n");
    for (class, name) in classes.0.iter().enumerate() {
        // A string of JSON is one of YAML.
        let name = serde_json::Value::from(name.as_str());
        let _ = writeln!(text, "  {class}: {name}");
    }
    let path = out.join("data.yaml");
    fs::write(&path, text).map_err(|source| failed("write", &path, source))
}

/// The row of an object, with its line end.
fn row(instance: &Instance, size: ImageSize, outlined: bool) -> String {
    let [width, height] = [size.width as f64, size.height as f64];
    let is_inside = |ring: &Vec<f64>| {
        let [x_max, y_max] = [width, height].map(|side| side + 1e-6);
        ring.as_chunks().0.iter().all(|[x, y]| (-1e-6..=x_max).contains(x) && (-1e-6..=y_max).contains(y))
    };
    let ring = match &instance.mask {
        None => None,
        Some(InstanceMask::Rings(rings)) if rings.len() == 1 && rings.iter().all(is_inside) => {
            joined(rings.iter().map(|ring| ring.as_chunks().0.to_vec()).collect())
        }
        // Where rings overlap, one ring along both would have a hole; a corner moved to the border would bend its sides.
        Some(mask) => joined(rings_of(&mask.run_lengths(size))),
    };
    let [x, y, right, bottom] = instance.bounds.edges();
    let ring = ring.or_else(|| outlined.then(|| vec![[x, y], [right, y], [right, bottom], [x, bottom]]));
    let numbers = match ring {
        Some(ring) => ring.iter().flat_map(|[x, y]| [x / width, y / height]).collect(),
        None => {
            let [left, top, w, h] = instance.bounds.corner_and_size();
            vec![(left + w / 2.0) / width, (top + h / 2.0) / height, w / width, h / height]
        }
    };
    let mut row = instance.class.to_string();
    for number in numbers {
        let _ = write!(row, " {}", (number.clamp(0.0, 1.0) * 1e6).round() / 1e6);
    }
    row.push('\n');
    row
}

/// The outlines of pixels.
fn rings_of(pixels: &RunLengths) -> Vec<Vec<[f64; 2]>> {
    let bounds = pixels.bounds();
    let corner = [bounds.left as usize, bounds.top as usize];
    let size = ImageSize { height: bounds.height() as usize, width: bounds.width() as usize };
    if size.height == 0 || size.width == 0 {
        return Vec::new();
    }
    let labels = pixels.part(corner, size).rows().into_iter().map(u16::from).collect();
    let map = LabelMap { width: size.width, height: size.height, labels };
    let place = |[x, y]: [usize; 2]| [(x + corner[0]) as f64, (y + corner[1]) as f64];
    outlines(&map, 1).into_iter().map(|ring| ring.into_iter().map(place).collect()).collect()
}

/// One ring that goes along all, and between them there and back on a line from the nearest corner. `None` for none.
fn joined(mut rings: Vec<Vec<[f64; 2]>>) -> Option<Vec<[f64; 2]>> {
    rings.retain(|ring| ring.len() >= 3);
    let mut rings = rings.into_iter();
    let mut path = rings.next()?;
    for ring in rings {
        let distance = |one: [f64; 2], other: [f64; 2]| (one[0] - other[0]).hypot(one[1] - other[1]);
        let pairs = path.iter().enumerate().flat_map(|(at, &corner)| {
            ring.iter().enumerate().map(move |(to, &other)| (distance(corner, other), at, to))
        });
        let nearest = pairs.min_by(|one, other| one.0.total_cmp(&other.0));
        let Some((_, at, to)) = nearest else { continue };
        let around = ring[to..].iter().chain(&ring[..=to]).copied();
        let back = path[at];
        path.splice(at + 1..at + 1, around.chain([back]));
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use convnext_core::BoundingBox;

    use super::*;

    #[test]
    fn holes_and_areas_are_in_one_ring() {
        let size = ImageSize { height: 12, width: 16 };
        let inside = |at: usize| {
            let (x, y) = (at % 16, at / 16);
            let frame =
                (1..8).contains(&x) && (1..9).contains(&y) && !((3..6).contains(&x) && (3..5).contains(&y));
            frame || ((11..15).contains(&x) && (6..11).contains(&y))
        };
        let pixels = RunLengths::of_rows(&(0..size.pixels()).map(inside).collect::<Vec<_>>(), size);
        let ring = joined(rings_of(&pixels)).unwrap();
        assert_eq!(RunLengths::of_rings(&[ring.as_flattened().to_vec()], size), pixels);
        assert_eq!(joined(Vec::new()), None);
    }

    fn object(rings: Vec<Vec<f64>>) -> Instance {
        let bounds = BoundingBox { left: 0.0, top: 0.0, right: 16.0, bottom: 12.0 };
        Instance { class: 0, bounds, mask: Some(InstanceMask::Rings(rings)), area: 1.0, is_crowd: false }
    }

    fn square(from: f64, to: f64) -> Vec<f64> {
        vec![from, from, to, from, to, to, from, to]
    }

    /// The pixels of a row that was written.
    fn pixels(instance: &Instance, size: ImageSize) -> RunLengths {
        let row = row(instance, size, true);
        let numbers: Vec<f64> = row.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
        let sides = [size.width as f64, size.height as f64];
        let ring = numbers.iter().zip(sides.iter().cycle()).map(|(number, side)| number * side).collect();
        RunLengths::of_rings(&[ring], size)
    }

    #[test]
    fn rings_that_overlap_have_no_hole() {
        let size = ImageSize { height: 12, width: 16 };
        let rings = vec![square(1.0, 7.0), square(4.0, 10.0)];
        let expected = RunLengths::of_rings(&rings, size);
        assert_eq!((expected.area(), pixels(&object(rings), size)), (63, expected));
    }

    #[test]
    fn rings_are_cut_off_at_the_border() {
        let size = ImageSize { height: 12, width: 16 };
        let ring = vec![8.0, 2.0, 40.0, 6.0, 8.0, 10.0];
        let expected = RunLengths::of_rings(std::slice::from_ref(&ring), size);
        assert_eq!(pixels(&object(vec![ring]), size), expected);
    }

    #[test]
    fn boxes_are_fractions_of_their_image() {
        let bounds = BoundingBox { left: 2.0, top: 3.0, right: 6.0, bottom: 9.0 };
        let object = Instance { class: 4, bounds, mask: None, area: 24.0, is_crowd: false };
        let size = ImageSize { height: 12, width: 16 };
        assert_eq!(row(&object, size, false), "4 0.25 0.5 0.25 0.5\n");
        // Beside masks as an outline.
        assert_eq!(row(&object, size, true), "4 0.125 0.25 0.375 0.25 0.375 0.75 0.125 0.75\n");
    }
}
