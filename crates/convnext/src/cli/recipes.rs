//! `convnext recipes`

mod made;

use anyhow::bail;
use clap::{Args, Subcommand};
use convnext::detect::DetectRecipe;
use convnext::segment::SegmentRecipe;
use convnext::train::{FinetuneRecipe, InitFrom, PretrainRecipe, SupervisedRecipe, TrainingRecipe};
use serde::Serialize;

use self::made::{Made, MadeForArguments};
use super::output::{print_json, print_text, table};
use super::values;

/// List the recipes, or show one as it is run
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
`auto`, the default of a training, and `paper` depend on the model and the images: to show them, name both.

Examples:
  convnext recipes
  convnext recipes show paper-tiny
  convnext recipes show paper-tiny --batch-size 8 --accumulate 16
  convnext recipes show auto --data photos --model atto
  convnext recipes show auto --data photos --init runs/pretrained
  convnext recipes show auto --data photos --model atto --task pretraining
  convnext recipes show auto --data camvid --model atto --task segment --ignore-index 11
  convnext recipes show auto --data nuclei --model atto --task detect
  convnext recipes show paper-ade20k-base
  convnext recipes show paper-base > mine.toml   # to change it, and run it with --recipe mine.toml"
)]
pub(crate) struct RecipesArguments {
    #[command(subcommand)]
    command: Option<RecipesCommand>,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RecipesCommand {
    /// Print a recipe as TOML, with what it extends and its rate resolved
    Show(ShowArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  convnext recipes show paper-tiny --batch-size 8 --accumulate 16
  convnext recipes show auto --data photos --model atto
  convnext recipes show paper-base > mine.toml   # to change it, and run it with --recipe mine.toml")]
struct ShowArguments {
    /// Name of the recipe, or a TOML file
    #[arg(value_name = "NAME|FILE")]
    name: String,
    /// Batch size [default: that of the recipe]
    #[arg(long, value_name = "N", value_parser = values::count)]
    batch_size: Option<usize>,
    /// Gradient accumulation: batches of a step [default: that of the recipe]
    #[arg(long, value_name = "N", value_parser = values::count)]
    accumulate: Option<usize>,
    #[command(flatten)]
    made_for: MadeForArguments,
}

#[derive(Debug, Serialize)]
struct Row {
    command: &'static str,
    name: String,
    claim: String,
}

pub(crate) fn run(arguments: &RecipesArguments) -> anyhow::Result<()> {
    match &arguments.command {
        Some(RecipesCommand::Show(_)) if arguments.json => {
            bail!(
                "--json is for the list of recipes; `show` prints TOML, as --recipe reads it, so leave --json out"
            )
        }
        Some(RecipesCommand::Show(show)) => print_text(&shown(show)?),
        None => {
            let rows = rows()?;
            if arguments.json {
                return print_json(&rows);
            }
            let cells = |row: Row| vec![row.command.to_owned(), row.name, row.claim];
            print_text(&table(&["command", "recipe", "claim"], 3, rows.into_iter().map(cells).collect()))
        }
    }
}

/// Recipes that depend on the model and the images.
const MADE: [(&str, &str); 2] = [
    ("auto", "The default: made for the model and the images, with its reasons."),
    ("paper", "The paper's row for the model, what it starts from, its classes and the image size."),
];

/// The command of recipes for segmentation.
const SEGMENT: &str = "finetune --task segment";

/// The command of recipes for detection.
const DETECT: &str = "finetune --task detect";

fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for command in ["pretrain", "finetune", SEGMENT, DETECT] {
        let rule =
            |(name, claim): &(&str, &str)| Row { command, name: (*name).into(), claim: (*claim).into() };
        rows.extend(MADE.iter().map(rule));
    }
    for name in PretrainRecipe::names() {
        let claim = PretrainRecipe::load(name, &[])?.claim;
        rows.push(Row { command: "pretrain", name: name.to_owned(), claim });
    }
    for name in FinetuneRecipe::names() {
        let claim = FinetuneRecipe::load(name, &[], InitFrom::Pretrained)?.claim;
        rows.push(Row { command: "finetune", name: name.to_owned(), claim });
    }
    for name in SegmentRecipe::names() {
        let claim = SegmentRecipe::load(name, &[], InitFrom::Pretrained)?.claim;
        rows.push(Row { command: SEGMENT, name: name.to_owned(), claim });
    }
    for name in DetectRecipe::names() {
        let claim = DetectRecipe::load(name, &[], InitFrom::Pretrained)?.claim;
        rows.push(Row { command: DETECT, name: name.to_owned(), claim });
    }
    Ok(rows)
}

/// A recipe under each command that knows its name; a file is what it can be read as.
fn shown(show: &ShowArguments) -> anyhow::Result<String> {
    let name = &show.name;
    if show.made_for.data.is_some() {
        return shown_for(show);
    }
    if MADE.iter().any(|(made, _)| made == name) {
        bail!(
            "{name} depends on the model and the images: name them with --data PATH and --model NAME or --init WEIGHTS"
        );
    }
    let of_images = PretrainRecipe::names().chain(FinetuneRecipe::names());
    let of_maps = SegmentRecipe::names().chain(DetectRecipe::names());
    let is_built_in = of_images.chain(of_maps).any(|known| known == name);
    let mut texts = Vec::new();
    let pretrain = PretrainRecipe::load(name, &[]);
    let finetune = FinetuneRecipe::load(name, &[], InitFrom::Pretrained);
    if let Ok(mut recipe) = pretrain {
        let head = head("pretrain", &mut recipe.training, show);
        texts.push(format!("{head}\n{}", toml::to_string(&recipe)?));
    }
    if let Ok(mut recipe) = SegmentRecipe::load(name, &[], InitFrom::Pretrained) {
        let head = head(SEGMENT, &mut recipe.training, show);
        texts.push(format!("{head}\n{}", toml::to_string(&recipe)?));
    }
    if let Ok(mut recipe) = DetectRecipe::load(name, &[], InitFrom::Pretrained) {
        let head = head(DETECT, &mut recipe.training, show);
        texts.push(format!("{head}\n{}", toml::to_string(&recipe)?));
    }
    match finetune {
        Ok(mut recipe) => {
            let head = head("finetune", &mut recipe.training, show);
            texts.push(format!("{head}\n{}", toml::to_string(&recipe)?));
        }
        Err(error) if texts.is_empty() && !is_built_in => bail!(error),
        Err(_) => {}
    }
    Ok(texts.join("\n").trim_end().to_owned())
}

/// A recipe for the model and the images that were named; its reasons stand above it.
fn shown_for(show: &ShowArguments) -> anyhow::Result<String> {
    let batch = [("--batch-size", show.batch_size), ("--accumulate", show.accumulate)];
    let (head, reasons, text) = match show.made_for.make(&show.name, &batch)? {
        Made::Pretrain(mut recipe) => {
            let reasons = std::mem::take(&mut recipe.reasons);
            (head("pretrain", &mut recipe.training, show), reasons, toml::to_string(&recipe)?)
        }
        Made::Finetune(mut recipe) => {
            let reasons = std::mem::take(&mut recipe.reasons);
            (head("finetune", &mut recipe.training, show), reasons, toml::to_string(&recipe)?)
        }
        Made::Segment(mut recipe) => {
            let reasons = std::mem::take(&mut recipe.reasons);
            (head(SEGMENT, &mut recipe.training, show), reasons, toml::to_string(&recipe)?)
        }
        Made::Detect(mut recipe) => {
            let reasons = std::mem::take(&mut recipe.reasons);
            (head(DETECT, &mut recipe.training, show), reasons, toml::to_string(&recipe)?)
        }
    };
    let reasons: String = reasons.iter().map(|reason| format!("#   {reason}\n")).collect();
    Ok(format!("{head}\n{reasons}{}", text.trim_end()))
}

/// Comment above a shown recipe: its command, images per step and highest learning rate.
fn head(command: &str, training: &mut TrainingRecipe, show: &ShowArguments) -> String {
    training.batch_size = show.batch_size.unwrap_or(training.batch_size);
    training.accumulate = show.accumulate.unwrap_or(training.accumulate);
    format!(
        "# convnext {command} --recipe {}: steps of {} images, highest learning rate {:e}",
        show.name,
        training.batch_size * training.accumulate,
        training.peak_learning_rate()
    )
}
