//! Arguments of `convnext data check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::detection_data::DetectionDataArguments;
use crate::cli::segmentation_data::SegmentationDataArguments;
use crate::cli::values::{self, DecodeArguments};

/// Look at every image: counts, sizes, files that cannot be read, duplicates, and a page of images
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Labelled data is looked at part by part, as `finetune` takes it by default, and what was taken for which part is said; \
images without class folders are looked at as unlabelled ones; --unlabelled does so with any.
Of images with more than 8 bit it says which values they use, and how many of 256 levels each --range leaves of them.
Duplicates are images with the same pixels. Those in training and validation at once make results look too good.
Ends with code 1 when images cannot be read.
With --task segment it looks at masks as well: the values that they hold and the classes that these mean, pixels and images \
of each class, images and masks without a partner, and images under the colours of their classes on the page. Code 1 says \
that a training would refuse them.
With --task detect it looks at annotations of objects: objects of each class and size, what is unusual in them and what is \
done about it, and images with boxes and masks on the page. Code 1 says that a training would refuse them.

Examples:
  convnext data check labelled
  convnext data check photos.tar --unlabelled --out photos.html
  convnext data check labelled --json
  convnext data check camvid --task segment --ignore-index 11
  convnext data check nuclei --task detect"
)]
pub(super) struct CheckArguments {
    /// Images: a folder, a .tar, a .tar.gz or a folder of shards
    #[arg(value_name = "PATH")]
    pub(super) data: PathBuf,
    /// Task that the data is for
    #[arg(long, value_name = "TASK", default_value = "classification")]
    pub(super) task: CheckedTask,
    /// Folders are no classes
    #[arg(long, conflicts_with = "labels")]
    pub(super) unlabelled: bool,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// Page with what was found and a contact sheet
    #[arg(long, value_name = "FILE.html", value_parser = values::page, default_value = "check.html")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) masks: SegmentationDataArguments,
    #[command(flatten)]
    pub(super) objects: DetectionDataArguments,
    /// Most images of a class on the page; with --task segment or detect of a part
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub(super) images: usize,
    /// Channels of the images, as for `pretrain`; more than 3 are those of TIFF files [default: 3]
    #[arg(long, value_name = "N", value_parser = values::channels)]
    pub(super) channels: Option<usize>,
    #[command(flatten)]
    pub(super) decoding: DecodeArguments,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    pub(super) threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Task that data is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckedTask {
    /// Classes of images, or none
    Classification,
    /// Masks: a class for every pixel
    #[value(alias = "segmentation")]
    Segment,
    /// Objects: boxes and perhaps masks
    #[value(alias = "detection")]
    Detect,
}
