//! Report of an epoch: its mean loss, the metrics of its weights, and whether these are the best so far.

use std::path::Path;

use burn::module::Module;
use convnext_io::{AVERAGED_WEIGHTS_FILE, BEST_WEIGHTS_FILE, WEIGHTS_FILE};

use super::training::Training;
use crate::error::TrainError;
use crate::run::checkpoint::Progress;
use crate::run::meeting::meet;
use crate::run::summary::Summary;
use crate::training::early_stopping::EarlyStop;
use crate::training::epoch_report::EpochReport;
use crate::training::metric::{AVERAGE_PREFIX, Metric};
use crate::training::monitored_metric::MonitoredMetric;
use crate::training::observer::{EpochProgress, Observer};
use crate::training::stability::LossCourse;
use crate::training::task::Task;
use crate::training::validation_result::ValidationResult;

/// Metrics of one validation: of the weights, and of their average where there is one.
#[derive(Default)]
struct Measured {
    metrics: Vec<Metric>,
    averaged: Vec<Metric>,
}

impl<T: Task> Training<'_, T> {
    /// Reports the epoch as far as it came, measured if that is due. After the last step, saves the weights before
    /// that; where the patience is over, after it.
    pub(super) fn report(&mut self, observer: &mut dyn Observer) -> Result<EpochReport, TrainError> {
        let step = self.progress.step;
        let averaged = self.learner.averaged();
        if self.is_finished() {
            self.save_weights(averaged.as_ref()).map_err(|error| self.diverged(error, step))?;
        }
        let Progress { epoch, epoch_steps, epoch_loss, .. } = self.progress;
        let epochs = step as f64 / self.setup.steps_per_epoch() as f64;
        let train_loss = epoch_loss / epoch_steps.max(1) as f64;
        let mut report = EpochReport { epoch, step, epochs, train_loss, ..EpochReport::default() };
        let mut measured = Measured::default();
        if self.is_finished() || self.was_last_step() || self.is_validation_due() {
            let found = self.measure(averaged.as_ref(), &mut report);
            measured = found.map_err(|error| self.diverged(error, step))?;
            self.progress.unmeasured_images = 0;
        }
        self.keep_best(&report, averaged.as_ref()).map_err(|error| self.diverged(error, step))?;
        if self.is_stopped_early() && !self.is_finished() {
            self.save_weights(averaged.as_ref()).map_err(|error| self.diverged(error, step))?;
        }
        self.progress.losses = LossCourse::after(self.progress.losses, &report);
        self.run.write(|run| run.record_epoch(&report))?;
        self.show(&report, &measured, observer);
        Ok(report)
    }

    /// Writes the weights of the end, and their average where there is one.
    fn save_weights(&mut self, averaged: Option<&T::Model>) -> Result<(), TrainError> {
        let (metadata, model) = (self.task.metadata(), self.learner.model());
        self.run.write(|run| {
            run.record_weights(WEIGHTS_FILE, model, metadata)?;
            averaged.map_or(Ok(()), |averaged| run.record_weights(AVERAGED_WEIGHTS_FILE, averaged, metadata))
        })
    }

    fn show(&self, report: &EpochReport, measured: &Measured, observer: &mut dyn Observer) {
        let Progress { step, learning_rate, seconds_before_epoch, .. } = self.progress;
        let schedule = &self.setup.schedule;
        let left = schedule.total_steps.saturating_sub(step);
        observer.epoch(&EpochProgress {
            report,
            total_epochs: self.setup.total_epochs(),
            learning_rate: learning_rate.unwrap_or_else(|| schedule.learning_rate(step.saturating_sub(1))),
            seconds: self.seconds() - seconds_before_epoch.unwrap_or(self.seconds_before),
            seconds_left: if left > 0 { self.pace.seconds_of(left) } else { None },
            metrics: &measured.metrics,
            averaged: &measured.averaged,
            best: self.progress.best.as_ref(),
            best_value: &self.progress.best_in_words,
            is_last: self.is_finished() || self.is_stopped_early(),
        });
    }

    /// Keeps the weights if they are the best so far, and remembers why. The mean loss of a part of an epoch is not compared:
    /// over a few steps it is often low by chance. Only that of a run which ends within its first epoch is, as there is no other.
    fn keep_best(&mut self, report: &EpochReport, averaged: Option<&T::Model>) -> Result<(), TrainError> {
        let monitored = self.task.monitored_metric();
        let is_whole = self.progress.epoch_steps >= self.setup.steps_per_epoch();
        let is_all = self.is_finished() && self.progress.best.is_none();
        if monitored == MonitoredMetric::TrainLoss && !is_whole && !is_all {
            return Ok(());
        }
        if !monitored.is_comparable(report) {
            return Ok(());
        }
        let Some(best) = monitored.best(report, self.progress.best.as_ref()) else {
            self.progress.since_best += 1;
            return Ok(());
        };
        let shown = report.monitored.clone().map(|metric| Metric { value: Some(best.value), ..metric });
        self.progress.best_in_words =
            shown.map_or_else(|| format!("{:.4}", best.value), |metric| metric.value_in_words());
        self.progress.since_best = 0;
        self.progress.best = Some(best);
        if monitored == MonitoredMetric::TrainLoss {
            return Ok(());
        }
        let averaged = averaged.filter(|_| self.is_best_average());
        let model = averaged.unwrap_or(self.learner.model());
        let metadata = self.task.metadata();
        self.run.write(|run| run.record_weights(BEST_WEIGHTS_FILE, model, metadata))
    }

    /// `true` if the weights are measured here: every so many steps as the recipe says, or else at the end of
    /// an epoch as soon as as many images were trained on as are measured.
    fn is_validation_due(&self) -> bool {
        match self.setup.validate_every {
            Some(steps) => self.progress.step.is_multiple_of(steps),
            None => self.progress.unmeasured_images >= self.task.validation_images(),
        }
    }

    /// Measures the weights, and their average where there is one.
    fn measure(
        &mut self,
        averaged: Option<&T::Model>,
        report: &mut EpochReport,
    ) -> Result<Measured, TrainError> {
        let images = meet(&self.setup.ranks, self.run.images())?;
        let measured = self.validate(&self.learner.model().valid(), images.as_deref())?;
        report.monitored = self.task.monitored_metric().find_in(&measured.metrics)?.cloned();
        report.take_up(&measured, Metric::key);
        let mut of_average = Vec::new();
        if let Some(averaged) = averaged {
            let measured = self.validate(&averaged.valid(), None)?;
            report.take_up(&measured, Metric::averaged_key);
            of_average = measured.metrics;
        }
        if !measured.is_nothing() {
            self.run.write(|run| run.record_evaluation(&measured))?;
        }
        Ok(Measured { metrics: measured.metrics, averaged: of_average })
    }

    /// Measures a model, on all ranks.
    fn validate(&self, model: &T::Model, images: Option<&Path>) -> Result<ValidationResult, TrainError> {
        meet(&self.setup.ranks, self.task.validate(model, images))
    }

    /// Summary of the run after its last report.
    pub(super) fn summary(&self, last: EpochReport) -> Summary {
        Summary {
            steps: self.progress.step,
            epochs: self.progress.epoch + 1,
            images: self.setup.loader.samples(),
            seconds: self.seconds(),
            monitored: last.monitored.clone().map(Box::new),
            stopped_early: self.early_stop(&last).map(Box::new),
            unstable: self.progress.losses.filter(LossCourse::is_unstable).map(Box::new),
            last,
            best: self.progress.best.clone(),
            since_best: self.progress.since_best,
            corrupt: self.setup.loader.corrupt(),
        }
    }

    /// The early end, if the patience was over before all steps were made.
    fn early_stop(&self, last: &EpochReport) -> Option<EarlyStop> {
        let patience = self.setup.patience.filter(|_| self.is_stopped_early() && !self.is_finished())?;
        Some(EarlyStop {
            epoch: self.progress.epoch + 1,
            total_epochs: self.setup.total_epochs(),
            total_steps: self.setup.schedule.total_steps,
            metric: last.monitored.as_ref().map_or("train loss", Metric::label).to_owned(),
            patience,
            by_validation: self.task.monitored_metric() != MonitoredMetric::TrainLoss,
        })
    }

    /// `true` if the average of the weights was best.
    fn is_best_average(&self) -> bool {
        self.progress.best.as_ref().is_some_and(|best| best.measure.starts_with(AVERAGE_PREFIX))
    }
}
