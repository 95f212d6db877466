//! Lines to draw of a study: results over what is varied, and metrics by epoch.

use convnext_train::EpochReport;

use crate::outcome::{SeedValue, StudyOutcome};
use crate::results::Ending;
use crate::spread::Spread;
use crate::study::{Row, ShownMetric};
use crate::table::title;

/// A place on the x axis, and the value there, if there is one.
type Point = (f64, Option<f64>);

/// Lines over a common axis.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyPlot {
    /// Title.
    pub title: String,
    /// Label of the x axis.
    pub x: String,
    /// Label of the y axis.
    pub y: String,
    /// Names and points; lines without points keep their place, so that a row looks the same in every plot. Layers without a value
    /// have no point.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl StudyOutcome {
    /// All plots: metrics over what rows vary, lists of values by their places, metrics by epoch, and losses of
    /// pre-trainings; means over seeds. A plot without points is left out.
    pub fn plots(&self) -> Vec<StudyPlot> {
        let mut plots = Vec::new();
        for metric in &self.study.metrics {
            plots.extend(self.study.x.as_deref().map(|x| self.over_x(metric, x)));
            plots.push(self.by_place(metric));
            plots.push(self.by_epoch(metric));
        }
        plots.push(self.pretraining_losses());
        plots.retain(|plot| plot.lines.iter().any(|(_, points)| !points.is_empty()));
        plots
    }

    /// A line for each group of rows, with the mean of each row over the number that it varies.
    fn over_x(&self, metric: &ShownMetric, x: &str) -> StudyPlot {
        let mut lines = Vec::new();
        for labels in self.labels() {
            for row in &self.study.rows {
                let values: Vec<f64> = self
                    .by_seed(row, labels, metric)
                    .into_values()
                    .filter_map(|value| match value {
                        SeedValue::Value(value) => Some(value),
                        _ => None,
                    })
                    .collect();
                let (Some(x), false) = (row.x, values.is_empty()) else { continue };
                let name = with_labels(row.group.as_deref().unwrap_or(&metric.label), labels);
                let point = (x, Spread::of(values).mean);
                match lines.iter_mut().find(|(known, _): &&mut (String, Vec<(f64, f64)>)| *known == name) {
                    Some((_, points)) => points.push(point),
                    None => lines.push((name, vec![point])),
                }
            }
        }
        lines.iter_mut().for_each(|(_, points)| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        let title = format!("{} over {x}", metric.label);
        StudyPlot { title, x: x.to_owned(), y: self::title(metric), lines }
    }

    /// Values of a list, such as those of the layers, by their places from 1.
    fn by_place(&self, metric: &ShownMetric) -> StudyPlot {
        let lines = self.lines(|row, place| {
            let scaled = |value: &Option<f64>| value.map(|value| metric.scale() * value);
            let values = self.list(place, row, metric)?;
            Some((1..).zip(values).map(|(number, value)| (f64::from(number), scaled(value))).collect())
        });
        StudyPlot {
            title: format!("{} by layer", metric.label),
            x: "layer".to_owned(),
            y: title(metric),
            lines,
        }
    }

    fn by_epoch(&self, metric: &ShownMetric) -> StudyPlot {
        let key = format!("validation_{}", metric.name);
        let lines = self.lines(|_, place| {
            let value = |epoch: &EpochReport| Some((epoch.epochs, Some(metric.scale() * epoch.value(&key)?)));
            Some(self.epochs(place)?.iter().filter_map(value).collect())
        });
        StudyPlot {
            title: format!("{} by epoch", metric.label),
            x: "epochs".to_owned(),
            y: title(metric),
            lines,
        }
    }

    fn pretraining_losses(&self) -> StudyPlot {
        let line = |name: &str| {
            let of_seed = |place: usize| {
                let points = |epoch: &EpochReport| (epoch.epochs, Some(epoch.train_loss));
                Some(self.epochs(place)?.iter().map(points).collect())
            };
            let seeds: Vec<Vec<Point>> = self.places(name, None).into_iter().filter_map(of_seed).collect();
            (name.to_owned(), mean(&seeds))
        };
        let lines = self.pretrainings().into_iter().map(line).collect();
        let title = "Loss of the pre-trainings by epoch".to_owned();
        StudyPlot { title, x: "epochs".to_owned(), y: "training loss".to_owned(), lines }
    }

    /// A line for each row that is run and each number of labels: the mean of its seeds' points.
    fn lines(&self, points: impl Fn(&Row, usize) -> Option<Vec<Point>>) -> Vec<(String, Vec<(f64, f64)>)> {
        let mut lines = Vec::new();
        for row in self.study.rows.iter() {
            let Some(run) = row.run.as_deref() else { continue };
            for labels in self.labels() {
                let places = self.places(run, labels).into_iter();
                let seeds: Vec<Vec<Point>> = places.filter_map(|place| points(row, place)).collect();
                lines.push((with_labels(&row.name, labels), mean(&seeds)));
            }
        }
        lines
    }

    fn epochs(&self, place: usize) -> Option<&[EpochReport]> {
        match &self.results[place].as_ref()?.ending {
            Ending::Finished { epochs, .. } => Some(epochs),
            Ending::Diverged { .. } | Ending::Failed { .. } => None,
        }
    }
}

fn with_labels(name: &str, labels: Option<usize>) -> String {
    labels.map_or_else(|| name.to_owned(), |labels| format!("{name}, {labels} labels a class"))
}

/// The mean of several lines, point by point, as far as the shortest goes: a data set that is divided by the seed may have
/// epochs of different lengths. Where no line has a value, there is no point.
fn mean(lines: &[Vec<Point>]) -> Vec<(f64, f64)> {
    let shortest = lines.iter().map(Vec::len).min().unwrap_or_default();
    let at = |place: usize| {
        let known = lines.iter().filter_map(|line| Some((line[place].0, line[place].1?)));
        let known: Vec<(f64, f64)> = known.collect();
        let count = known.len() as f64;
        let (x, y) = known.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (!known.is_empty()).then(|| (x / count, y / count))
    };
    (0..shortest).filter_map(at).collect()
}
