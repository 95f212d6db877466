//! Plan of a training, for `--dry-run`.

use std::fs;
use std::path::Path;

use convnext::train::{RunSettings, TrainingPlan};

use super::output::print_text;

/// Prints a plan with the data it is about, line by line, and where the run would be; on rank 0.
pub(crate) fn print_plan(plan: &TrainingPlan, run: &RunSettings, data: &[String]) -> anyhow::Result<()> {
    if !run.ranks.is_first() {
        return Ok(());
    }
    let data: String = data.iter().map(|line| format!("\n  {line}")).collect();
    let place = if run.out.is_file() {
        "is a file: a run needs a folder, so give another --out"
    } else if is_used(&run.out) {
        "is not empty: a new run needs another --out, the run in it goes on with --resume"
    } else {
        "is free for a run"
    };
    print_text(&format!(
        "{plan}{data}\n  {} {place}\nnothing was written: this is a dry run",
        run.out.display()
    ))
}

fn is_used(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
