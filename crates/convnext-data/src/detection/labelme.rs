//! LabelMe's JSON file for each image (facts, "Others").

use std::collections::{BTreeMap, HashMap};
use std::f64::consts::TAU;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_core::{BoundingBox, ImageSize};
use serde::Deserialize;

use crate::datasets::class_name::canonical_name;
use crate::datasets::image_lookup::{Lookup, split_of, split_of_image};
use crate::datasets::listing::Listing;
use crate::datasets::relative::{last, parent, stem};
use crate::datasets::side_files::visit_side_files;
use crate::detection::annotated::{AnnotatedFile, AnnotatedObject, AnnotationSource};
use crate::detection::bounds::{around, around_rings};
use crate::detection::gathered::Gathered;
use crate::detection::quirks::Quirk;
use crate::error::DataError;
use crate::instances::coco_region::Region;
use crate::instances::polygon::Ranges;
use crate::instances::run_lengths::RunLengths;
use crate::loading::corrupt_file::CorruptFile;
use crate::reading::size_limit::check_pixels;
use crate::segmentation::decode::decode_mask;
use crate::segmentation::mask::MaskPixels;

/// A file about one image.
#[derive(Deserialize)]
pub(crate) struct LabelMe {
    shapes: Vec<Shape>,
    #[serde(default, rename = "imagePath")]
    image_path: Option<String>,
    #[serde(default, rename = "imageHeight")]
    height: Option<usize>,
    #[serde(default, rename = "imageWidth")]
    width: Option<usize>,
}

#[derive(Deserialize)]
struct Shape {
    label: String,
    #[serde(default)]
    points: Vec<[f64; 2]>,
    #[serde(default)]
    shape_type: Option<String>,
    #[serde(default)]
    group_id: Option<i64>,
    /// A PNG in base64.
    #[serde(default)]
    mask: Option<String>,
}

/// Files by their relative paths, each read or the reason in words.
pub(crate) type LabelMeFiles = BTreeMap<String, Result<LabelMe, String>>;

/// Reads the files of all images, one after the other: they may hold the images themselves.
///
/// # Errors
/// [`DataError::Io`] or [`DataError::Archive`] when the data cannot be read.
pub(crate) fn labelme_files(path: &Path, listing: &Listing) -> Result<LabelMeFiles, DataError> {
    let mut files = LabelMeFiles::new();
    visit_side_files(path, listing, |file| file.to_lowercase().ends_with(".json"), &mut |file, content| {
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        read.map_err(|source| DataError::io("read", listing.name(file), source))?;
        if is_labelme(&bytes) {
            let read = serde_json::from_slice(&bytes);
            files.insert(file.to_owned(), read.map_err(|error| format!("it is no JSON of LabelMe: {error}")));
        }
        Ok(())
    })?;
    Ok(files)
}

/// `true` for a file of LabelMe.
fn is_labelme(bytes: &[u8]) -> bool {
    let has = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
    has(b"\"shapes\"") && (has(b"\"imagePath\"") || has(b"\"shape_type\""))
}

/// Gathers the objects of all images. Classes are the labels, sorted.
pub(crate) fn gather(listing: &Listing, files: LabelMeFiles) -> Gathered {
    let lookup = Lookup::of(listing);
    let mut gathered = Gathered::default();
    for (path, file) in files {
        if file.is_err()
            && let Ok(image) = image_of(listing, &lookup, &path, "")
        {
            // A second claim is said where the other file is read.
            let _ = gathered.claim(image, &path);
        }
        let added = file.and_then(|file| add(listing, &lookup, &path, file, &mut gathered));
        if let Err(why) = added {
            gathered.unusable.push(CorruptFile { name: listing.name(&path), why });
        }
    }
    gathered.sort_classes();
    let category_ids = vec![None; gathered.classes.len()];
    gathered.sources.push(AnnotationSource { name: listing.name(""), category_ids });
    gathered.decisions.push(format!("LabelMe's JSON files: {}", gathered.images.len()));
    gathered
}

fn add(
    listing: &Listing,
    lookup: &Lookup<'_>,
    path: &str,
    labelled: LabelMe,
    gathered: &mut Gathered,
) -> Result<(), String> {
    let file = image_of(listing, lookup, path, labelled.image_path.as_deref().unwrap_or_default())?;
    gathered.claim(file, path)?;
    let stated = labelled.height.zip(labelled.width).map(|(height, width)| ImageSize { height, width });
    stated.map_or(Ok(()), |size| check_pixels(path, size))?;
    let mut objects: Vec<AnnotatedObject> = Vec::new();
    let mut groups: HashMap<(i64, String), usize> = HashMap::new();
    for (id, shape) in (1..).zip(labelled.shapes) {
        let label = canonical_name(&shape.label);
        let group = shape.group_id.map(|group| (group, label.clone()));
        let Some((bounds, region)) = region(shape, stated)? else {
            gathered.quirks.add(Quirk::NoShape, || format!("shape {id} of {path}"));
            continue;
        };
        let first = group.as_ref().and_then(|group| groups.get(group)).copied();
        if let Some(first) = first
            && is_joined(&mut objects[first], (bounds, &region), stated)?
        {
            continue;
        }
        groups.extend(group.map(|group| (group, objects.len())));
        let class = gathered.class(&label);
        objects.push(AnnotatedObject { id, class, bounds, region, ..AnnotatedObject::default() });
    }
    let split = split_of_image(listing.images.get(file));
    let id = gathered.images.len() as i64 + 1;
    gathered.images.push(AnnotatedFile { file, id, stated, split, objects, ..AnnotatedFile::default() });
    Ok(())
}

