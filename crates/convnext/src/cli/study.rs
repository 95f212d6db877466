//! `convnext study`

mod arguments;
mod commands;
mod processes;
mod progress;
mod run;

use clap::{Args, Command, Subcommand};
use convnext::study::{STUDIES, read_study, study_text};
use serde::Serialize;

use self::arguments::RunArguments;
use super::launched::Launched;
use super::output::{print_json, print_text, table};

/// Run a table or figure of the paper, or a study of your own, over several seeds
#[derive(Debug, Args)]
#[command(after_help = "\
A study is a list of commands of this program, each run for several seeds. `show` prints it, so that it can be changed.

Examples:
  convnext study list
  convnext study show table2a > mine.toml
  convnext study run table2a --data photos --model atto --pretraining-epochs 100 --finetuning-epochs 30 --out studies/grn
  convnext study run mine.toml --data photos --budget 8h --out studies/mine
  convnext study run table3 --data imagenet --recipe paper --seeds 1 --out studies/table3 --dry-run")]
pub(crate) struct StudyArguments {
    #[command(subcommand)]
    command: StudyCommand,
}

#[derive(Debug, Subcommand)]
enum StudyCommand {
    /// List the studies
    List(ListArguments),
    /// Print a study as TOML
    Show(ShowArguments),
    /// Run a study, or go on with it
    Run(Box<RunArguments>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  convnext study list
  convnext study list --json")]
struct ListArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  convnext study show table2a
  convnext study show table2a > mine.toml   # to change it, and run it with convnext study run mine.toml")]
struct ShowArguments {
    /// Name of the study, or a TOML file
    #[arg(value_name = "NAME|FILE")]
    name: String,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    paper: String,
    question: String,
}

/// Runs a command about studies; `program` is the whole command line, by which the commands of a study are checked.
pub(crate) fn run(
    arguments: StudyArguments,
    launched: &Launched,
    quiet: bool,
    program: Command,
) -> anyhow::Result<()> {
    match arguments.command {
        StudyCommand::List(arguments) => list(&arguments),
        StudyCommand::Show(arguments) => {
            read_study(&arguments.name)?;
            print_text(study_text(&arguments.name)?.trim_end())
        }
        StudyCommand::Run(arguments) => run::run(&arguments, launched, quiet, program),
    }
}

fn list(arguments: &ListArguments) -> anyhow::Result<()> {
    let mut listed = Vec::new();
    for (name, _) in STUDIES {
        let study = read_study(name)?;
        listed.push(Listed { name, paper: study.paper, question: study.question });
    }
    if arguments.json {
        return print_json(&listed);
    }
    let cells = |study: Listed| vec![study.name.to_owned(), study.paper, study.question];
    print_text(&table(&["study", "paper", "question"], 3, listed.into_iter().map(cells).collect()))
}
