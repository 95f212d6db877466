//! Arguments as typed, and the commands that run them.

mod absent;
mod activations;
mod analyze;
mod answers;
mod bench;
mod blocks;
mod class_names;
mod classify;
mod compare;
mod convert;
mod data;
mod decoder;
mod detect;
mod detection_data;
mod detection_inference;
mod embed;
mod ending;
mod evaluate;
mod export;
mod finetune;
mod inspect;
mod launched;
mod left_out;
mod length;
mod machine;
mod manual;
mod models;
mod nearest;
mod out_folder;
mod output;
mod part_file;
mod parts;
mod plan;
mod pretrain;
mod progress;
mod quickstart;
mod range;
mod read_files;
mod recipes;
mod reconstruct;
mod repeat;
mod report;
mod results_file;
mod segment;
mod segmentation_data;
mod segmentation_inference;
mod shared;
mod signals;
mod stages;
mod study;
mod table_file;
mod training;
mod values;
mod weights;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use ending::start_failed;
pub(crate) use launched::Launched;

/// ConvNeXt V2 on your own images: pre-train without labels, fine-tune, evaluate, classify.
#[derive(Debug, Parser)]
#[command(name = "convnext", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more about what happens (twice: details of libraries as well)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
}

const EXAMPLES: &str = "\
Examples:
  convnext quickstart
  convnext pretrain --data photos --model atto --out runs/pretrained
  convnext finetune --data labelled --init runs/pretrained/weights.safetensors --out runs/classifier
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors
  convnext classify photo.jpg --weights runs/classifier/weights.safetensors";

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::QuickstartArguments),
    Models(models::ModelsArguments),
    Recipes(recipes::RecipesArguments),
    Data(data::DataArguments),
    Pretrain(Box<pretrain::PretrainArguments>),
    Finetune(Box<finetune::FinetuneArguments>),
    Evaluate(Box<evaluate::EvaluateArguments>),
    Classify(classify::ClassifyArguments),
    Segment(segment::SegmentArguments),
    Detect(detect::DetectArguments),
    Analyze(analyze::AnalyzeArguments),
    Embed(embed::EmbedArguments),
    Nearest(nearest::NearestArguments),
    Reconstruct(reconstruct::ReconstructArguments),
    Inspect(inspect::InspectArguments),
    Convert(convert::ConvertArguments),
    Export(export::ExportArguments),
    Report(report::ReportArguments),
    Compare(compare::CompareArguments),
    Study(study::StudyArguments),
    Bench(bench::BenchArguments),
    Completions(manual::CompletionsArguments),
    Man(manual::ManArguments),
}

/// Modules that log their attempts to find a way of computing on a device, pages of shaders included. What fails
/// for good is an error all the same.
const DEVICE_LOGS: [&str; 4] = ["burn", "cubecl", "naga", "wgpu"];

impl Command {
    /// `true` for the work that the ranks of a job can share.
    fn is_shared(&self) -> bool {
        matches!(
            self,
            Self::Pretrain(_) | Self::Finetune(_) | Self::Evaluate(_) | Self::Embed(_) | Self::Bench(_)
        )
    }
}

/// Runs the command of these words, the program's name first, to its end; the exit code.
pub(crate) fn run(launched: &Launched, words: Vec<OsString>) -> u8 {
    // The recorded run lies where rank 0 is.
    let words = launched.ranks().from_first(|| repeat::with_recorded(words, launched.is_first()));
    match words.map(Arguments::try_parse_from) {
        Ok(Ok(arguments)) => match run_command(arguments, launched) {
            Ok(()) => ending::exit_code(launched, 0),
            Err(error) => ending::end(launched, &error),
        },
        // Unknown commands, flags, models and single values out of range, and help that was asked for.
        Ok(Err(usage)) => {
            if launched.is_first() {
                // That nobody reads it is no other error.
                let _ = usage.print();
            }
            ending::exit_code(launched, u8::try_from(usage.exit_code()).unwrap_or(1))
        }
        Err(error) => ending::end(launched, &error),
    }
}

fn run_command(arguments: Arguments, launched: &Launched) -> anyhow::Result<()> {
    let Arguments { command, quiet, verbose } = arguments;
    launched.check(command.is_shared())?;
    // Rank 0 speaks for all.
    let (quiet, verbose) = if launched.is_first() { (quiet, verbose) } else { (true, 0) };
    set_up_logs(quiet, verbose);
    match command {
        Command::Quickstart(arguments) => quickstart::run(&arguments, launched, quiet),
        Command::Models(arguments) => models::run(&arguments),
        Command::Recipes(arguments) => recipes::run(&arguments),
        Command::Data(arguments) => data::run(&arguments, quiet),
        Command::Pretrain(arguments) => pretrain::run(*arguments, launched, quiet),
        Command::Finetune(arguments) => finetune::run(*arguments, launched, quiet),
        Command::Evaluate(arguments) => evaluate::run(*arguments, launched, quiet),
        Command::Classify(arguments) => classify::run(&arguments, quiet),
        Command::Segment(arguments) => segment::run(&arguments, quiet),
        Command::Detect(arguments) => detect::run(&arguments, quiet),
        Command::Analyze(arguments) => analyze::run(&arguments, quiet),
        Command::Embed(arguments) => embed::run(&arguments, launched, quiet),
        Command::Nearest(arguments) => nearest::run(&arguments),
        Command::Reconstruct(arguments) => reconstruct::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Study(arguments) => study::run(arguments, launched, quiet, Arguments::command()),
        Command::Bench(arguments) => bench::run(&arguments, launched, quiet),
        Command::Completions(arguments) => manual::print_completions(&arguments, Arguments::command()),
        Command::Man(arguments) => manual::write_man_pages(&arguments, Arguments::command()),
    }
}

fn set_up_logs(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => log::LevelFilter::Error,
        (false, 0) => log::LevelFilter::Warn,
        (false, 1) => log::LevelFilter::Info,
        (false, _) => log::LevelFilter::Debug,
    };
    let mut logger = env_logger::Builder::new();
    logger.filter_level(level).format_timestamp(None).format_target(false);
    if verbose == 0 {
        DEVICE_LOGS.iter().for_each(|module| {
            logger.filter_module(module, log::LevelFilter::Off);
        });
    }
    logger.init();
}
