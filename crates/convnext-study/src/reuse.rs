//! Trainings that other studies have made already.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use convnext_io::{CHECKPOINTS_FOLDER, CONFIG_FILE, UNFINISHED_SUFFIX, WEIGHTS_FILE};
use convnext_train::{RUN_FILE, RunRecord};
use toml::Table;

use crate::begun::{Begun, VERSION};
use crate::data_record::DataRecord;
use crate::error::{StudyError, damaged, unreadable, unwritable};
use crate::plan::PlannedRun;
use crate::results::{Ending, RunResult, measured, read_json, text};
use crate::runner::StudyObserver;
use crate::study::Study;
use crate::study_folder::{StudyFolder, results_of};

/// Finished trainings of other studies.
#[derive(Debug, Default)]
pub struct FinishedRuns(Vec<FinishedRun>);

#[derive(Debug)]
struct FinishedRun {
    folder: PathBuf,
    origin: Origin,
    seconds: f64,
}

/// What a training is made of: where that is equal, so are the results.
#[derive(Debug, Clone, PartialEq)]
struct Origin {
    /// Version of the program.
    version: String,
    /// Command and arguments, without the folder that it writes and the weights that it starts from.
    words: Vec<String>,
    data: Option<DataRecord>,
    from: Option<Box<Origin>>,
}

impl FinishedRuns {
    /// Those of the studies in these folders, which may be running, for another study.
    ///
    /// # Errors
    /// [`StudyError::NothingToReuse`] for a folder without a study, [`StudyError::Options`] for a study that shows times or
    /// speeds, which were taken under other conditions, and what planning and reading report.
    pub fn of(folders: &[PathBuf], study: &Study) -> Result<Self, StudyError> {
        if let Some(metric) = study.timed_metric().filter(|_| !folders.is_empty()) {
            return Err(StudyError::Options(format!(
                "the study measures '{}', and what another one took is not comparable; leave --reuse out",
                metric.label
            )));
        }
        let mut runs = Vec::new();
        for folder in folders {
            let begun = Begun::recorded(folder)?;
            let begun = begun.ok_or_else(|| StudyError::NothingToReuse(folder.to_owned()))?;
            let (plan, results) = (begun.plan(folder)?, results_of(folder)?);
            let mut versions = Vec::new();
            for run in &plan {
                let record: Option<RunRecord> = read_json(&run.folder.join(RUN_FILE))?;
                versions.push(record.map(|record| record.version));
            }
            for (run, origin) in plan.iter().zip(origins(&plan, &begun, &versions)) {
                let result = results.iter().rev().find(|result| result.run == run.id);
                let result = result.filter(|result| matches!(result.ending, Ending::Finished { .. }));
                if let Some((origin, result)) = origin.zip(result) {
                    runs.push(FinishedRun { folder: run.folder.clone(), origin, seconds: result.seconds });
                }
            }
        }
        Ok(Self(runs))
    }
}

/// Takes over what other studies have finished, and this one has not begun: trainings with the same arguments, from the same
/// weights and images, by the same version of the program. Their folders are copied without checkpoints, so that the other study
/// may be deleted.
///
/// # Errors
/// What planning, reading and writing report.
pub fn reuse(
    folder: &mut StudyFolder,
    finished: &FinishedRuns,
    observer: &dyn StudyObserver,
) -> Result<(), StudyError> {
    let plan = folder.plan()?;
    let metrics = folder.study().metrics.clone();
    let versions = vec![Some(VERSION.to_owned()); plan.len()];
    let origins = origins(&plan, folder.begun(), &versions);
    for (run, origin) in plan.iter().zip(origins) {
        let is_begun = folder.result(&run.id).is_some() || run.folder.exists();
        let Some(origin) = origin.filter(|_| !is_begun) else { continue };
        let Some(known) = finished.0.iter().find(|known| known.origin == origin) else { continue };
        let weights = run.needs.first().map(|needed| plan[*needed].folder.join(WEIGHTS_FILE));
        copy_finished(&known.folder, &run.folder, weights.as_deref())?;
        let ended = measured(run, &metrics, None, known.seconds)?;
        let reused_from = Some(known.folder.clone());
        folder.record(RunResult { reused_from, ..RunResult::of(run, ended) })?;
        observer.message(&format!("{} is that of {}", run.id, known.folder.display()));
    }
    Ok(())
}

