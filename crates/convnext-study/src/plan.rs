//! From a study and its options to the commands that it consists of.

use std::path::{Path, PathBuf};

use convnext_io::WEIGHTS_FILE;

use crate::error::StudyError;
use crate::image_sizes::image_size;
use crate::lengths::{Lengths, PlannedLength, Steps, length_key};
use crate::model_names::filled;
use crate::option_checks::check_effect;
use crate::options::{RecipeChoice, StudyOptions};
use crate::stage::Stage;
use crate::study::{Row, Run, Study};

/// Folder of the runs in that of a study.
pub(crate) const RUNS_FOLDER: &str = "runs";

/// A command of a study, for one seed and one number of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// Name of its folder, each once in a study.
    pub id: String,
    /// Name in the study.
    pub name: String,
    /// Part in the study.
    pub stage: Stage,
    /// Seed.
    pub seed: u64,
    /// Labelled images of each class; all of them if `None`.
    pub labels: Option<usize>,
    /// Command and arguments, as they follow the name of the program.
    pub arguments: Vec<String>,
    /// Length in words, such as `8 epochs`; `None` for that of its recipe, and of a command that is no training.
    pub length: Option<String>,
    /// Its run folder.
    pub folder: PathBuf,
    /// Places in the plan of the runs that it starts from, or analyses: one at most of a training.
    pub needs: Vec<usize>,
}

impl PlannedRun {
    /// The same without some of the networks that it would look at, which are in `plan`.
    pub(crate) fn without(&self, lost: &[usize], plan: &[Self]) -> Self {
        let weights: Vec<String> =
            lost.iter().map(|place| plan[*place].folder.join(WEIGHTS_FILE).display().to_string()).collect();
        let mut without = self.clone();
        without.needs.retain(|needed| !lost.contains(needed));
        without.arguments.retain(|word| !weights.contains(word));
        without
    }

    /// The command as one types it into a shell.
    pub fn command_line(&self) -> String {
        let words = ["convnext"].into_iter().chain(self.arguments.iter().map(String::as_str));
        // No word holds a NUL, as none of a command line does.
        shlex::try_join(words).unwrap_or_default()
    }
}

/// Everything that a plan is made of.
pub(crate) struct Planner<'a> {
    pub(crate) study: &'a Study,
    pub(crate) options: &'a StudyOptions,
    /// Folder of the study.
    pub(crate) folder: &'a Path,
    pub(crate) steps: &'a Steps,
}

/// The commands of a study in an order in which they can be run: each after the one that it starts from, seed by seed.
///
/// # Errors
/// [`StudyError::Options`] for options that do not fit.
pub fn plan(study: &Study, options: &StudyOptions, folder: &Path) -> Result<Vec<PlannedRun>, StudyError> {
    Planner { study, options, folder, steps: &Steps::new() }.plan()
}

