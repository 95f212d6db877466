//! Answers of a classifier as text, JSON or a table.

use std::path::Path;

use convnext::Prediction;

use super::answer::Answer;
use super::names::SEPARATOR;
use crate::cli::output::{print_json, print_text};
use crate::cli::table_file::TableFile;

/// Destination of the answers, as they come.
pub(super) enum Output {
    /// Lines; the labels stand above the probabilities where a threshold makes them.
    Text { with_labels: bool },
    /// One list, so only when all are there.
    Json(Vec<Answer>),
    /// A CSV file.
    Table(Box<TableFile>),
}

impl Output {
    /// A table in a new file, with its head.
    pub(super) fn table(path: &Path) -> anyhow::Result<Self> {
        let head = ["image", "rank", "label", "index", "probability", "logit", "answer"];
        Ok(Self::Table(Box::new(TableFile::new(path, &head)?)))
    }

    pub(super) fn add(&mut self, answer: Answer) -> anyhow::Result<()> {
        match self {
            Self::Text { with_labels } => print_text(&describe(&answer, *with_labels)),
            Self::Json(answers) => {
                answers.push(answer);
                Ok(())
            }
            Self::Table(table) => write_rows(table, &answer),
        }
    }

    pub(super) fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Text { .. } => Ok(()),
            Self::Json(answers) => print_json(&answers),
            Self::Table(table) => table.finish(),
        }
    }
}

fn describe(answer: &Answer, with_labels: bool) -> String {
    let line = |p: &Prediction| format!("  {:6.2} %  {}", 100.0 * p.probability, p.label);
    let lines: Vec<String> = answer.predictions.iter().map(line).collect();
    let labels = if with_labels { format!(": {}", answer.chosen.labels().join(", ")) } else { String::new() };
    format!("{}{labels}\n{}", answer.image, lines.join("\n"))
}

fn write_rows(table: &mut TableFile, answer: &Answer) -> anyhow::Result<()> {
    let labels = answer.chosen.labels().join(SEPARATOR);
    for (rank, p) in (1_usize..).zip(&answer.predictions) {
        let [rank, index] = [rank, p.index].map(|number| number.to_string());
        let (probability, logit) = (p.probability.to_string(), p.logit.to_string());
        table.write([&answer.image, &rank, &p.label, &index, &probability, &logit, &labels])?;
    }
    Ok(())
}
