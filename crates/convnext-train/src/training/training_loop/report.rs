//! Report of an epoch: its mean loss, the metrics of its weights, and whether these are the best so far.

use burn::module::Module;

use super::Training;
use crate::error::TrainError;
use crate::run::checkpoint::Progress;
use crate::run::run_folder::{AVERAGED_WEIGHTS_FILE, BEST_WEIGHTS_FILE, WEIGHTS_FILE};
use crate::training::metric::{AVERAGE_PREFIX, Metric};
use crate::training::monitored_metric::MonitoredMetric;
use crate::training::observer::EpochReport;
use crate::training::task::Task;

impl<T: Task> Training<'_, T> {
    /// Reports the epoch as far as it came, measured if that is due; after the last step, saves the weights before
    /// that.
    pub(super) fn report(&mut self) -> Result<EpochReport, TrainError> {
        let step = self.progress.step;
        let diverged = |error| self.diverged(error, step);
        let averaged = self.learner.averaged();
        if self.is_finished() {
            let metadata = self.task.metadata();
            self.run.record_weights(WEIGHTS_FILE, self.learner.model(), metadata).map_err(diverged)?;
            if let Some(averaged) = &averaged {
                self.run.record_weights(AVERAGED_WEIGHTS_FILE, averaged, metadata).map_err(diverged)?;
            }
        }
        let Progress { epoch, epoch_steps, epoch_loss, .. } = self.progress;
        let epochs = step as f64 / self.steps_per_epoch() as f64;
        let train_loss = epoch_loss / epoch_steps.max(1) as f64;
        let mut report = EpochReport { epoch, step, epochs, train_loss, ..EpochReport::default() };
        if self.is_finished() || self.was_last_step() || self.is_validation_due() {
            self.measure(averaged.as_ref(), &mut report).map_err(diverged)?;
            self.progress.unmeasured_images = 0;
        }
        self.keep_best(&report, averaged.as_ref()).map_err(|error| self.diverged(error, step))?;
        self.run.record_epoch(&report)?;
        Ok(report)
    }

    /// Keeps the weights if they are the best so far, and remembers why. The mean loss of an epoch that is not over
    /// is not compared: over a few steps it is often low by chance.
    fn keep_best(&mut self, report: &EpochReport, averaged: Option<&T::Model>) -> Result<(), TrainError> {
        let monitored = self.task.monitored_metric();
        if monitored == MonitoredMetric::TrainLoss && !self.is_epoch_over() {
            return Ok(());
        }
        let Some(best) = monitored.best(report, self.progress.best.as_ref()) else { return Ok(()) };
        self.progress.best = Some(best);
        if monitored == MonitoredMetric::TrainLoss {
            return Ok(());
        }
        let averaged = averaged.filter(|_| self.is_best_average());
        let model = averaged.unwrap_or(self.learner.model());
        self.run.record_weights(BEST_WEIGHTS_FILE, model, self.task.metadata())
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
    fn measure(&self, averaged: Option<&T::Model>, report: &mut EpochReport) -> Result<(), TrainError> {
        let images = self.run.images()?;
        let measured = self.task.validate(&self.learner.model().valid(), Some(&images))?;
        report.monitored = self.task.monitored_metric().find_in(&measured.metrics)?.cloned();
        report.take_up(&measured, Metric::key);
        if let Some(averaged) = averaged {
            report.take_up(&self.task.validate(&averaged.valid(), None)?, Metric::averaged_key);
        }
        match measured.is_nothing() {
            true => Ok(()),
            false => self.run.record_evaluation(&measured),
        }
    }

    /// `true` if the average of the weights was best.
    fn is_best_average(&self) -> bool {
        self.progress.best.as_ref().is_some_and(|best| best.measure.starts_with(AVERAGE_PREFIX))
    }
}
