//! Trainings that another study has made already.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use convnext_io::{CHECKPOINTS_FOLDER, UNFINISHED_SUFFIX};

use crate::begun::Begun;
use crate::data_record::DataRecord;
use crate::error::{StudyError, unwritable};
use crate::plan::PlannedRun;
use crate::results::{Ending, RunResult, measured};
use crate::runner::StudyObserver;
use crate::study_folder::{StudyFolder, results_of};

/// Takes over what other studies have finished, and this one has not begun: trainings with the same arguments, from the same
/// weights and images, by the same version of the program. Their folders are copied without checkpoints, so that the other study
/// may be deleted. It may also be running.
///
/// # Errors
/// [`StudyError::NothingToReuse`] for a folder without a study, and what planning, reading and writing report.
pub fn reuse(
    folder: &mut StudyFolder,
    others: &[PathBuf],
    observer: &dyn StudyObserver,
) -> Result<(), StudyError> {
    let plan = folder.plan()?;
    let origins = origins(&plan, folder.begun());
    for other in others {
        let finished = finished(other)?;
        for (run, origin) in plan.iter().zip(&origins) {
            let is_begun = folder.result(&run.id).is_some() || run.folder.exists();
            let found = finished.iter().find(|(_, known, _)| known == origin && !is_begun);
            if let Some((known, _, seconds)) = found.filter(|_| run.stage.is_training()) {
                copy_finished(known, &run.folder)?;
                let metrics = folder.study().metrics.clone();
                let ended = measured(run, &metrics, None, *seconds)?;
                folder.record(RunResult::of(run, ended))?;
                observer.message(&format!("{} is that of {}", run.id, known.display()));
            }
        }
    }
    Ok(())
}

/// What a run is made of: where that is equal, so are the results.
#[derive(Debug, Clone, PartialEq)]
struct Origin {
    version: String,
    /// Command and arguments, without the folder that it writes and the weights that it starts from.
    words: Vec<String>,
    data: Option<DataRecord>,
    from: Option<Box<Origin>>,
}

/// What each run of a plan is made of.
fn origins(plan: &[PlannedRun], begun: &Begun) -> Vec<Origin> {
    let mut origins: Vec<Origin> = Vec::new();
    for run in plan {
        let (mut words, mut data) = (Vec::new(), None);
        let mut arguments = run.arguments.iter();
        while let Some(word) = arguments.next() {
            let is_place = word == "--out" || (word == "--init" && run.needs.is_some());
            let value = if is_place { arguments.next() } else { None };
            if value.is_none() {
                words.push(word.clone());
            }
        }
        if let Some(place) = words.iter().position(|word| word == "--data") {
            data = words.get(place + 1).and_then(|path| begun.data.get(path)).copied();
        }
        let from = run.needs.map(|needed| Box::new(origins[needed].clone()));
        origins.push(Origin { version: begun.version.clone(), words, data, from });
    }
    origins
}

/// The finished runs of a study: folder, origin, seconds.
fn finished(folder: &Path) -> Result<Vec<(PathBuf, Origin, f64)>, StudyError> {
    let begun = Begun::recorded(folder)?.ok_or_else(|| StudyError::NothingToReuse(folder.to_owned()))?;
    let (plan, results) = (begun.plan(folder)?, results_of(folder)?);
    let seconds = |run: &PlannedRun| {
        let result = results.iter().rev().find(|result| result.run == run.id)?;
        matches!(result.ending, Ending::Finished { .. }).then_some(result.seconds)
    };
    let with_origins = plan.iter().zip(origins(&plan, &begun));
    Ok(with_origins.filter_map(|(run, origin)| Some((run.folder.clone(), origin, seconds(run)?))).collect())
}

/// Copies the folder of a finished training. A copy that was cut short does not count.
fn copy_finished(from: &Path, to: &Path) -> Result<(), StudyError> {
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(UNFINISHED_SUFFIX);
    let unfinished = PathBuf::from(unfinished);
    let copied = match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => copy(from, &unfinished).and_then(|()| fs::rename(&unfinished, to)),
    };
    copied.map_err(|source| unwritable(to, source))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if !entry.file_type()?.is_dir() {
            fs::copy(path, copy)?;
        } else if entry.file_name() != CHECKPOINTS_FOLDER {
            self::copy(&path, &copy)?;
        }
    }
    Ok(())
}
