//! `convnext report`

use std::path::PathBuf;

use clap::Args;
use convnext::write_report;

use super::output::print_text;

/// Write the report of a run: what was run, curves, reconstructions or predictions, on one page
#[derive(Debug, Args)]
#[command(after_help = "\
Trainings write their report themselves when they end; this makes it again, or that of a run in progress.

Examples:
  convnext report runs/classifier")]
pub(crate) struct ReportArguments {
    /// Folder of a pre-training or fine-tuning
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

pub(crate) fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    let report = write_report(&arguments.run)?;
    print_text(&format!("wrote {}", report.display()))
}