impl Planner<'_> {
    pub(crate) fn plan(&self) -> Result<Vec<PlannedRun>, StudyError> {
        self.options.check(self.study)?;
        let names = self.wanted();
        let wanted: Vec<&Run> =
            self.study.runs.iter().filter(|run| names.contains(&run.name.as_str())).collect();
        if wanted.is_empty() {
            let why =
                "the study has nothing to run: its rows are quoted, or of models that --model leaves out";
            return Err(StudyError::Options(why.to_owned()));
        }
        self.check_rows()?;
        self.check_models(&wanted)?;
        check_effect(self.options, &wanted)?;
        let lengths = Lengths::of(self.study, self.options, &wanted);
        let mut planned = Vec::new();
        for seed in 0..self.options.seeds {
            for run in &wanted {
                for labels in self.labels_of(run) {
                    let run = self.planned(run, (seed, labels), &lengths, &planned)?;
                    planned.push(run);
                }
            }
        }
        Ok(planned)
    }

    /// Names of the runs that the wanted rows show, and of those that they start from.
    fn wanted(&self) -> Vec<&str> {
        let rows = self.study.rows.iter().filter(|row| is_wanted(self.options, row));
        let mut wanted = Vec::new();
        for row in rows {
            let chain = self.study.chain_of_row(row);
            if chain.iter().all(|run| self.has_models(run)) {
                wanted.extend(chain.iter().map(|run| run.name.as_str()));
            }
        }
        wanted
    }

    /// `true` if all models that a run asks for are named.
    fn has_models(&self, run: &Run) -> bool {
        let named = self.options.models(self.study).len();
        run.models().into_iter().all(|place| place <= named)
    }

    /// Refuses to leave out a row that was asked for.
    fn check_rows(&self) -> Result<(), StudyError> {
        for name in &self.options.only {
            let chain = self.study.row(name).map(|row| self.study.chain_of_row(row)).unwrap_or_default();
            if let Some(run) = chain.iter().find(|run| !self.has_models(run)) {
                let needed = run.models().into_iter().max().unwrap_or_default();
                let named = self.options.models(self.study).len();
                return Err(StudyError::Options(format!(
                    "row '{name}' is of model {needed}, and --model names {named}; name more, or leave the row out"
                )));
            }
        }
        Ok(())
    }

    /// Refuses models that no run is of.
    fn check_models(&self, wanted: &[&Run]) -> Result<(), StudyError> {
        let is_used = |place: usize| wanted.iter().any(|run| run.models().contains(&place));
        let unused = (1..).zip(&self.options.models).find(|(place, _)| !is_used(*place));
        match unused {
            Some((_, model)) => Err(StudyError::Options(format!(
                "no run that is wanted is of '{model}'; leave it out of --model, or name its rows in --only"
            ))),
            None => Ok(()),
        }
    }

    /// The numbers of labels that a run is made with. They multiply fine-tunings, and all that starts from one.
    fn labels_of(&self, run: &Run) -> Vec<Option<usize>> {
        let is_labelled = self.study.chain(&run.name).iter().any(|run| run.stage == Stage::Finetuning);
        match self.options.labels.is_empty() || !is_labelled {
            true => vec![None],
            false => self.options.labels.iter().copied().map(Some).collect(),
        }
    }

    fn planned(
        &self,
        run: &Run,
        (seed, labels): (u64, Option<usize>),
        lengths: &Lengths,
        earlier: &[PlannedRun],
    ) -> Result<PlannedRun, StudyError> {
        let id = format!("{}-seed{seed}", length_key(&run.name, labels));
        let folder = self.folder.join(RUNS_FOLDER).join(&id);
        // Where a pre-training is shared by all numbers of labels, it has none itself.
        let needed = |from: &String| {
            earlier.iter().position(|other| {
                other.name == *from
                    && other.seed == seed
                    && (other.labels == labels || other.labels.is_none())
            })
        };
        let needs: Vec<usize> = run.sources().iter().filter_map(needed).collect();
        let weights = needs.iter().map(|place| earlier[*place].folder.join(WEIGHTS_FILE)).collect();
        let length = self.length(run, labels, lengths);
        let values = RunValues { seed, labels, length, folder: &folder, weights };
        let arguments = self.arguments(run, &values)?;
        Ok(PlannedRun {
            id,
            name: run.name.clone(),
            stage: run.stage,
            seed,
            labels,
            arguments,
            length: length.map(|length| length.to_string()),
            folder,
            needs,
        })
    }

    fn arguments(&self, run: &Run, values: &RunValues<'_>) -> Result<Vec<String>, StudyError> {
        let stage = self.options.stage(run.stage);
        let mut words = Words(vec![run.stage.command().to_owned()]);
        if run.stage == Stage::Analysis {
            words.0.push(self.options.data(run)?.display().to_string());
        } else if run.stage.is_training() {
            words.flag("--data", self.options.data(run)?.display());
        }
        let from = if run.stage == Stage::Analysis { "--weights" } else { "--init" };
        if !values.weights.is_empty() {
            words.0.push(from.to_owned());
            words.0.extend(values.weights.iter().map(|weights| weights.display().to_string()));
        }
        if run.from.is_none() {
            words.flag("--model", self.fill(run.model.as_deref().unwrap_or("{model}")));
            words.optional("--stem-stride", self.options.stem_stride);
        }
        if run.stage.is_training() {
            self.training_arguments(run, values, &mut words);
        }
        if run.stage != Stage::Analysis {
            words.optional("--image-size", image_size(self.options, run)?);
            words.optional("--batch-size", stage.batch_size.or(run.batch_size));
        }
        let common = self.study.common.get(&run.stage).into_iter().flatten();
        words.0.extend(common.chain(&run.arguments).map(|word| self.fill(word)));
        words.0.extend(stage.arguments);
        if run.stage == Stage::Bench {
            words.0.push("--json".to_owned());
        } else {
            words.flag("--out", values.folder.display());
        }
        if run.stage == Stage::Analysis {
            words.flag("--seed", values.seed);
            words.0.push("--json".to_owned());
        }
        Ok(words.0)
    }

    fn training_arguments(&self, run: &Run, values: &RunValues<'_>, words: &mut Words) {
        if self.options.recipes == RecipeChoice::Paper {
            words.flag("--recipe", self.fill(run.recipe.as_deref().unwrap_or("paper")));
        }
        if run.stage == Stage::Finetuning {
            words.optional("--labels-per-class", values.labels);
        }
        match values.length {
            Some(PlannedLength::Steps(steps)) => words.flag("--steps", steps),
            Some(PlannedLength::Epochs(epochs)) => words.flag("--epochs", epochs),
            None => {}
        }
        words.flag("--seed", values.seed);
    }

    fn length(&self, run: &Run, labels: Option<usize>, lengths: &Lengths) -> Option<PlannedLength> {
        match self.steps.get(&length_key(&run.name, labels)) {
            Some(steps) => Some(PlannedLength::Steps(*steps)),
            None => lengths.epochs(run).map(PlannedLength::Epochs),
        }
    }

    /// A text with the models of the options in it: runs that ask for others are not planned.
    fn fill(&self, text: &str) -> String {
        filled(text, self.options.models(self.study)).unwrap_or_else(|| text.to_owned())
    }
}

/// Values in which the runs of a name differ.
struct RunValues<'a> {
    seed: u64,
    labels: Option<usize>,
    length: Option<PlannedLength>,
    folder: &'a Path,
    weights: Vec<PathBuf>,
}

/// Words of a command line.
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, flag: &str, value: impl ToString) {
        self.0.extend([flag.to_owned(), value.to_string()]);
    }

    fn optional(&mut self, flag: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.flag(flag, value);
        }
    }
}

/// `true` for a row that is run, if it has a run.
fn is_wanted(options: &StudyOptions, row: &Row) -> bool {
    options.only.is_empty() || options.only.contains(&row.name)
}
