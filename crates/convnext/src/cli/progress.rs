//! Lines about the progress of a training, and bars on a terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convnext::study::StudyError;
use convnext::train::{EpochProgress, Observer, StepReport, TrainError};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

use super::output::print_progress;

/// Shows a training run, or several one after the other, on standard error, and ends it after the step in which a signal
/// comes.
pub(crate) struct TrainingProgress {
    quiet: bool,
    /// `true` for a line at the beginning and one at the end of a run.
    brief: bool,
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
}

impl TrainingProgress {
    /// A line for each epoch and, on a terminal, a bar; nothing when `quiet`.
    ///
    /// # Errors
    /// When the system does not let signals be caught.
    pub(crate) fn new(quiet: bool) -> io::Result<Self> {
        Ok(Self { quiet, brief: false, bar: ProgressBar::hidden(), interrupted: catch_signals()? })
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

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// The exit code of a program that a signal ended.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// `true` for the error of a training or a study that a signal ended.
pub(crate) fn is_interrupted(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrainError::Interrupted { .. }))
        || matches!(error.downcast_ref(), Some(StudyError::Interrupted))
}

/// A flag that Ctrl-C and SIGTERM set. A second signal ends the program at once.
pub(crate) fn catch_signals() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first one looks at the flag before the second one sets it.
        register_conditional_shutdown(signal, i32::from(EXIT_INTERRUPTED), Arc::clone(&flag))?;
        register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
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
