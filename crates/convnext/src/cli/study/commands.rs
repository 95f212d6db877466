//! Check of a study's commands before the first one is run.

use anyhow::bail;
use clap::Command;
use convnext::study::PlannedRun;

/// Parses every command as the program will, so that a mistake in a study is found at once and not after hours.
pub(super) fn check(plan: &[PlannedRun], program: &Command) -> anyhow::Result<()> {
    for run in plan {
        let words = ["convnext"].into_iter().chain(run.arguments.iter().map(String::as_str));
        if let Err(error) = program.clone().try_get_matches_from(words) {
            let text = error.to_string();
            let why = text.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
            let why = why.trim_start_matches("error: ");
            bail!("run '{}' cannot be run: {why}\n  {}", run.id, run.command_line());
        }
    }
    Ok(())
}
