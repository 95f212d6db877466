//! Results of a study as far as it came, and what each row of its table has.

use std::collections::BTreeMap;

use crate::options::StudyOptions;
use crate::plan::PlannedRun;
use crate::results::{Ending, RunResult};
use crate::stage::Stage;
use crate::study::{Row, ShownMetric, Study};

/// A study with its plan and the results so far.
#[derive(Debug, Clone)]
pub struct StudyOutcome {
    /// The study.
    pub study: Study,
    /// The user's decisions.
    pub options: StudyOptions,
    /// Its commands.
    pub plan: Vec<PlannedRun>,
    /// The result of each command; `None` for one that has not ended.
    pub results: Vec<Option<RunResult>>,
}

/// A row's share of one seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum SeedValue {
    /// A value, in the scale of the table.
    Value(f64),
    /// The run ended without this metric.
    NotMeasured,
    /// The run, or one that it needs, diverged.
    Diverged,
    /// The run, or one that it needs, failed.
    Failed,
    /// It has not ended, or was left out.
    NotRun,
}

impl StudyOutcome {
    /// Commands that failed otherwise than by divergence, with their messages.
    pub fn failures(&self) -> Vec<(&PlannedRun, &str)> {
        let failed =
            self.plan.iter().zip(&self.results).filter_map(|(run, result)| match &result.as_ref()?.ending {
                Ending::Failed { error } => Some((run, error.as_str())),
                _ => None,
            });
        failed.collect()
    }

    /// The numbers of labels that columns differ by; `None` for all labels.
    pub fn labels(&self) -> Vec<Option<usize>> {
        match self.options.labels.is_empty() {
            true => vec![None],
            false => self.options.labels.iter().copied().map(Some).collect(),
        }
    }

    /// Values of a metric that a row has with so many labels, seed by seed; empty for a quoted row.
    pub(crate) fn by_seed(
        &self,
        row: &Row,
        labels: Option<usize>,
        metric: &ShownMetric,
    ) -> BTreeMap<u64, SeedValue> {
        let Some(run) = row.run.as_deref() else { return BTreeMap::new() };
        if let Some(over) = metric.over.as_deref().and_then(|name| self.study.row(name)) {
            let plain = ShownMetric { over: None, ..metric.clone() };
            let [own, other] = [row, over].map(|row| self.by_seed(row, labels, &plain));
            return own
                .into_iter()
                .map(|(seed, own)| (seed, ratio(other.get(&seed).copied(), own)))
                .collect();
        }
        let mut found: BTreeMap<u64, SeedValue> =
            (0..self.options.seeds).map(|seed| (seed, SeedValue::NotRun)).collect();
        let places = self.places(run, labels).into_iter();
        found.extend(places.map(|place| (self.plan[place].seed, self.value(place, row, metric))));
        found
    }

    /// A metric as a run has it for a row: of an analysis of several networks, that of the row's own; `None` of a network
    /// that the analysis did without.
    pub(crate) fn metric_of(&self, place: usize, row: &Row, metric: &ShownMetric) -> Option<ShownMetric> {
        let Some(of) = &row.of else { return Some(metric.clone()) };
        let without = self.results[place].as_ref().map_or(&[][..], |result| &result.without);
        let networks = self.plan[place].needs.iter().map(|needed| &self.plan[*needed].name);
        let networks: Vec<&String> = networks.filter(|name| !without.contains(name)).collect();
        let own = networks.iter().position(|name| *name == of)?;
        // Of one network, where others have no rows or diverged, all values are its own.
        Some(if networks.len() > 1 { metric.of_network(own) } else { metric.clone() })
    }

    /// The values of a metric that a run lists for a row, such as those of its layers.
    pub(crate) fn list(&self, place: usize, row: &Row, metric: &ShownMetric) -> Option<&[Option<f64>]> {
        let own = self.metric_of(place, row, metric)?;
        self.results[place].as_ref()?.ending.values(&own.name).filter(|values| values.len() > 1)
    }

    /// Of the lists of a row over its seeds, the entries without a value, and all.
    pub(crate) fn without_value(
        &self,
        row: &Row,
        labels: Option<usize>,
        metric: &ShownMetric,
    ) -> (usize, usize) {
        let places = row.run.as_deref().map(|run| self.places(run, labels)).unwrap_or_default();
        let lists: Vec<_> = places.into_iter().filter_map(|place| self.list(place, row, metric)).collect();
        let missing = lists.iter().flat_map(|list| list.iter()).filter(|value| value.is_none()).count();
        (missing, lists.iter().map(|list| list.len()).sum())
    }