/// What each run of a plan is made of; `None` of one that is no training, whose version is not known, or whose arguments name
/// files: what these hold, and held, is not known.
fn origins(plan: &[PlannedRun], begun: &Begun, versions: &[Option<String>]) -> Vec<Option<Origin>> {
    let mut origins: Vec<Option<Origin>> = Vec::new();
    for (run, version) in plan.iter().zip(versions) {
        // A training starts from one run at most.
        let from = run.needs.first().map(|needed| origins[*needed].clone().map(Box::new));
        let words = words(run);
        let data = words.iter().skip_while(|word| *word != "--data").nth(1);
        let names_files = words.iter().any(|word| Some(word) != data && is_path(word));
        let is_known = run.stage.is_training() && !names_files && from != Some(None);
        let record = data.and_then(|data| begun.data.get(data)).copied();
        origins.push(version.clone().filter(|_| is_known).map(|version| Origin {
            version,
            data: record,
            words,
            from: from.flatten(),
        }));
    }
    origins
}

/// The words of a command but for its folder, and the weights of another run.
fn words(run: &PlannedRun) -> Vec<String> {
    let mut words = Vec::new();
    let mut arguments = run.arguments.iter();
    while let Some(word) = arguments.next() {
        let is_place = word == "--out" || (word == "--init" && !run.needs.is_empty());
        if is_place {
            arguments.next();
        } else {
            words.push(word.clone());
        }
    }
    words
}

/// `true` for a word that is, or ends with, the path of something that is there.
fn is_path(word: &str) -> bool {
    let path = Path::new(word.split_once('=').map_or(word, |(_, value)| value));
    path.is_file() || (path.components().count() > 1 && path.exists())
}

/// Copies the folder of a finished training, as if it had been made here. A copy that was cut short does not count.
fn copy_finished(from: &Path, to: &Path, weights: Option<&Path>) -> Result<(), StudyError> {
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(UNFINISHED_SUFFIX);
    let unfinished = PathBuf::from(unfinished);
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(&unfinished, error)),
        _ => copy(from, &unfinished)?,
    }
    let config = unfinished.join(CONFIG_FILE);
    if let Some(text) = text(&config)? {
        let mut table: Table = toml::from_str(&text).map_err(|error| damaged(&config, error.to_string()))?;
        table.insert("out".to_owned(), to.display().to_string().into());
        if let Some(weights) = weights {
            table.insert("init".to_owned(), weights.display().to_string().into());
        }
        let text = toml::to_string(&table).map_err(|error| damaged(&config, error.to_string()))?;
        fs::write(&config, text).map_err(|source| unwritable(&config, source))?;
    }
    fs::rename(&unfinished, to).map_err(|source| unwritable(to, source))
}

/// Copies a folder to the disk, but for checkpoints, which a finished training needs no more.
fn copy(from: &Path, to: &Path) -> Result<(), StudyError> {
    fs::create_dir_all(to).map_err(|source| unwritable(to, source))?;
    for entry in fs::read_dir(from).map_err(|source| unreadable(from, source))? {
        let entry = entry.map_err(|source| unreadable(from, source))?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            if entry.file_name() != CHECKPOINTS_FOLDER {
                copy(&path, &copied)?;
            }
            continue;
        }
        let mut source = File::open(&path).map_err(|source| unreadable(&path, source))?;
        let written = File::create(&copied).and_then(|mut file| {
            io::copy(&mut source, &mut file)?;
            file.sync_all()
        });
        written.map_err(|source| unwritable(&copied, source))?;
    }
    Ok(())
}
