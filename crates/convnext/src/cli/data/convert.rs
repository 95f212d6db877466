//! `convnext data convert`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use convnext::core::{Seed, counted};
use convnext::data::{AnnotationFormat, AnnotationRemark, DetectionSet, convert_annotations, open_detection};

use crate::cli::detection_data::DetectionDataArguments;
use crate::cli::finetune::share::check_share_is_used;
use crate::cli::out_folder::check_apart;
use crate::cli::output::{print_text, thousands};
use crate::cli::progress::image_bar;
use crate::cli::values;

/// Write images with annotations of objects in another layout
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Reads COCO's JSON, YOLO's labels, LabelMe's JSON and Pascal VOC's XML. COCO is written as OUT/annotations/instances_PART.json \
beside OUT/PART, YOLO as OUT/data.yaml, OUT/images/PART and OUT/labels/PART. Masks become outlines in YOLO's rows, and crowds \
are left out there. Data with a part neither for validation nor for a test is divided by the seed.

Examples:
  convnext data convert nuclei yolo-nuclei --to yolo
  convnext data convert yolo-nuclei coco-nuclei --to coco --link"
)]
pub(super) struct ConvertArguments {
    /// Images with annotations: a folder, a .tar or a .tar.gz
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Folder to write, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Layout to write
    #[arg(long, value_name = "LAYOUT")]
    to: Layout,
    #[command(flatten)]
    objects: DetectionDataArguments,
    /// Share of the images for validation when the data has no part for validation or a test [default: 0.2]
    #[arg(long, value_name = "F", value_parser = values::share)]
    val_fraction: Option<f64>,
    /// Seed of what becomes the part for validation
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Make hard links to images instead of copies: no space is taken, but a change of one is a change of both
    #[arg(long)]
    link: bool,
}

/// Layout of annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// COCO's JSON
    Coco,
    /// YOLO's text files and data.yaml
    Yolo,
}

pub(super) fn run(arguments: &ConvertArguments, quiet: bool) -> anyhow::Result<()> {
    let ConvertArguments { data: path, out, to, objects, val_fraction, seed, link } = arguments;
    check_apart(out, &[path])?;
    let data = open_detection(path, &objects.layout(None, *val_fraction), Seed(*seed))?;
    let sources = [&*data.validation_source, &*data.train_source];
    check_share_is_used(*val_fraction, data.held_out, sources, path)?;
    let parts = [Some(&data.train), Some(&data.validation), data.test.as_ref()];
    let bar = image_bar(quiet, parts.into_iter().flatten().map(DetectionSet::len).sum());
    let format = match to {
        Layout::Coco => AnnotationFormat::Coco,
        Layout::Yolo => AnnotationFormat::Yolo,
    };
    let summary = convert_annotations(&data, out, format, *link, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    let mut lines = data.decisions.clone();
    lines.extend(data.remarks.iter().map(AnnotationRemark::sentence));
    lines.extend(summary.lost);
    if data.held_out {
        lines.push("the part for validation was held out of the images by the seed".into());
    }
    lines.extend(summary.parts.iter().map(|(name, images, objects)| {
        let images = counted(*images, "image", "images");
        let word = if *objects == 1 { "object" } else { "objects" };
        format!("{name}: {images} with {} {word}", thousands(*objects as u64))
    }));
    lines.push(format!("wrote {}", out.display()));
    print_text(&lines.join("\n"))
}
