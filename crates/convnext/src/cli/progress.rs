//! Progress bars on a terminal; nothing elsewhere.

use std::time::Duration;

use convnext::train::{EpochReport, Observer, StepReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows a training run.
pub(crate) struct TrainingProgress {
    bar: ProgressBar,
}

impl TrainingProgress {
    /// A bar that stays hidden when `quiet`, or when standard error is no terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { bar: bar(quiet, "{wide_bar} {pos}/{len} steps, {msg}, {eta} left") }
    }
}

impl Observer for TrainingProgress {
    fn start(&mut self, summary: &str) {
        if log::log_enabled!(log::Level::Info) {
            log::info!("{summary}");
        } else {
            self.bar.println(summary);
        }
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    fn step(&mut self, report: &StepReport) {
        self.bar.set_length(report.total_steps as u64);
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

    fn epoch(&mut self, report: &EpochReport) {
        let top1 = report.validation.get("validation_top1");
        let measured = top1.map_or(String::new(), |top1| format!(", validation top-1 {:.2} %", 100.0 * top1));
        self.bar
            .suspend(|| log::info!("epoch {}: loss {:.4}{measured}", report.epoch + 1, report.train_loss));
    }
}

/// Shows how many images are done.
pub(crate) fn image_bar(quiet: bool, images: usize) -> ProgressBar {
    let bar = bar(quiet, "{wide_bar} {pos}/{len} images, {per_sec}, {eta} left");
    bar.set_length(images as u64);
    bar
}

fn bar(quiet: bool, template: &str) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, target).with_style(style)
}
