//! Fine-tunes a classifier on a folder of labelled images, with the default recipe of the program:
//! `cargo run --release --example finetune -- WEIGHTS FOLDER OUT`.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::tensor::Device;
use convnext::core::Seed;
use convnext::train::{
    Classification, EpochProgress, FinetuneJob, FinetuneRecipe, Freeze, Given, InitFrom, LabelSubset, Length,
    Observer, RecipeContext, RunSettings, Setting, StepReport, finetune, read_metadata,
};

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let weights = arguments.next().context("name weights to start from")?;
    let folder = arguments.next().context("name a folder of labelled images")?;
    let out = arguments.next().context("name a folder for the run")?;

    let labels = LabelSubset::default();
    let data = labels.open(Path::new(&folder), Seed(0))?;
    let pretrained = read_metadata(Path::new(&weights))?;
    let model = pretrained.convnext()?;
    let size = pretrained.preprocessing.image_size();
    let of_weights = size.map(|size| Setting::of_size(size, "the weights"));
    let given = Given { weights: of_weights.into_iter().collect(), ..Given::default() };
    let recipe = FinetuneRecipe::choose(
        "auto",
        &given,
        &RecipeContext {
            model: &model,
            init_from: InitFrom::of(Some(&pretrained)),
            head_only: false,
            images: data.train.len(),
            class_sizes: &data.train.labels_per_class(),
        },
    )?;

    let run = RunSettings {
        init: Some(PathBuf::from(&weights)),
        length: Some(Length::Epochs(5.0)),
        ..RunSettings::new(&folder, &out)
    };
    let job = FinetuneJob { run, labels, freeze: Freeze::Nothing, model, recipe };
    let done = finetune::<Classification>(&job, data, &Device::flex(), &mut Epochs)?;
    println!("weights: {}", done.weights.display());
    Ok(())
}

/// Tells how each epoch went.
struct Epochs;

impl Observer for Epochs {
    fn start(&mut self, summary: &str) {
        println!("{summary}");
    }

    fn step(&mut self, _report: &StepReport) {}

    fn epoch(&mut self, progress: &EpochProgress<'_>) {
        println!("{progress}");
    }
}
