//! What a study was begun with, as its folder records it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use convnext_io::replace_file;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::data_record::DataRecord;
use crate::error::{StudyError, damaged, unwritable};
use crate::lengths::Steps;
use crate::options::StudyOptions;
use crate::plan::{PlannedRun, Planner};
use crate::results::text;
use crate::stage::Stage;
use crate::study::{Run, Study};

/// Name of the file with study and options.
pub const STUDY_FILE: &str = "study.toml";

/// Version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Study and options that a folder was begun with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// Version of the program.
    #[serde(default)]
    pub(crate) version: String,
    /// The user's decisions.
    pub(crate) options: StudyOptions,
    /// Lengths that were chosen by the budget.
    #[serde(default)]
    pub(crate) steps: Steps,
    /// What the images of the stages were, by their paths.
    #[serde(default)]
    pub(crate) data: BTreeMap<String, DataRecord>,
    /// The study.
    pub(crate) study: Study,
}

impl Begun {
    /// Study and options of this process.
    pub(crate) fn now(study: &Study, options: &StudyOptions, steps: &Steps) -> Result<Self, StudyError> {
        let mut data = BTreeMap::new();
        for path in options.stages.values().filter_map(|stage| stage.data.as_deref()) {
            data.insert(path.display().to_string(), DataRecord::of(path)?);
        }
        let (options, steps, study) = (options.clone(), steps.clone(), study.clone());
        Ok(Self { version: VERSION.to_owned(), options, steps, data, study })
    }

    /// What a folder records; `None` where no study was begun in it.
    pub(crate) fn recorded(folder: &Path) -> Result<Option<Self>, StudyError> {
        let path = folder.join(STUDY_FILE);
        let Some(text) = text(&path)? else { return Ok(None) };
        toml::from_str(&text).map(Some).map_err(|error: toml::de::Error| damaged(&path, error.to_string()))
    }

    /// Records it.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), StudyError> {
        let path = folder.join(STUDY_FILE);
        let text = toml::to_string_pretty(self).map_err(|error| damaged(&path, error.to_string()))?;
        replace_file(&path, |mut file| file.write_all(text.as_bytes()))
            .map_err(|source| unwritable(&path, source))
    }

    /// The same as it goes on now: words about the study may be those of a later version, and a budget another one as long as no
    /// lengths were chosen by it, as when it proved too short. Of the study itself nothing has run then. What earlier versions did
    /// not record is taken to be as it is now.
    ///
    /// # Errors
    /// [`StudyError::Changed`] when anything else differs.
    pub(crate) fn going_on_as(mut self, now: &Self, folder: &Path) -> Result<Self, StudyError> {
        if self.steps.is_empty() && self.options.budget.is_some() && now.options.budget.is_some() {
            self.options.budget = now.options.budget;
        }
        self.take_what_was_not_recorded(now)?;
        let changes = changes(&self.in_table()?, &now.in_table()?);
        match changes.is_empty() {
            true => Ok(Self { study: now.study.clone(), ..self }),
            false => Err(StudyError::Changed { folder: folder.to_owned(), changes }),
        }
    }

    /// Takes from now what earlier versions did not record, or counted in another way.
    fn take_what_was_not_recorded(&mut self, now: &Self) -> Result<(), StudyError> {
        for (path, record) in &mut self.data {
            if let Some(known) = now.data.get(path)
                && record != known
                && record.is_of_earlier_version(Path::new(path))?
            {
                *record = *known;
            }
        }
        let (begun, now) = (&mut self.options, &now.options);
        if begun.launcher.is_none() {
            begun.launcher.clone_from(&now.launcher);
        }
        if begun.timing.is_none() {
            begun.timing.clone_from(&now.timing);
        }
        if let (Some(begun), Some(now)) = (&mut begun.timing, &now.timing)
            && begun.instructions.is_empty()
        {
            begun.instructions.clone_from(&now.instructions);
        }
        Ok(())
    }

    /// What decides which commands are run and what of them is measured, as a table.
    fn in_table(&self) -> Result<Table, StudyError> {
        let Study { models, metrics, epochs, common, runs, rows, .. } = &self.study;
        let metrics: BTreeSet<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        let shown: BTreeSet<[Option<&str>; 2]> =
            rows.iter().map(|row| [row.run.as_deref(), row.of.as_deref()]).collect();
        let shown: Vec<String> = shown
            .iter()
            .map(|names| names.iter().flatten().copied().collect::<Vec<_>>().join(" of "))
            .collect();
        let of_study = OfStudy { models, metrics, epochs, common, runs, shown };
        let table = Compared { options: &self.options, data: &self.data, study: of_study };
        Table::try_from(table).map_err(|error| damaged(Path::new(STUDY_FILE), error.to_string()))
    }

    /// The commands of the study in a folder.
    pub(crate) fn plan(&self, folder: &Path) -> Result<Vec<PlannedRun>, StudyError> {
        Planner { study: &self.study, options: &self.options, folder, steps: &self.steps }.plan()
    }
}

/// What must be the same for a study to go on.
#[derive(Serialize)]
struct Compared<'a> {
    options: &'a StudyOptions,
    data: &'a BTreeMap<String, DataRecord>,
    study: OfStudy<'a>,
}

/// What of a study decides its commands.
#[derive(Serialize)]
struct OfStudy<'a> {
    models: &'a [String],
    metrics: BTreeSet<&'a str>,
    epochs: &'a BTreeMap<Stage, usize>,
    common: &'a BTreeMap<Stage, Vec<String>>,
    runs: &'a [Run],
    /// Runs that have rows.
    shown: Vec<String>,
}

/// Every key whose value differs, in words; keys are dotted. Those of the study itself may be long lists.
fn changes(begun: &Table, now: &Table) -> Vec<String> {
    let (mut before, mut after) = (Table::new(), Table::new());
    flatten("", begun, &mut before);
    flatten("", now, &mut after);
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let words = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), Value::to_string);
    let differ = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let change = |key: &String| match key.starts_with("study.") {
        true => format!("{key} is another one"),
        false => format!("{key} was {}, is {}", words(before.get(key)), words(after.get(key))),
    };
    differ.map(change).collect()
}

fn flatten(prefix: &str, table: &Table, flat: &mut Table) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, flat),
            other => {
                flat.insert(path, other.clone());
            }
        }
    }
}
