//! Record of what was taken from a foreign file and what was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::locate::{Candidate, Role, has_teacher, is_average, is_of_training, under};
use crate::torch_file::NoTensor;

/// Names that a line lists before it only counts.
const LISTED: usize = 6;

/// Key of the state of callbacks in files of Lightning.
const CALLBACKS: &str = "callbacks.";

/// Origin of a model in a foreign file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Whose names the tensors have.
    pub program: String,
    /// Prefix of these names, such as `state_dict.module.`: keys of dictionaries and names of modules.
    pub prefix: String,
    /// `true` if these are averages over a training (EMA).
    pub average: bool,
    /// The prefixes of other models in the file, which are not read.
    pub other_models: Vec<String>,
    /// The names of tensors beside the model, such as those of necks and decoders, which are not read. For what is no
    /// tensor but has the name of an average, what it is.
    pub left_out: Vec<String>,
    /// The kind of detector around the backbone, if it is one that is not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_detector: Option<String>,
}

impl Origin {
    /// Origin at the first of these candidates, of which the tensors `used` are read. `objects` is what is no
    /// tensor.
    pub(super) fn of(
        candidates: &[Candidate],
        names: &BTreeSet<&str>,
        used: &BTreeSet<&str>,
        objects: &BTreeMap<String, NoTensor>,
    ) -> Option<Self> {
        let (chosen, others) = candidates.split_first()?;
        let is_others = |name: &str| {
            others.iter().any(|other| {
                // A model at the outermost place would own everything.
                !chosen.prefix.starts_with(&other.prefix) && name.starts_with(&other.prefix)
            })
        };
        let is_of_program = |name: &str| is_of_training(name) || name.starts_with(CALLBACKS);
        let is_left_out = |name: &&str| !used.contains(name) && !is_others(name) && !is_of_program(name);
        let mut left_out: Vec<String> = under(names, own_area(chosen, others))
            .map(|(name, _)| name)
            .filter(is_left_out)
            .map(str::to_owned)
            .collect();
        let is_better = |name: &str| chosen.role != Role::Average && (is_average(name) || has_teacher(name));
        let averages = objects.iter().filter(|(name, _)| is_better(name) && !is_of_training(name));
        left_out.extend(averages.map(|(name, found)| format!("{name} ({found})")));
        Some(Self {
            program: chosen.dialect.name().to_owned(),
            prefix: chosen.prefix.clone(),
            average: chosen.role == Role::Average,
            other_models: others.iter().map(|other| other.prefix.clone()).collect(),
            left_out,
            other_detector: None,
        })
    }

    /// Says what a user might not expect.
    pub(super) fn report(&self, path: &Path) {
        let path = path.display();
        if !self.other_models.is_empty() {
            let what = if self.average { "the averaged weights (EMA)" } else { "the weights" };
            log::warn!(
                "{path} holds several models: {what} under {} are used, not those under {}",
                shown(&self.prefix),
                self.other_models.iter().map(|prefix| shown(prefix)).collect::<Vec<_>>().join(", ")
            );
        }
        if let Some(kind) = &self.other_detector {
            log::warn!("{path} is {kind}, which is not known here: its backbone alone is read");
        }
        if !self.left_out.is_empty() {
            log::warn!("{path}: left out, because it is no part of a ConvNeXt: {}", list(&self.left_out));
        }
    }
}

/// A prefix as text.
fn shown(prefix: &str) -> String {
    match prefix.strip_suffix('.') {
        Some(key) => format!("`{key}`"),
        None => "no prefix".to_owned(),
    }
}

/// The first names, and how many more there are.
fn list(names: &[String]) -> String {
    let first = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(LISTED) {
        Some(more @ 1..) => format!("{first} and {more} more"),
        _ => first,
    }
}

/// The prefix of all that belongs to the chosen model: up to where it parts from the others.
fn own_area<'c>(chosen: &'c Candidate, others: &[Candidate]) -> &'c str {
    let ends = chosen.prefix.match_indices('.').map(|(at, _)| at + 1);
    let mut areas = std::iter::once(0).chain(ends).map(|end| &chosen.prefix[..end]);
    areas.find(|area| others.iter().all(|other| !other.prefix.starts_with(area))).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::locate::candidates;

    #[test]
    fn what_belongs_to_another_model_is_not_left_out() {
        let names: BTreeSet<&str> = [
            "state_dict_ema.stem.0.weight",
            "state_dict_ema.neck.weight",
            "state_dict.stem.0.weight",
            "state_dict.neck.weight",
            "optimizer.exp_avg.neck.weight",
        ]
        .into();
        let used = BTreeSet::from(["state_dict_ema.stem.0.weight"]);
        let origin = Origin::of(&candidates(&names), &names, &used, &BTreeMap::new()).unwrap();
        assert!(origin.average);
        assert_eq!(origin.other_models, ["state_dict."]);
        assert_eq!(origin.left_out, ["state_dict_ema.neck.weight"]);
    }

    #[test]
    fn an_average_that_cannot_be_read_is_named() {
        let names = BTreeSet::from(["stem.0.weight", "proj.weight"]);
        let objects = BTreeMap::from([
            ("ema".to_owned(), NoTensor::Object("timm.ModelEma".to_owned())),
            ("model_ema.shadow_params".to_owned(), NoTensor::Tensors(3)),
            ("optimizer.ema".to_owned(), NoTensor::Tensors(3)),
        ]);
        let used = BTreeSet::from(["stem.0.weight"]);
        let origin = Origin::of(&candidates(&names), &names, &used, &objects).unwrap();
        let averages = ["ema (made from timm.ModelEma)", "model_ema.shadow_params (a list of 3 tensors)"];
        assert_eq!(origin.left_out, [&["proj.weight"][..], &averages].concat());
    }

    #[test]
    fn long_lists_are_counted() {
        let names: Vec<String> = (0..8).map(|index| format!("n{index}")).collect();
        assert_eq!(list(&names), "n0, n1, n2, n3, n4, n5 and 2 more");
        assert_eq!(list(&names[..2]), "n0, n1");
    }
}