/// The image that a file names, unless another one beside it is called as itself: copies of files name the image of the
/// first.
fn image_of(listing: &Listing, lookup: &Lookup<'_>, path: &str, named: &str) -> Result<usize, String> {
    let is_beside = |image: &str| parent(image) == parent(path) && stem(image) == stem(path);
    let found = lookup.find(named, parent(path), split_of(path));
    let own = found.filter(|&image| stem(listing.images.get(image)) == stem(path));
    let own = own.or_else(|| listing.images.iter().position(is_beside));
    own.or(found).ok_or_else(|| format!("its image {} is not there", last(named)))
}

/// Adds a shape to the object that it is a part of: boxes to a box, rings to rings, and else by their pixels; `false` for
/// masks of an image whose size is not told.
fn is_joined(
    object: &mut AnnotatedObject,
    (bounds, region): (Option<BoundingBox>, &Region),
    size: Option<ImageSize>,
) -> Result<bool, String> {
    if let (Region::None, Region::None, Some(own), Some(other)) =
        (&object.region, region, object.bounds, bounds)
    {
        object.bounds = Some(own.around(&other));
        return Ok(true);
    }
    let [own, other] = [(&object.region, object.bounds), (region, bounds)].map(|(region, bounds)| {
        let ring = |bounds: BoundingBox| {
            let [left, top, right, bottom] = bounds.edges();
            Region::Rings(vec![vec![left, top, right, top, right, bottom, left, bottom]])
        };
        if *region == Region::None { bounds.map(ring).unwrap_or_default() } else { region.clone() }
    });
    if let (Region::Rings(rings), Region::Rings(more)) = (&own, &other) {
        let rings = [&rings[..], more].concat();
        (object.bounds, object.region) = (around_rings(&rings), Region::Rings(rings));
        return Ok(true);
    }
    let Some(size) = size else { return Ok(false) };
    let mut ranges = Ranges::new();
    for pixels in [own.pixels(size)?, other.pixels(size)?].iter().flatten() {
        ranges.extend(pixels.ranges());
    }
    ranges.sort_unstable();
    let counts = RunLengths::of_ranges(&ranges, size).counts().to_vec();
    (object.bounds, object.region) = (None, Region::Counts { size: [size.height, size.width], counts });
    Ok(true)
}

/// The box and the region of a shape; `None` for what is no region.
fn region(shape: Shape, size: Option<ImageSize>) -> Result<Option<(Option<BoundingBox>, Region)>, String> {
    let points = &shape.points;
    let rings = |ring: Vec<f64>| {
        let bounds = around(ring.as_chunks().0);
        Ok(Some((bounds, Region::Rings(vec![ring]))))
    };
    match shape.shape_type.as_deref().unwrap_or("polygon") {
        "polygon" => rings(points.as_flattened().to_vec()),
        "rectangle" if points.len() >= 2 => Ok(Some((around(points), Region::None))),
        "circle" if points.len() == 2 => rings(circle(points[0], points[1])),
        "mask" => {
            let size = size.ok_or("it has a mask, but no imageHeight and imageWidth")?;
            let corner = points.first().ok_or("a mask has no points")?;
            Ok(Some((None, pasted(shape.mask.as_deref().unwrap_or_default(), *corner, size)?)))
        }
        kind @ ("rectangle" | "circle") => Err(format!("a {kind} has {} points", points.len())),
        "point" | "points" | "line" | "linestrip" => Ok(None),
        kind => Err(format!("it has a shape of the unknown type '{kind}'")),
    }
}

/// A circle by its centre and a point of its rim, as a ring.
fn circle([x, y]: [f64; 2], rim: [f64; 2]) -> Vec<f64> {
    const CORNERS: usize = 64;
    let radius = (rim[0] - x).hypot(rim[1] - y);
    let corner = |at: usize| {
        let (sin, cos) = (TAU * at as f64 / CORNERS as f64).sin_cos();
        [x + radius * cos, y + radius * sin]
    };
    (0..CORNERS).flat_map(corner).collect()
}

/// The pixels of a PNG that are not 0, with its corner at a point of an image of this size.
fn pasted(mask: &str, corner: [f64; 2], size: ImageSize) -> Result<Region, String> {
    let bytes = STANDARD.decode(mask).map_err(|error| format!("its mask is no base64: {error}"))?;
    let mask = decode_mask(&bytes, "its mask").map_err(|error| error.to_string())?;
    let inside: Vec<bool> = match mask.pixels {
        MaskPixels::Ids(ids, _) | MaskPixels::Palette(ids, _) => ids.into_iter().map(|id| id > 0).collect(),
        MaskPixels::Colours(colours) => colours.into_iter().map(|colour| colour != [0; 3]).collect(),
    };
    let [left, top] = corner.map(|place| place as i64);
    // Down the columns of the mask alone: the image may be large.
    let columns = (0..mask.size.width).flat_map(|x| (0..mask.size.height).map(move |y| (x, y)));
    let placed = columns
        .filter(|(x, y)| inside[y * mask.size.width + x])
        .filter_map(|(x, y)| {
            let place = |from: i64, step: usize| usize::try_from(from.saturating_add(step as i64)).ok();
            Some((place(left, x)?, place(top, y)?))
        })
        .filter(|&(x, y)| x < size.width && y < size.height);
    let ranges: Ranges = placed.map(|(x, y)| x * size.height + y).map(|at| (at, at + 1)).collect();
    let counts = RunLengths::of_ranges(&ranges, size).counts().to_vec();
    Ok(Region::Counts { size: [size.height, size.width], counts })
}
