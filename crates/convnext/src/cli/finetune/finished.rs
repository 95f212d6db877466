//! A finished training in words: the measure, what was written, and what comes next.

use std::path::Path;

use convnext::io::BEST_WEIGHTS_FILE;
use convnext::train::{Metric, RunSettings, Summary};
use convnext::write_report;

use crate::cli::output::{print_text, shell_word, stopped_in_words};
use crate::cli::parts::MeasuredPart;

/// A finished supervised training, of any task.
pub(super) struct FinishedTraining<'a> {
    pub(super) run: &'a RunSettings,
    /// The last weights.
    pub(super) weights: &'a Path,
    pub(super) summary: &'a Summary,
    /// Flags by which `evaluate` finds the images that were measured on.
    pub(super) same_images: String,
}

/// The flags by which a command holds out the images that a training held out, if it did: without them it would look at
/// training images as well.
pub(super) fn same_part(held_out: bool, fraction: f64, run: &RunSettings) -> String {
    if held_out { format!(" --val-fraction {fraction} --seed {}", run.seed.0) } else { String::new() }
}

impl FinishedTraining<'_> {
    /// Writes the report and prints what was measured, what was written, and commands that use the best weights, or the last
    /// ones where nothing was measured; on rank 0. `other` is the command besides `evaluate`, for these weights as a shell
    /// takes them.
    pub(super) fn print(
        &self,
        measured_on: &MeasuredPart,
        other: impl Fn(&str) -> String,
    ) -> anyhow::Result<()> {
        let Self { run, weights, summary, same_images } = self;
        if !run.ranks.is_first() {
            return Ok(());
        }
        let report = write_report(&run.out)?;
        let best = summary.monitored().zip(summary.best.as_ref()).map(|(metric, best)| {
            let metric = Metric { value: Some(best.value), ..metric };
            (run.out.join(BEST_WEIGHTS_FILE), format!("{metric} in epoch {}", best.epoch + 1))
        });
        let best = best.filter(|(file, _)| file.is_file());
        if let Some(metric) = summary.monitored() {
            let unread = match summary.last.left_out() {
                0 => String::new(),
                count => format!(" ({count} of them could not be read)"),
            };
            let stopped = stopped_in_words(summary);
            // Nothing is left then for a test of what is chosen.
            let has_chosen = best.is_some() && measured_on.is_test();
            let chosen = if has_chosen { ", which chose the best weights" } else { "" };
            let words = measured_on.in_words();
            print_text(&format!("validation {metric} on {words}{unread}{chosen}{stopped}"))?;
        }
        let also = best.as_ref().map(|(file, why)| format!(", {} (the best: {why})", file.display()));
        let recommended = best.as_ref().map_or(*weights, |(file, _)| file);
        print_text(&format!(
            "wrote {last}{also} and {report}\nnext: convnext evaluate --data {data}{same_images} --weights \
             {recommended}\n      convnext {other}",
            last = weights.display(),
            also = also.unwrap_or_default(),
            report = report.display(),
            data = shell_word(&run.data),
            other = other(&shell_word(recommended)),
            recommended = shell_word(recommended),
        ))
    }
}
