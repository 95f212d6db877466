//! Writing a data set for detection in another layout.

use std::fs;
use std::path::Path;

use convnext_core::counted;

use crate::datasets::class_files::FreeNames;
use crate::datasets::partial_folder::{PartialFolder, failed};
use crate::datasets::parts::Split;
use crate::datasets::split_folders::place;
use crate::detection::data::DetectionData;
use crate::detection::error::AnnotationError;
use crate::detection::set::DetectionSet;
use crate::detection::write_coco::write_coco;
use crate::detection::write_yolo::{is_outlined, write_data_file, write_labels};
use crate::error::DataError;
use crate::pixels::orientation::Orientation;

/// Layout of annotations that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationFormat {
    /// `annotations/instances_PART.json` beside the folders of images.
    Coco,
    /// `images/PART`, `labels/PART` and `data.yaml`.
    Yolo,
}

/// Summary of what [`convert_annotations`] wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConvertSummary {
    /// Name, images and objects of each part; crowds are none.
    pub parts: Vec<(&'static str, usize, usize)>,
    /// What the layout cannot say, in words.
    pub lost: Vec<String>,
}

/// Writes images and annotations to a new or empty folder. Images are copied as they are, or linked.
///
/// COCO's file has polygons as polygons and run lengths as run lengths. YOLO's rows have the outline of a mask in one ring,
/// whose areas and holes are joined by lines without width; crowds are left out.
///
/// `progress` is called with the number of images done after each one. What is written appears when all is, and after an
/// error there is nothing. A process that is killed leaves a hidden folder in `out`, which ends in `.partial`.
///
/// # Errors
/// [`DataError::Layout`] when `out` holds files, [`AnnotationError::File`] for YOLO where annotations are of images without
/// the turn in their EXIF data, [`DataError::Io`] and [`DataError::Link`] with the file that cannot be read, written or
/// linked.
pub fn convert_annotations(
    data: &DetectionData,
    out: &Path,
    format: AnnotationFormat,
    link: bool,
    mut progress: impl FnMut(usize),
) -> Result<ConvertSummary, DataError> {
    if format == AnnotationFormat::Yolo && data.train.orientation() == Orientation::Ignore {
        let path = data.train.images().name(0);
        let found =
            "they are of images without the turn in their EXIF data, which YOLO's programs honour".to_owned();
        let advice = "turn the pixels of these images, or write COCO's JSON".to_owned();
        return Err(AnnotationError::File { path, found, advice }.into());
    }
    let partial = PartialFolder::create(out)?;
    let out = partial.path();
    let mut summary = ConvertSummary::default();
    let mut done = 0;
    let parts = parts(data);
    for &(name, set) in &parts {
        let folder = match format {
            AnnotationFormat::Coco => out.join(name),
            AnnotationFormat::Yolo => out.join("images").join(name),
        };
        let names = place_images(set, &folder, link, || {
            done += 1;
            progress(done);
        })?;
        match format {
            AnnotationFormat::Coco => write_coco(set, &names, &out.join("annotations"), name)?,
            AnnotationFormat::Yolo => write_labels(set, &names, &out.join("labels").join(name))?,
        }
        summary.add(name, set, format);
    }
    if format == AnnotationFormat::Yolo {
        write_data_file(&data.classes, parts.iter().map(|(name, _)| *name), out)?;
        if data.validation_split == Some(Split::Test) {
            let said =
                "data.yaml has no val, which YOLO's programs want: the data has a part for a test alone";
            summary.lost.push(said.to_owned());
        }
    }
    // Without the images to train on, annotations are refused.
    partial.publish(Some(match format {
        AnnotationFormat::Coco => "train",
        AnnotationFormat::Yolo => "images",
    }))?;
    Ok(summary)
}

/// The parts that there are, by the names of their folders.
fn parts(data: &DetectionData) -> Vec<(&'static str, &DetectionSet)> {
    let validation = match data.validation_split {
        Some(Split::Test) => "test",
        _ => "val",
    };
    let parts =
        [("train", Some(&data.train)), (validation, Some(&data.validation)), ("test", data.test.as_ref())];
    parts.into_iter().filter_map(|(name, set)| Some((name, set?))).collect()
}

impl ConvertSummary {
    fn add(&mut self, name: &'static str, set: &DetectionSet, format: AnnotationFormat) {
        let objects = || (0..set.len()).flat_map(|index| set.instances(index));
        let crowds = objects().filter(|instance| instance.is_crowd).count();
        let lost = if format == AnnotationFormat::Yolo { crowds } else { 0 };
        if lost > 0 {
            self.lost.push(format!("{name}: {} left out", counted(lost, "crowd is", "crowds are")));
        }
        let boxes = |index: usize| {
            let objects = set.instances(index).iter().filter(|instance| !instance.is_crowd);
            objects.filter(|instance| instance.mask.is_none()).count()
        };
        let boxes: usize = match format {
            AnnotationFormat::Coco => 0,
            AnnotationFormat::Yolo => {
                (0..set.len()).filter(|&index| is_outlined(set, index)).map(boxes).sum()
            }
        };
        if boxes > 0 {
            let said = counted(boxes, "box is written as an outline", "boxes are written as outlines");
            self.lost.push(format!("{name}: {said}, as images with masks have"));
        }
        self.parts.push((name, set.len(), objects().count() - crowds));
    }
}

/// Copies or links the images of a part; returns their new names.
fn place_images(
    set: &DetectionSet,
    folder: &Path,
    link: bool,
    mut progress: impl FnMut(),
) -> Result<Vec<String>, DataError> {
    fs::create_dir_all(folder).map_err(|source| failed("create", folder, source))?;
    // Names without extension are apart as well, as labels have them.
    let mut stems = FreeNames::default();
    let mut names = Vec::with_capacity(set.len());
    for index in 0..set.len() {
        let name = set.images().file_name(index);
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, "png"));
        let free = stems.path(folder, stem);
        let stem = free.file_name().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = format!("{stem}.{extension}");
        place(set.images(), index, &folder.join(&name), link)?;
        names.push(name);
        progress();
    }
    Ok(names)
}
