//! The table of a study: means and standard deviations over seeds, comparisons seed by seed, and the paper's numbers.

use std::collections::BTreeMap;

use crate::number::printed_decimals;
use crate::outcome::{SeedValue, StudyOutcome};
use crate::spread::Spread;
use crate::study::{Compare, PaperValue, Row, ShownMetric};

/// A table in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyTable {
    /// Names of the columns; the first ones, up to [`StudyTable::numbers_from`], hold words.
    pub head: Vec<String>,
    /// The cells of each row.
    pub rows: Vec<Vec<String>>,
    /// The first column of numbers.
    pub numbers_from: usize,
}

/// Text of a cell that can have nothing.
const NOTHING: &str = "-";

impl StudyOutcome {
    /// The table, whose columns are: the row, with its part of the table where there are parts, and with the row that it is
    /// compared with where that is not the same for all; for each number of labels
    /// the metrics, as mean and sample standard deviation over seeds, and the first one, and those that ask for it, compared
    /// with the baseline seed by seed; the paper's numbers and a comparison of the first ones of these.
    pub fn table(&self) -> StudyTable {
        let has = Columns {
            groups: self.study.rows.iter().any(|row| row.group.is_some()),
            baselines: self.study.rows.iter().any(|row| row.against.is_some()),
            comparisons: self.study.rows.iter().any(|row| self.study.baseline_of(row).is_some()),
            paper: self.study.rows.iter().map(|row| row.paper.len()).max().unwrap_or_default(),
        };
        let rows = self.study.rows.iter().map(|row| self.cells(row, &has)).collect();
        StudyTable {
            head: self.head(&has),
            rows,
            numbers_from: 1 + usize::from(has.groups) + usize::from(has.baselines),
        }
    }

    fn head(&self, has: &Columns) -> Vec<String> {
        let compared = match self.study.compare {
            Compare::Difference => "difference",
            Compare::Ratio => "ratio",
        };
        let mut head: Vec<String> = has.groups.then(|| "part".to_owned()).into_iter().collect();
        head.push("row".to_owned());
        head.extend(has.baselines.then(|| "against".to_owned()));
        for (place, labels) in self.labels().into_iter().enumerate() {
            let with = |title: &str| match labels {
                Some(labels) => format!("{title}, {labels} labels a class"),
                None => title.to_owned(),
            };
            head.extend(self.shown(place).map(|metric| match metric.is_duration() {
                true => title(metric),
                false => with(&title(metric)),
            }));
            head.extend(self.compared(has).map(|metric| match self.study.compared_metrics().count() {
                1 => with(compared),
                _ => with(&format!("{compared}, {}", metric.label)),
            }));
        }
        head.extend(self.study.metrics[..has.paper].iter().map(|metric| format!("paper, {}", metric.label)));
        head.extend((has.comparisons && has.paper > 0).then(|| format!("paper, {compared}")));
        head
    }

    fn cells(&self, row: &Row, has: &Columns) -> Vec<String> {
        let mut cells: Vec<String> =
            has.groups.then(|| row.group.clone().unwrap_or_default()).into_iter().collect();
        cells.push(row.name.clone());
        let baseline = self.study.baseline_of(row);
        cells.extend(
            has.baselines.then(|| baseline.map_or_else(|| NOTHING.to_owned(), |other| other.name.clone())),
        );
        for (place, labels) in self.labels().into_iter().enumerate() {
            let unstable = self.unstable_seeds(row, labels);
            cells.extend(self.shown(place).map(|metric| {
                let unstable: &[u64] = if metric.is_duration() { &[] } else { &unstable };
                let text = cell(metric, &self.by_seed(row, labels, metric), unstable);
                match self.without_value(row, labels, metric) {
                    (0, _) => text,
                    (missing, all) => format!("{text}, {missing} of {all} layers without a value"),
                }
            }));
            cells.extend(self.compared(has).map(|metric| self.comparison(row, labels, metric)));
        }
        let paper = |place| row.paper.get(place).map_or_else(|| NOTHING.to_owned(), PaperValue::in_words);
        cells.extend((0..has.paper).map(paper));
        cells.extend((has.comparisons && has.paper > 0).then(|| self.paper_comparison(row)));
        cells
    }

    /// The metrics with a column for the number of labels at a place. A pre-training is the same for all of them.
    fn shown(&self, place: usize) -> impl Iterator<Item = &ShownMetric> {
        self.study.metrics.iter().filter(move |metric| place == 0 || !metric.is_duration())
    }

    /// The metrics with a column of comparisons.
    fn compared(&self, has: &Columns) -> impl Iterator<Item = &ShownMetric> {
        self.study.compared_metrics().filter(|_| has.comparisons)
    }