    /// Seeds of a row's run that was unstable, or that starts from one that was.
    pub(crate) fn unstable_seeds(&self, row: &Row, labels: Option<usize>) -> Vec<u64> {
        let places = row.run.as_deref().map(|run| self.places(run, labels)).unwrap_or_default();
        let unstable = places.into_iter().filter(|place| self.is_unstable(*place, row));
        unstable.map(|place| self.plan[place].seed).collect()
    }

    fn is_unstable(&self, place: usize, row: &Row) -> bool {
        let own = self.results[place].as_ref().and_then(|result| result.ending.instability());
        own.is_some() || self.needed_by(place, row).into_iter().any(|needed| self.is_unstable(needed, row))
    }

    /// The places of the runs that a row's run starts from; of those that an analysis looks at, the row's own.
    fn needed_by(&self, place: usize, row: &Row) -> Vec<usize> {
        let needs = &self.plan[place].needs;
        let is_own = |needed: &&usize| {
            needs.len() == 1 || row.of.as_ref().is_none_or(|of| self.plan[**needed].name == *of)
        };
        needs.iter().filter(is_own).copied().collect()
    }

    /// The places of a run's seeds in the plan.
    pub(crate) fn places(&self, run: &str, labels: Option<usize>) -> Vec<usize> {
        let is_meant = |planned: &PlannedRun| {
            planned.name == run && (planned.labels == labels || planned.labels.is_none())
        };
        (0..self.plan.len()).filter(|place| is_meant(&self.plan[*place])).collect()
    }

    fn value(&self, place: usize, row: &Row, metric: &ShownMetric) -> SeedValue {
        if metric.is_duration() {
            return self.hours(place, row);
        }
        // It may wait for ever for the one that it needs, or have done without it.
        let of_needed = || {
            let mut needed =
                self.needed_by(place, row).into_iter().map(|needed| self.value(needed, row, metric));
            needed.find(|needed| matches!(needed, SeedValue::Diverged | SeedValue::Failed))
        };
        let Some(result) = &self.results[place] else {
            return of_needed().unwrap_or(SeedValue::NotRun);
        };
        match &result.ending {
            Ending::Diverged { .. } => SeedValue::Diverged,
            Ending::Failed { .. } => SeedValue::Failed,
            ending @ Ending::Finished { .. } => {
                let own = self.metric_of(place, row, metric);
                match own.and_then(|own| ending.mean(&own.name)) {
                    Some(mean) => SeedValue::Value(metric.scale() * mean),
                    None => of_needed().unwrap_or(SeedValue::NotMeasured),
                }
            }
        }
    }

    /// The hours of the pre-training that a run starts from, over however many others, whatever became of those.
    fn hours(&self, place: usize, row: &Row) -> SeedValue {
        let mut next = Some(place);
        while let Some(place) = next {
            if self.plan[place].stage == Stage::Pretraining {
                return match &self.results[place] {
                    None => SeedValue::NotRun,
                    Some(RunResult { ending: Ending::Diverged { .. }, .. }) => SeedValue::Diverged,
                    Some(RunResult { ending: Ending::Failed { .. }, .. }) => SeedValue::Failed,
                    Some(RunResult { seconds, .. }) => SeedValue::Value(seconds / 3600.0),
                };
            }
            next = self.needed_by(place, row).first().copied();
        }
        SeedValue::NotMeasured
    }

    /// Names of the pre-trainings in the plan, each once.
    pub(crate) fn pretrainings(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for run in self.plan.iter().filter(|run| run.stage == Stage::Pretraining) {
            if !names.contains(&run.name.as_str()) {
                names.push(&run.name);
            }
        }
        names
    }
}

/// A value over that of a row; what it has in place of one, or nothing where the row has none.
fn ratio(over: Option<SeedValue>, own: SeedValue) -> SeedValue {
    match (over, own) {
        (Some(SeedValue::Value(over)), SeedValue::Value(own)) => SeedValue::Value(over / own),
        (_, SeedValue::Value(_)) => SeedValue::NotMeasured,
        (_, own) => own,
    }
}
