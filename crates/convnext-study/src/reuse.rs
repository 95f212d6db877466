//! Trainings that other studies have made already.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use convnext_io::{CHECKPOINTS_FOLDER, CONFIG_FILE, UNFINISHED_SUFFIX, WEIGHTS_FILE};
use convnext_train::{MachineRecord, RUN_FILE, RunRecord};
use toml::Table;

use crate::begun::{Begun, VERSION};
use crate::error::{StudyError, damaged, unreadable, unwritable};
use crate::machine::Machine;
use crate::origin::{Origin, named_path, origins};
use crate::plan::PlannedRun;
use crate::results::{Ending, RunResult, measured, read_json, text};
use crate::runner::StudyObserver;
use crate::study::Study;
use crate::study_folder::{StudyFolder, results_of};

/// Finished trainings of other studies.
#[derive(Debug, Default)]
pub struct FinishedRuns(Vec<FinishedStudy>);

/// Those of one study.
#[derive(Debug)]
struct FinishedStudy {
    folder: PathBuf,
    runs: Vec<FinishedRun>,
}

#[derive(Debug)]
struct FinishedRun {
    folder: PathBuf,
    origin: Origin,
    machine: MachineRecord,
    seconds: f64,
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
        folders.iter().map(|folder| FinishedStudy::of(folder)).collect::<Result<_, _>>().map(Self)
    }

    /// The first training that is made of the same.
    fn same(&self, origin: &Origin) -> Option<&FinishedRun> {
        self.0.iter().flat_map(|study| &study.runs).find(|run| run.origin == *origin)
    }
}

impl FinishedStudy {
    fn of(folder: &Path) -> Result<Self, StudyError> {
        let begun = Begun::recorded(folder)?;
        let begun = begun.ok_or_else(|| StudyError::NothingToReuse(folder.to_owned()))?;
        let (plan, results) = (begun.plan(folder)?, results_of(folder)?);
        let mut records: Vec<Option<RunRecord>> = Vec::new();
        for run in &plan {
            records.push(read_json(&run.folder.join(RUN_FILE))?);
        }
        let version = |record: &Option<RunRecord>| record.as_ref().map(|record| record.version.clone());
        let origins = origins(&plan, &begun, &records.iter().map(version).collect::<Vec<_>>());
        let mut runs = Vec::new();
        for ((run, origin), record) in plan.into_iter().zip(origins).zip(records) {
            let result = results.iter().rev().find(|result| result.run == run.id);
            let result = result.filter(|result| matches!(result.ending, Ending::Finished { .. }));
            if let (Some(origin), Some(result), Some(RunRecord { machine, .. })) = (origin, result, record) {
                runs.push(FinishedRun { folder: run.folder, origin, machine, seconds: result.seconds });
            }
        }
        Ok(Self { folder: folder.to_owned(), runs })
    }

    /// Why none of its trainings is one of those that are wanted; `None` where one is.
    fn why_none_of(&self, wanted: &[&Origin]) -> Option<String> {
        let pairs = self.runs.iter().flat_map(|run| wanted.iter().map(move |wanted| (&run.origin, *wanted)));
        let pairs: Vec<(&Origin, &Origin)> = pairs.collect();
        if pairs.iter().any(|(own, wanted)| own == wanted) {
            return None;
        }
        let difference = pairs.iter().find_map(|(own, wanted)| own.difference(wanted));
        Some(difference.unwrap_or_else(|| match self.runs.is_empty() {
            true => "none of its trainings has finished, or their arguments name files, or nobody recorded by which \
                     version or on how many ranks they were made"
                .to_owned(),
            false => "none of its finished trainings has the same arguments".to_owned(),
        }))
    }
}

/// Takes over what other studies have finished, and this one has not begun: trainings with the same arguments, from the same
/// weights and images, by the same version of the program. Their folders are copied without checkpoints, so that the other study
/// may be deleted. The observer is told of studies that serve for nothing, and where trainings were made on another machine than
/// this.
///
/// # Errors
/// What planning, reading and writing report.
pub fn reuse(
    folder: &mut StudyFolder,
    finished: &FinishedRuns,
    machine: &Machine,
    observer: &dyn StudyObserver,
) -> Result<(), StudyError> {
    let plan = folder.plan()?;
    let metrics = folder.study().metrics.clone();
    let versions = vec![Some(VERSION.to_owned()); plan.len()];
    let origins = origins(&plan, folder.begun(), &versions);
    let is_open = |run: &PlannedRun| {
        run.stage.is_training() && folder.result(&run.id).is_none() && !run.folder.exists()
    };
    let open: Vec<(&PlannedRun, Option<&Origin>)> =
        plan.iter().zip(origins.iter().map(Option::as_ref)).filter(|(run, _)| is_open(run)).collect();
    say_what_serves_for_nothing(finished, &open, observer);
    let mut remarks = Vec::new();
    for (run, origin) in open {
        let Some(known) = origin.and_then(|origin| finished.same(origin)) else { continue };
        let weights = run.needs.first().map(|needed| plan[*needed].folder.join(WEIGHTS_FILE));
        copy_finished(&known.folder, &run.folder, weights.as_deref())?;
        let ended = measured(run, &metrics, None, known.seconds)?;
        let reused_from = Some(known.folder.clone());
        folder.record(RunResult { reused_from, ..RunResult::of(run, ended) })?;
        observer.message(&format!("{} is that of {}", run.id, known.folder.display()));
        if let Some(remark) = machine.remark(&known.machine).filter(|remark| !remarks.contains(remark)) {
            observer.message(&remark);
            remarks.push(remark);
        }
    }
    Ok(())
}

/// Tells of each study of which nothing is taken over why that is so, unless nothing is left to take over.
fn say_what_serves_for_nothing(
    finished: &FinishedRuns,
    open: &[(&PlannedRun, Option<&Origin>)],
    observer: &dyn StudyObserver,
) {
    if open.is_empty() {
        return;
    }
    let wanted: Vec<&Origin> = open.iter().filter_map(|(_, origin)| *origin).collect();
    let named = open.iter().find_map(|(run, _)| named_path(run)).filter(|_| wanted.is_empty());
    for study in &finished.0 {
        let why = match &named {
            Some(path) => Some(format!("the arguments name '{path}', and what it held is not known")),
            None => study.why_none_of(&wanted),
        };
        if let Some(why) = why {
            observer.message(&format!("nothing of {} is taken over: {why}", study.folder.display()));
        }
    }
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
