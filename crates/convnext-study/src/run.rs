//! A study from its folder to its results.

use std::io::Write;

use convnext_io::replace_file;

use crate::budget::{choose_steps, remove_timed};
use crate::error::{StudyError, unwritable};
use crate::execution::execute;
use crate::outcome::StudyOutcome;
use crate::planned_lengths::lengths_in_words;
use crate::planned_sizes::own_sizes_in_words;
use crate::runner::{Runner, StudyObserver};
use crate::study::Study;
use crate::study_folder::StudyFolder;

/// Name of the table in the folder of a study, in Markdown.
pub const TABLE_FILE: &str = "table.md";

/// Refuses several commands at once where a column of the table is a duration or a speed, which they would change.
///
/// # Errors
/// [`StudyError::Options`] with the metric.
pub fn check_parallel(study: &Study, parallel: usize) -> Result<(), StudyError> {
    match study.timed_metric() {
        Some(metric) if parallel > 1 => Err(StudyError::Options(format!(
            "commands that run at once change '{}', which the study measures; leave --parallel out",
            metric.label
        ))),
        _ => Ok(()),
    }
}

/// Runs what of a study has not ended yet, at most `parallel` commands at once, after choosing lengths if there is a
/// budget, and writes the table.
///
/// # Errors
/// [`StudyError::Interrupted`] when the runner stops, what [`check_parallel`] refuses, and what planning, reading and writing
/// report. That a command fails is none: it is among the results.
pub fn run_study(
    folder: &mut StudyFolder,
    parallel: usize,
    runner: &dyn Runner,
    observer: &dyn StudyObserver,
) -> Result<StudyOutcome, StudyError> {
    check_parallel(folder.study(), parallel)?;
    if let Some(remark) = folder.other_version() {
        observer.message(&remark);
    }
    if let Some(seconds) = folder.options().budget {
        if folder.steps().is_empty() {
            let steps = choose_steps(folder, seconds, parallel, runner, observer)?;
            folder.set_steps(steps)?;
        }
        // Here, because the study may have been killed after it chose them.
        remove_timed(folder.folder())?;
    }
    let plan = folder.plan()?;
    if let Some(lengths) = lengths_in_words(&plan) {
        observer.message(&format!("lengths: {lengths}"));
    }
    if let Some(sizes) = own_sizes_in_words(folder.study(), folder.options(), &plan) {
        observer.message(&format!("sizes in the paper's ratio to that of the others: {sizes}"));
    }
    execute(folder, &plan, parallel, runner, observer)?;
    let results = plan.iter().map(|run| folder.result(&run.id).cloned()).collect();
    let outcome =
        StudyOutcome { study: folder.study().clone(), options: folder.options().clone(), plan, results };
    let path = folder.folder().join(TABLE_FILE);
    let table = outcome.markdown();
    replace_file(&path, |mut file| file.write_all(table.as_bytes()))
        .map_err(|source| unwritable(&path, source))?;
    Ok(outcome)
}
