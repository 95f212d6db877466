//! Lines about the progress of a training, and bars on a terminal.

use std::time::Duration;

use convnext::train::{EpochProgress, Interruption, Observer, StepReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::print_progress;
use super::signals::Signals;

/// Shows a training run, or several one after the other, on standard error, and ends it after the step in which a signal
/// comes.
pub(crate) struct TrainingProgress {
    quiet: bool,
    /// `true` for a line at the beginning and one at the end of a run.
    brief: bool,
    bar: ProgressBar,
    signals: Signals,
}

impl TrainingProgress {
    /// A line for each epoch and, on a terminal, a bar; nothing when `quiet`.
    pub(crate) fn new(quiet: bool, signals: Signals) -> Self {
        Self { quiet, brief: false, bar: ProgressBar::hidden(), signals }
    }

    /// The same with a line at the beginning and one at the end of each run: for several runs.
    pub(crate) fn brief(self) -> Self {
        Self { brief: true, ..self }
    }

    /// Shows a line above the bar.
    fn line(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| print_progress(text));
        }
    }
}

impl Observer for TrainingProgress {
    fn start(&mut self, summary: &str) {
        self.bar = bar(self.quiet, "{wide_bar} {pos}/{len} steps, {msg}, {eta} left");
        self.line(if self.brief { summary.lines().next().unwrap_or_default() } else { summary });
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    fn step(&mut self, report: &StepReport) {
        if self.bar.length().is_none() {
            self.bar.set_length(report.total_steps as u64);
            // Steps of an earlier process say nothing about the speed of this one.
            self.bar.set_position(report.step as u64 - 1);
            self.bar.reset_eta();
        }
        self.bar.set_position(report.step as u64);
        self.bar.set_message(format!(
            "epoch {}, loss {:.4}, {:.1} img/s",
            report.epoch + 1,
            report.loss,
            report.images_per_second
        ));
        if report.step == report.total_steps {
            self.bar.finish_and_clear();
        }
    }

    fn epoch(&mut self, progress: &EpochProgress<'_>) {
        if !self.brief || progress.is_last {
            self.line(&progress.to_string());
        }
    }

    fn message(&mut self, message: &str) {
        self.line(message);
    }

    fn interrupted(&self) -> Option<Interruption> {
        self.signals.interruption()
    }
}

/// Shows how many images are done.
pub(crate) fn image_bar(quiet: bool, images: usize) -> ProgressBar {
    let bar = bar(quiet, "{wide_bar} {pos}/{len} images, {per_sec}, {eta} left");
    bar.set_length(images as u64);
    bar
}

/// Shows a download.
pub(crate) fn byte_bar(quiet: bool) -> ProgressBar {
    bar(quiet, "{wide_bar} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left")
}

fn bar(quiet: bool, template: &str) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, target).with_style(style)
}
