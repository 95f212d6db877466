//! `convnext compare`

use std::path::PathBuf;

use clap::Args;
use convnext::{compare_runs, write_run_comparison};

use super::output::{print_json, print_text, table};
use super::values::page;

/// Compare runs: curves, metrics and settings side by side, in a table and on one page
#[derive(Debug, Args)]
#[command(after_help = "\
Runs of different tasks are compared in what they share. A run that is not finished is compared as far as it came.

Examples:
  convnext compare runs/pretrained-first runs/scratch
  convnext compare runs/a runs/b runs/c --out abc.html
  convnext compare runs/a runs/b --json")]
pub(crate) struct CompareArguments {
    /// Folders of pre-trainings or fine-tunings, two or more
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// Page with the curves, metrics and settings of the runs [default: compare.html; with --json none]
    #[arg(long, value_name = "FILE.html", value_parser = page)]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &CompareArguments) -> anyhow::Result<()> {
    let comparison = compare_runs(&arguments.runs)?;
    let out = arguments.out.clone().or_else(|| (!arguments.json).then(|| "compare.html".into()));
    if let Some(out) = &out {
        write_run_comparison(out, &comparison)?;
    }
    if arguments.json {
        return print_json(&comparison);
    }
    let (head, rows) = comparison.table();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut text = table(&head, 1, rows);
    if !comparison.settings.is_empty() {
        let keys = ["setting"].into_iter().chain(comparison.runs.iter().map(|run| run.name.as_str()));
        let row = |setting: &convnext::SettingDifference| {
            let values = setting.values.iter().map(|value| value.clone().unwrap_or_else(|| "-".to_owned()));
            [setting.key.clone()].into_iter().chain(values).collect()
        };
        let rows = comparison.settings.iter().map(row).collect();
        text = format!("{text}\n\n{}", table(&keys.collect::<Vec<_>>(), 1, rows));
    }
    if let Some(remark) = comparison.remark() {
        text = format!("{text}\n\n{remark}");
    }
    print_text(&format!("{text}\n\npage: {}", out.unwrap_or_default().display()))
}
