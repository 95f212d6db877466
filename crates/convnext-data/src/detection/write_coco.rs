//! COCO's JSON of a data set.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::datasets::partial_folder::failed;
use crate::detection::set::DetectionSet;
use crate::error::DataError;
use crate::instances::instance::{Instance, InstanceMask};

#[derive(Serialize)]
struct Written<'a> {
    images: Vec<WrittenImage<'a>>,
    annotations: Vec<WrittenAnnotation<'a>>,
    categories: Vec<WrittenCategory<'a>>,
}

#[derive(Serialize)]
struct WrittenImage<'a> {
    id: i64,
    file_name: &'a str,
    width: usize,
    height: usize,
}

#[derive(Serialize)]
struct WrittenAnnotation<'a> {
    id: usize,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmentation: Option<WrittenRegion<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenRegion<'a> {
    Rings(&'a [Vec<f64>]),
    Text { size: [usize; 2], counts: String },
}

#[derive(Serialize)]
struct WrittenCategory<'a> {
    id: i64,
    name: &'a str,
}

/// Writes `instances_PART.json` into a folder. Images and classes keep the numbers that they have, unless two have one.
///
/// # Errors
/// [`DataError::Io`].
pub(crate) fn write_coco(
    set: &DetectionSet,
    names: &[String],
    folder: &Path,
    part: &str,
) -> Result<(), DataError> {
    fs::create_dir_all(folder).map_err(|source| failed("create", folder, source))?;
    let image_ids = distinct((0..set.len()).map(|index| set.image_id(index)).collect());
    let category_ids = distinct((0..set.classes().len()).map(|class| set.category_id(class)).collect());
    let written = |index: usize, instance| annotation(set, index, instance, (&image_ids, &category_ids));
    let objects =
        (0..set.len()).flat_map(|index| set.instances(index).iter().map(move |found| (index, found)));
    let annotations =
        objects.zip(1..).map(|((index, instance), id)| WrittenAnnotation { id, ..written(index, instance) });
    let images = names.iter().enumerate().map(|(index, name)| {
        let size = set.image_size(index);
        WrittenImage { id: image_ids[index], file_name: name, width: size.width, height: size.height }
    });
    let classes = set.classes().0.iter().zip(&category_ids);
    let written = Written {
        images: images.collect(),
        annotations: annotations.collect(),
        categories: classes.map(|(name, &id)| WrittenCategory { id, name }).collect(),
    };
    let path = folder.join(format!("instances_{part}.json"));
    let write = || {
        let mut file = BufWriter::new(File::create(&path)?);
        serde_json::to_writer(&mut file, &written)?;
        file.flush()
    };
    write().map_err(|source| failed("write", &path, source))
}

fn annotation<'a>(
    set: &DetectionSet,
    index: usize,
    instance: &'a Instance,
    (image_ids, category_ids): (&[i64], &[i64]),
) -> WrittenAnnotation<'a> {
    let size = set.image_size(index);
    let segmentation = instance.mask.as_ref().map(|mask| match mask {
        InstanceMask::Rings(rings) => WrittenRegion::Rings(rings),
        InstanceMask::RunLengths(pixels) => {
            WrittenRegion::Text { size: [size.height, size.width], counts: pixels.text() }
        }
    });
    WrittenAnnotation {
        id: 0,
        image_id: image_ids[index],
        category_id: category_ids[instance.class],
        bbox: instance.bounds.corner_and_size(),
        area: instance.area,
        iscrowd: u8::from(instance.is_crowd),
        segmentation,
    }
}

/// The numbers, or 1, 2, 3 and so on where two are equal.
fn distinct(ids: Vec<i64>) -> Vec<i64> {
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    let repeats = sorted.windows(2).any(|pair| pair[0] == pair[1]);
    if repeats { (1..=ids.len() as i64).collect() } else { ids }
}
