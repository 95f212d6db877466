//! `convnext data pack`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use convnext::core::{Seed, counted};
use convnext::data::{
    Dataset, HELD_OUT, LabelledData, PackSummary, Split, open_parts, open_unlabelled, pack,
};

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
    /// Share of each class that becomes OUT/val when the data has no part for validation or a test
    #[arg(long, value_name = "F", value_parser = values::share, default_value_t = HELD_OUT, requires = "labelled")]
    val_fraction: f64,
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

pub(super) fn run(arguments: &PackArguments, quiet: bool) -> anyhow::Result<()> {
    let PackArguments { data, out, .. } = arguments;
    check_apart(out, &[data])?;
    let seed = Seed(arguments.seed);
    if !arguments.labelled {
        return pack_part(&open_unlabelled(data)?, out.clone(), arguments, quiet);
    }
    let [train_folder, validation_folder, test_folder] = [TRAIN, VALIDATION, TEST].map(|part| out.join(part));
    // Before hours of packing, and all of them: parts of another packing would count as parts of this one.
    for folder in [&train_folder, &validation_folder, &test_folder] {
        check_empty(folder)?;
    }
    let (LabelledData { train, validation, validation_split, .. }, test) =
        open_parts(data, arguments.labels.as_deref(), arguments.val_fraction, seed)?;
    pack_part(&train, train_folder, arguments, quiet)?;
    match (validation_split, test) {
        // Under the name of another part, images for a last test would look like images to choose by.
        (Some(Split::Test), _) => pack_part(&validation, test_folder, arguments, quiet),
        (_, test) => {
            pack_part(&validation, validation_folder, arguments, quiet)?;
            test.map_or(Ok(()), |test| pack_part(&test.images, test_folder, arguments, quiet))
        }
    }
}

/// Refuses a folder that holds something, but for the hidden files that a killed process leaves.
fn check_empty(folder: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => {
            found.with_context(|| format!("cannot use {}; give a new folder as OUT", folder.display()))?
        }
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    match names.find(|name| !name.to_string_lossy().starts_with('.')) {
        None => Ok(()),
        Some(name) => {
            bail!("{} holds {} already; give a new folder as OUT", folder.display(), name.display())
        }
    }
}

fn pack_part(images: &Dataset, out: PathBuf, arguments: &PackArguments, quiet: bool) -> anyhow::Result<()> {
    const MEBIBYTE: u64 = 1 << 20;
    let bar = image_bar(quiet, images.len());
    let images = images.shuffled(Seed(arguments.seed));
    let PackSummary { shards, images, bytes } =
        pack(&images, &out, arguments.shard_size as u64 * MEBIBYTE, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    print_text(&format!(
        "wrote {}, {} MiB, to {} in {}",
        counted_in_thousands(images, "image", "images"),
        thousands(bytes / MEBIBYTE),
        counted(shards, "shard", "shards"),
        out.display()
    ))
}
