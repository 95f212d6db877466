//! Commands of a study as they are run, and their check before the first one is.

use std::path::Path;

use anyhow::bail;
use clap::{ArgMatches, Command};
use convnext::detect::DetectRecipe;
use convnext::segment::SegmentRecipe;
use convnext::study::{PlannedRun, Stage, StudyOptions};
use convnext::train::{FinetuneRecipe, InitFrom, PretrainRecipe, SupervisedRecipe};

use super::arguments::RunArguments;
use crate::cli::out_folder::check_apart;

/// Recipes that depend on model and images, and are checked by the commands themselves.
const MADE: [&str; 2] = ["auto", "paper"];

/// The words of a command after the name of the program: trainings go on where they were.
pub(super) fn words(run: &PlannedRun, threads: Option<usize>) -> Vec<String> {
    let mut words = run.arguments.clone();
    words.extend(run.stage.is_training().then(|| "--resume".to_owned()));
    if let Some(threads) = threads {
        words.extend(["--threads".to_owned(), threads.to_string()]);
    }
    words
}

/// Refuses options of the command line that no run takes; of the others the plan tells.
pub(super) fn check_effect(arguments: &RunArguments, plan: &[PlannedRun]) -> anyhow::Result<()> {
    let without_pretraining = !plan.iter().any(|run| run.stage == Stage::Pretraining);
    if arguments.pretraining_data.is_some() && without_pretraining {
        bail!("--pretraining-data has no effect, because no pre-training is run; leave it out");
    }
    if arguments.launcher.is_some() && !plan.iter().any(|run| run.stage.is_training()) {
        bail!("--launcher has no effect, because no training is run; leave it out");
    }
    Ok(())
}

/// Parses every command as the program will, and reads its recipe, so that a mistake in a study is found at once and not after
/// hours.
pub(super) fn check(plan: &[PlannedRun], threads: Option<usize>, program: &Command) -> anyhow::Result<()> {
    for run in plan {
        let words = ["convnext".to_owned()].into_iter().chain(words(run, threads));
        let checked = match program.clone().try_get_matches_from(words) {
            Ok(matches) => check_recipe(run, &matches).map_err(|error| error.to_string()),
            Err(error) => {
                let text = error.to_string();
                let why = text.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
                Err(why.trim_start_matches("error: ").to_owned())
            }
        };
        if let Err(why) = checked {
            bail!("run '{}' cannot be run: {why}\n  {}", run.id, run.command_line());
        }
    }
    Ok(())
}

/// Reads the recipe of a training.
fn check_recipe(run: &PlannedRun, matches: &ArgMatches) -> anyhow::Result<()> {
    let Some((_, command)) = matches.subcommand().filter(|_| run.stage.is_training()) else { return Ok(()) };
    let recipe = command.try_get_one::<String>("recipe").ok().flatten();
    let Some(recipe) = recipe.filter(|recipe| !MADE.contains(&recipe.as_str())) else { return Ok(()) };
    let task = run.arguments.iter().skip_while(|word| *word != "--task").nth(1);
    let read = match task.map(String::as_str) {
        _ if run.stage == Stage::Pretraining => PretrainRecipe::load(recipe, &[]).map(|_| ()),
        Some("segment") => SegmentRecipe::load(recipe, &[], InitFrom::Pretrained).map(|_| ()),
        Some("detect") => DetectRecipe::load(recipe, &[], InitFrom::Pretrained).map(|_| ()),
        _ => FinetuneRecipe::load(recipe, &[], InitFrom::Pretrained).map(|_| ()),
    };
    if read.is_err() && !Path::new(recipe).exists() {
        bail!(
            "there is no recipe '{recipe}'; where the study asks for it, name models that have one, leave the row out with \
             --only, or take --recipe auto"
        );
    }
    Ok(read?)
}

/// Checks that the images of every stage are there, and that the study is not written among them: its own pictures would be
/// taken for more of them.
pub(super) fn check_data(options: &StudyOptions, out: &Path) -> anyhow::Result<()> {
    for (stage, options) in &options.stages {
        let Some(data) = options.data.as_deref() else { continue };
        if !data.exists() {
            bail!("{}, with the images of each {stage}, does not exist; check its path", data.display());
        }
        check_apart(out, &[data])?;
    }
    Ok(())
}