    /// A metric of a row compared with that of its baseline, over the seeds that both have.
    fn comparison(&self, row: &Row, labels: Option<usize>, metric: &ShownMetric) -> String {
        let Some(baseline) = self.study.baseline_of(row) else { return NOTHING.to_owned() };
        let [own, other] = [row, baseline].map(|row| self.by_seed(row, labels, metric));
        let pairs = own.iter().filter_map(|(seed, own)| match (own, other.get(seed)?) {
            (SeedValue::Value(own), SeedValue::Value(other)) => Some(self.of_pair(*own, *other)),
            _ => None,
        });
        let pairs: Vec<f64> = pairs.collect();
        if pairs.is_empty() {
            return NOTHING.to_owned();
        }
        let count = pairs.len();
        let Spread { mean, deviation } = Spread::of(pairs);
        let decimals = match self.study.compare {
            Compare::Difference => metric.decimals(mean.abs().max(deviation.unwrap_or_default())),
            Compare::Ratio => 2,
        };
        let mut text = self.in_words(mean, decimals);
        text.extend(deviation.map(|deviation| format!(" ± {deviation:.decimals$}")));
        if (count as u64) < self.options.seeds {
            text += &format!(" ({count} seed{})", if count == 1 { "" } else { "s" });
        }
        text
    }

    fn paper_comparison(&self, row: &Row) -> String {
        let baseline = self.study.baseline_of(row);
        match (row.paper.first(), baseline.and_then(|baseline| baseline.paper.first())) {
            (Some(PaperValue::Number(own)), Some(PaperValue::Number(other))) => {
                let decimals = printed_decimals(*own).max(printed_decimals(*other));
                self.in_words(self.of_pair(*own, *other), decimals)
            }
            _ => NOTHING.to_owned(),
        }
    }

    fn of_pair(&self, own: f64, other: f64) -> f64 {
        match self.study.compare {
            Compare::Difference => own - other,
            Compare::Ratio => own / other,
        }
    }

    fn in_words(&self, comparison: f64, decimals: usize) -> String {
        match self.study.compare {
            Compare::Difference => format!("{comparison:+.decimals$}"),
            Compare::Ratio => format!("{comparison:.decimals$}"),
        }
    }

    /// The table as Markdown, under title and question.
    pub fn markdown(&self) -> String {
        let StudyTable { head, rows, numbers_from } = self.table();
        let cell = |text: &String| text.replace('\n', " ").replace('|', "\\|");
        let line =
            |cells: &[String]| format!("| {} |\n", cells.iter().map(cell).collect::<Vec<_>>().join(" | "));
        let rule: Vec<String> = (0..head.len())
            .map(|column| if column < numbers_from { "---" } else { "---:" }.to_owned())
            .collect();
        let study = &self.study;
        let mut text = format!("# {}\n\n{}\n", study.title, study.question);
        if !study.paper.is_empty() {
            text += &format!("Paper: {}.\n", study.paper);
        }
        text += &format!("\n{}{}", line(&head), line(&rule));
        text.extend(rows.iter().map(|cells| line(cells)));
        text += &format!("\n{}\n\n", self.legend());
        text.extend(self.conditions().iter().map(|(name, value)| format!("- {name}: {value}\n")));
        if !study.remarks.is_empty() {
            text += &format!("\n{}\n", study.remarks.trim_end());
        }
        text
    }
}

/// Columns that not every table has.
struct Columns {
    groups: bool,
    /// The row that each is compared with.
    baselines: bool,
    comparisons: bool,
    /// Number of metrics that any row quotes.
    paper: usize,
}

/// Title of a metric's column, with its unit.
pub(crate) fn title(metric: &ShownMetric) -> String {
    if metric.percent { format!("{} in %", metric.label) } else { metric.label.clone() }
}

/// A metric over seeds in words, with a remark where some are of unstable trainings.
fn cell(metric: &ShownMetric, seeds: &BTreeMap<u64, SeedValue>, unstable: &[u64]) -> String {
    let values: Vec<f64> = seeds
        .values()
        .filter_map(|value| match value {
            SeedValue::Value(value) => Some(*value),
            _ => None,
        })
        .collect();
    let others = [
        (SeedValue::Diverged, "diverged"),
        (SeedValue::Failed, "failed"),
        (SeedValue::NotRun, "not run"),
        (SeedValue::NotMeasured, "not measured"),
    ]
    .map(|(kind, words)| (seeds.values().filter(|value| **value == kind).count(), words));
    let others = others.into_iter().filter(|(count, _)| *count > 0);
    if seeds.is_empty() {
        return NOTHING.to_owned();
    }
    if values.is_empty() {
        let all = |(count, words): (usize, &str)| {
            if count == seeds.len() { words.to_owned() } else { format!("{count} {words}") }
        };
        return others.map(all).collect::<Vec<_>>().join(", ");
    }
    let count = values.len();
    let Spread { mean, deviation } = Spread::of(values);
    let decimals = metric.decimals(mean.abs().max(deviation.unwrap_or_default()));
    let mut text = format!("{mean:.decimals$}");
    text.extend(deviation.map(|deviation| format!(" ± {deviation:.decimals$}")));
    let is_value = |seed: &&u64| matches!(seeds.get(*seed), Some(SeedValue::Value(_)));
    match unstable.iter().filter(is_value).count() {
        0 => {}
        unstable if unstable == count => text += ", unstable",
        unstable => text += &format!(", {unstable} unstable"),
    }
    others.fold(text, |text, (count, words)| format!("{text}, {count} {words}"))
}
