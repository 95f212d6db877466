//! What a training is made of, by which a study finds it among those that others have finished.

use std::path::Path;

use crate::begun::Begun;
use crate::data_record::DataRecord;
use crate::plan::PlannedRun;
use crate::ranks::depends_on_ranks;

/// What a training is made of: where that is equal, so are the results on one machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Origin {
    /// Version of the program.
    version: String,
    /// Command and arguments, without the folder that it writes and the weights that it starts from.
    words: Vec<String>,
    data: Option<DataRecord>,
    /// Words that start its ranks, where results depend on their number.
    launcher: Option<Vec<String>>,
    from: Option<Box<Origin>>,
}

impl Origin {
    /// What else than the arguments differs from another one, in words; `None` where these do, or nothing does.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self.words != other.words || self == other {
            return None;
        }
        Some(if self.version != other.version {
            format!("its trainings were made by version {} of the program", self.version)
        } else if self.data != other.data {
            "its images were others, by their number or size".to_owned()
        } else if self.launcher != other.launcher {
            "its trainings were shared among other ranks, on which their results depend".to_owned()
        } else {
            let starts = self.from.as_deref().zip(other.from.as_deref());
            let difference = starts.and_then(|(own, other)| own.difference(other));
            difference.unwrap_or_else(|| "its trainings start from other weights".to_owned())
        })
    }
}

/// What each run of a plan is made of; `None` of one that is no training, whose version or ranks are not known, or whose arguments
/// name files: what these hold, and held, is not known.
pub(crate) fn origins(
    plan: &[PlannedRun],
    begun: &Begun,
    versions: &[Option<String>],
) -> Vec<Option<Origin>> {
    let mut origins: Vec<Option<Origin>> = Vec::new();
    for (run, version) in plan.iter().zip(versions) {
        // A training starts from one run at most.
        let from = run.needs.first().map(|needed| origins[*needed].clone().map(Box::new));
        let words = words(run);
        let is_shared = depends_on_ranks(&words);
        let launcher = begun.options.launcher.clone().filter(|_| is_shared);
        let is_known = run.stage.is_training()
            && named_path(run).is_none()
            && from != Some(None)
            && launcher.is_some() == is_shared;
        let data = data(&words).and_then(|data| begun.data.get(data)).copied();
        origins.push(version.clone().filter(|_| is_known).map(|version| Origin {
            version,
            data,
            words,
            launcher,
            from: from.flatten(),
        }));
    }
    origins
}

/// The first argument of a training, besides its images, that is or ends with the path of something that is there.
pub(crate) fn named_path(run: &PlannedRun) -> Option<String> {
    let words = words(run);
    let data = data(&words);
    // The first word is the command.
    words.iter().skip(1).find(|word| Some(*word) != data && is_path(word)).cloned()
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

/// The images of a command.
fn data(words: &[String]) -> Option<&String> {
    words.iter().skip_while(|word| *word != "--data").nth(1)
}

/// `true` for a word that is, or ends with, the path of something that is there.
fn is_path(word: &str) -> bool {
    Path::new(word.split_once('=').map_or(word, |(_, value)| value)).exists()
}
