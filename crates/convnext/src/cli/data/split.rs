//! `convnext data split`

use std::path::PathBuf;

use clap::Args;
use convnext::core::{Seed, counted};
use convnext::data::{Dataset, HELD_OUT, SplitOptions, SplitSummary, open_undivided, split_into_folders};

use crate::cli::out_folder::check_apart;
use crate::cli::output::{print_text, shell_word, thousands};
use crate::cli::progress::image_bar;
use crate::cli::values;

/// Divide labelled images into folders for training, validation and test
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Writes OUT/train/CLASS, OUT/val/CLASS and with --test OUT/test/CLASS, each with its share of every class and at least one \
image. Identical files stay in one part, and those in several classes are for training. The images of DATA stay as they \
are. The same seed makes the same parts.

Examples:
  convnext data split photos divided
  convnext data split photos divided --val 0.15 --test 0.15 --seed 1 --link
  convnext finetune --data divided --model atto --out runs/classifier
  convnext evaluate --data divided --split test --weights runs/classifier"
)]
pub(super) struct SplitArguments {
    /// Labelled images without parts: a folder of class folders, a .tar or a .tar.gz
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Folder for the parts, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// CSV file with the columns path and label, instead of folders as classes
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Share of each class for validation; 0 for no such part, where `finetune` takes the one for a test instead
    #[arg(long, value_name = "F", value_parser = values::share_or_zero, default_value_t = HELD_OUT)]
    val: f64,
    /// Share of each class for a test [default: no test]
    #[arg(long, value_name = "F", value_parser = values::share)]
    test: Option<f64>,
    /// Seed of the choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Make hard links instead of copies: no space is taken, but a change of one is a change of both
    #[arg(long)]
    link: bool,
}

pub(super) fn run(arguments: &SplitArguments, quiet: bool) -> anyhow::Result<()> {
    let SplitArguments { data, out, labels, .. } = arguments;
    check_apart(out, &[data])?;
    let images = open_undivided(data, labels.as_deref())?;
    if images.classes().len() < 2 {
        log::warn!("there is one class, and a classifier needs at least two");
    }
    let options = SplitOptions {
        validation: arguments.val,
        test: arguments.test.unwrap_or(0.0),
        seed: Seed(arguments.seed),
        link: arguments.link,
    };
    let bar = image_bar(quiet, images.len());
    let summary = split_into_folders(&images, out, &options, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    print_text(&described(&summary, &images, arguments))
}

fn described(summary: &SplitSummary, images: &Dataset, arguments: &SplitArguments) -> String {
    let SplitSummary { images: counts, duplicates, missing } = summary;
    let out = arguments.out.display();
    let parts = ["train", "val", "test"].iter().zip(counts).filter(|(_, count)| **count > 0);
    let parts: Vec<String> =
        parts.map(|(name, &count)| format!("{} to {out}/{name}", thousands(count as u64))).collect();
    let what = if arguments.link { "linked" } else { "copied" };
    let classes = counted(images.classes().len(), "class", "classes");
    let mut lines = vec![format!("{what} images of {classes}: {}", parts.join(", "))];
    if *duplicates > 0 {
        lines.push(format!(
            "{} of them are identical to another one, and in the same part",
            thousands(*duplicates as u64)
        ));
    }
    if !missing.is_empty() {
        lines.push(format!("too few different images for every part: {}", missing.join(", ")));
    }
    let test = if arguments.test.is_some() { " --split test" } else { "" };
    let out = shell_word(&arguments.out);
    lines.push(format!(
        "next: convnext finetune --data {out} --model atto --out classifier\n      \
         convnext evaluate --data {out}{test} --weights classifier"
    ));
    lines.join("\n")
}
