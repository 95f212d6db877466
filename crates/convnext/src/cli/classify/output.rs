//! Answers of a classifier as text, JSON or a table.

use std::fs::File;
use std::path::Path;

use convnext::Prediction;

use super::answer::Answer;
use super::names::SEPARATOR;
use crate::cli::output::{print_json, print_text};
use crate::cli::part_file::PartFile;

/// Destination of the answers, as they come.
pub(super) enum Output {
    /// Lines; the labels stand above the probabilities where a threshold makes them.
    Text { with_labels: bool },
    /// One list, so only when all are there.
    Json(Vec<Answer>),
    /// A CSV file, which gets its name when it is whole.
    Table(PartFile, Box<csv::Writer<File>>),
}

impl Output {
    /// A table in a new file, with its head.
    pub(super) fn table(path: &Path) -> anyhow::Result<Self> {
        let (part, file) = PartFile::create(path)?;
        let mut writer = csv::Writer::from_writer(file);
        let head = ["image", "rank", "label", "index", "probability", "logit", "answer"];
        writer.write_record(head).map_err(|error| part.cannot_write(error))?;
        Ok(Self::Table(part, Box::new(writer)))
    }

    pub(super) fn add(&mut self, answer: Answer) -> anyhow::Result<()> {
        match self {
            Self::Text { with_labels } => print_text(&describe(&answer, *with_labels)),
            Self::Json(answers) => {
                answers.push(answer);
                Ok(())
            }
            Self::Table(part, writer) => {
                write_rows(writer, &answer).map_err(|error| part.cannot_write(error))
            }
        }
    }

    pub(super) fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Text { .. } => Ok(()),
            Self::Json(answers) => print_json(&answers),
            Self::Table(part, mut writer) => {
                writer.flush().map_err(|error| part.cannot_write(error))?;
                part.finish()
            }
        }
    }
}

fn describe(answer: &Answer, with_labels: bool) -> String {
    let line = |p: &Prediction| format!("  {:6.2} %  {}", 100.0 * p.probability, p.label);
    let lines: Vec<String> = answer.predictions.iter().map(line).collect();
    let labels = if with_labels { format!(": {}", answer.chosen.labels().join(", ")) } else { String::new() };
    format!("{}{labels}\n{}", answer.image, lines.join("\n"))
}

fn write_rows(writer: &mut csv::Writer<File>, answer: &Answer) -> csv::Result<()> {
    let labels = answer.chosen.labels().join(SEPARATOR);
    for (rank, p) in (1..).zip(&answer.predictions) {
        let row =
            (&answer.image, rank, &p.label, p.index, p.probability.to_string(), p.logit.to_string(), &labels);
        writer.serialize::<(&String, usize, &String, usize, String, String, &String)>(row)?;
    }
    Ok(())
}
