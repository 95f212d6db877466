//! Opening data for detection.

use std::path::Path;
use std::sync::Arc;

use convnext_core::Seed;

use crate::datasets::image_parts::{Divided, ImageParts};
use crate::datasets::parts::Split;
use crate::detection::checked::Checked;
use crate::detection::data::{DetectionData, DetectionLayout, DetectionPart};
use crate::detection::error::AnnotationError;
use crate::detection::found::Found;
use crate::detection::quirks::AnnotationRemark;
use crate::detection::set::{DetectionSet, SharedEntries};
use crate::error::DataError;

/// Opens images with annotations of objects: a folder, a `.tar` or a `.tar.gz`.
///
/// Annotations are those of the first kind that is there: COCO's JSON (`annotations/instances_*.json`,
/// `_annotations.coco.json` or any other beside or above the images), YOLO's labels with `data.yaml`, LabelMe's JSON, Pascal
/// VOC's XML, or YOLO's labels without `data.yaml`; or else [`DetectionLayout::annotations`]. The words of parts that
/// [`crate::open_labelled`] knows divide images, in the names of files of annotations, or else of the folders of images.
/// Without a part for validation that for a test is taken, and without that a share is held out by the seed.
///
/// What is unusual in annotations is mended or left out, and said in [`DetectionData::decisions`] and
/// [`DetectionData::remarks`] (facts, "COCO JSON"); what cannot be meant is refused.
///
/// # Errors
/// [`DataError`] when there are no annotations, [`AnnotationError`] when they cannot be used, and
/// [`DataError::UnknownClass`] for a class that the training part lacks.
pub fn open_detection(path: &Path, layout: &DetectionLayout, seed: Seed) -> Result<DetectionData, DataError> {
    data_of(opened(path, layout)?, layout, seed)
}

/// Opens the part of a data set that a trained network is evaluated on: the one that is asked for, or else the one for
/// validation, or else the one for a test, or else all images of data without parts. Layouts are those of [`open_detection`];
/// the classes are matched with the model's by [`DetectionSet::for_classes`].
///
/// # Errors
/// Those of [`open_detection`], and [`DataError::Layout`] when there is no such part.
pub fn open_detection_part(
    path: &Path,
    layout: &DetectionLayout,
    asked: Option<Split>,
) -> Result<DetectionPart, DataError> {
    let opened = opened(path, layout)?;
    let (split, members) = opened.parts.to_measure(asked)?;
    Ok(DetectionPart {
        split,
        source: opened.source(split),
        images: DetectionSet::new(&opened.shared, &members),
        decisions: opened.decisions,
        remarks: opened.remarks,
    })
}

/// The parts of understood data that are trained and measured on.
pub(crate) fn data_of(
    opened: Opened,
    layout: &DetectionLayout,
    seed: Seed,
) -> Result<DetectionData, DataError> {
    let Divided { train, validation, validation_split, test } =
        opened.parts.divided(layout.validation_fraction, seed)?;
    let train_source = opened.source(Some(Split::Train));
    let validation_source = validation_split.map_or(train_source.clone(), |split| opened.source(Some(split)));
    let set = |members: &[usize]| DetectionSet::new(&opened.shared, members);
    Ok(DetectionData {
        train: set(&train),
        validation: set(&validation),
        test: Some(set(&test)).filter(|test| !test.is_empty()),
        classes: opened.shared.classes.clone(),
        held_out: validation_split.is_none(),
        validation_split,
        train_source,
        validation_source,
        decisions: opened.decisions,
        remarks: opened.remarks,
    })
}

/// Data all of whose annotations can be used.
fn opened(path: &Path, layout: &DetectionLayout) -> Result<Opened, DataError> {
    let checked = Checked::of(Found::of(path, layout)?, layout, None, |_, _| ())?;
    if !checked.unusable.is_empty() {
        let Checked { root, total, unusable: files, .. } = checked;
        return Err(AnnotationError::Unusable { path: root, count: files.len(), total, files }.into());
    }
    Ok(Opened::of(checked))
}

/// A data set whose annotations are understood.
pub(crate) struct Opened {
    shared: Arc<SharedEntries>,
    parts: ImageParts,
    decisions: Vec<String>,
    remarks: Vec<AnnotationRemark>,
}

impl Opened {
    pub(crate) fn of(checked: Checked) -> Self {
        let Checked { root, shared, splits, decisions, remarks, .. } = checked;
        Self { shared: Arc::new(shared), parts: ImageParts { root, splits }, decisions, remarks }
    }

    /// Where the images of a part lie.
    fn source(&self, split: Option<Split>) -> String {
        self.parts.source(split, |at| self.shared.files.name(self.shared.entries[at].file))
    }
}
