//! `convnext data pack`

use std::path::{Path, PathBuf};

use clap::Args;
use convnext::core::{Seed, counted};
use convnext::data::{
    Dataset, HELD_OUT, LabelledData, PackSummary, Split, open_parts, open_unlabelled, pack, pack_parts,
};

use crate::cli::finetune::share::check_share_is_used;
use crate::cli::out_folder::check_apart;
use crate::cli::output::{counted_in_thousands, print_text, thousands};
use crate::cli::progress::image_bar;
use crate::cli::values;

/// Write images as shards: few large files that are read from end to end
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Shards are .tar files in the WebDataset convention: each image, with every byte of its file, and beside it the number \
of its class. Labelled data becomes OUT/train and OUT/val, and OUT/test if there is such a part; where the data has \
no part for validation but one for a test, OUT/train and OUT/test. Images are packed in a random order, because an epoch shuffles \
shards, and within them only neighbours.

Examples:
  convnext data pack photos packed
  convnext data pack imagenet packed --labelled --shard-size 512
  convnext finetune --data packed --model atto --out runs/packed"
)]
pub(super) struct PackArguments {
    /// Images: a folder, a .tar or a .tar.gz
    #[arg(value_name = "PATH")]
    data: PathBuf,
    /// Folder of the shards, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The images are labelled, as for `finetune`
    #[arg(long)]
    labelled: bool,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes
    #[arg(long, value_name = "FILE", requires = "labelled")]
    labels: Option<PathBuf>,
    /// Share of each class that becomes OUT/val when the data has no part for validation or a test [default: 0.2]
    #[arg(long, value_name = "F", value_parser = values::share, requires = "labelled")]
    val_fraction: Option<f64>,
    /// Most mebibytes of a shard
    #[arg(long, value_name = "MIB", value_parser = values::count, default_value_t = 256)]
    shard_size: usize,
    /// Seed of the order, and of what becomes OUT/val
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Folders of the parts of labelled data.
const TRAIN: &str = "train";
const VALIDATION: &str = "val";
const TEST: &str = "test";

const MEBIBYTE: u64 = 1 << 20;

pub(super) fn run(arguments: &PackArguments, quiet: bool) -> anyhow::Result<()> {
    let PackArguments { data, out, .. } = arguments;
    check_apart(out, &[data])?;
    // A size beyond all disks is as good as none.
    let shard_bytes = (arguments.shard_size as u64).saturating_mul(MEBIBYTE);
    if !arguments.labelled {
        let images = open_unlabelled(data)?.shuffled(Seed(arguments.seed));
        let bar = image_bar(quiet, images.len());
        let summary = pack(&images, out, shard_bytes, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        return tell(&summary, out);
    }
    let parts = parts(arguments)?;
    let bar = image_bar(quiet, parts.iter().map(|(_, images)| images.len()).sum());
    let summaries = pack_parts(&parts, out, shard_bytes, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    parts.iter().zip(&summaries).try_for_each(|((name, _), summary)| tell(summary, &out.join(name)))
}

/// The parts of labelled data by the names of their folders, each in the order in which it is packed.
fn parts(arguments: &PackArguments) -> anyhow::Result<Vec<(&'static str, Dataset)>> {
    let PackArguments { data, labels, val_fraction, .. } = arguments;
    let seed = Seed(arguments.seed);
    let (labelled, test) = open_parts(data, labels.as_deref(), val_fraction.unwrap_or(HELD_OUT), seed)?;
    let sources = [&*labelled.validation_source, &*labelled.train_source];
    check_share_is_used(*val_fraction, labelled.held_out, sources, data)?;
    let LabelledData { train, validation, validation_split, .. } = labelled;
    let mut parts = vec![(TRAIN, train)];
    if validation_split == Some(Split::Test) {
        // Under the name of another part, images for a last test would look like images to choose by.
        parts.push((TEST, validation));
    } else {
        parts.push((VALIDATION, validation));
        parts.extend(test.map(|test| (TEST, test.images)));
    }
    Ok(parts.into_iter().map(|(name, images)| (name, images.shuffled(seed))).collect())
}

fn tell(summary: &PackSummary, out: &Path) -> anyhow::Result<()> {
    let PackSummary { shards, images, bytes } = *summary;
    print_text(&format!(
        "wrote {}, {} MiB, to {} in {}",
        counted_in_thousands(images, "image", "images"),
        thousands(bytes / MEBIBYTE),
        counted(shards, "shard", "shards"),
        out.display()
    ))
}
