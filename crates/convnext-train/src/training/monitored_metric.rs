//! Best epoch of a run, by the monitored metric.

use crate::error::TrainError;
use crate::run::checkpoint::{Best, Checkpoints};
use crate::training::epoch_report::EpochReport;
use crate::training::metric::{Direction, Metric};

/// The measure by which epochs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonitoredMetric {
    /// The least mean loss of an epoch's steps, for tasks without metrics. A last epoch that is cut short counts only where it is
    /// the first one.
    TrainLoss,
    /// The metric of this name among those that the task measures; its direction says which value is better.
    Named(&'static str),
}

/// Monitored value of an epoch.
struct Worth {
    measure: String,
    value: f64,
    direction: Direction,
}

impl MonitoredMetric {
    /// The metric that is compared, among these of a validation; `None` where none is, or nothing was measured.
    ///
    /// # Errors
    /// [`TrainError::UnknownMetric`] when others were measured.
    pub(crate) fn find_in(self, metrics: &[Metric]) -> Result<Option<&Metric>, TrainError> {
        let Self::Named(wanted) = self else { return Ok(None) };
        let found = metrics.iter().find(|metric| metric.name == wanted);
        if found.is_none() && !metrics.is_empty() {
            let known = metrics.iter().map(|metric| metric.name.clone()).collect();
            return Err(TrainError::UnknownMetric { name: wanted.to_owned(), known });
        }
        Ok(found)
    }

    /// The epoch as the best one so far; `None` when it is not, or when it was not measured.
    pub(crate) fn best(self, report: &EpochReport, so_far: Option<&Best>) -> Option<Best> {
        let Worth { measure, value, direction } = self.worth(report)?;
        let EpochReport { epoch, step, .. } = *report;
        let checkpoint = Checkpoints::name(step);
        so_far.is_none_or(|best| direction.is_better(value, best.value)).then_some(Best {
            epoch,
            step,
            measure,
            value,
            checkpoint,
        })
    }

    /// `true` if the epoch has a value to compare.
    pub(crate) fn is_comparable(self, report: &EpochReport) -> bool {
        self.worth(report).is_some()
    }

    /// Monitored value of the epoch; that of the average of the weights where it is better.
    fn worth(self, report: &EpochReport) -> Option<Worth> {
        if self == Self::TrainLoss {
            let (measure, direction) = ("train_loss".to_owned(), Direction::LowerIsBetter);
            return Some(Worth { measure, value: report.train_loss, direction });
        }
        let metric = report.monitored.as_ref()?;
        let direction = metric.direction;
        let found = [metric.key(), metric.averaged_key()].into_iter().filter_map(|measure| {
            let value = report.value(&measure)?;
            Some(Worth { measure, value, direction })
        });
        // Of equals the weights themselves.
        found.reduce(|best, next| if direction.is_better(next.value, best.value) { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::validation_result::ValidationResult;

    const ERROR: MonitoredMetric = MonitoredMetric::Named("error");

    /// The epochs of a run by one metric: of the weights, of their average.
    fn best(direction: Direction, epochs: &[(Option<f64>, Option<f64>)]) -> Option<Best> {
        let mut best = None;
        for (number, &(own, averaged)) in (0..).zip(epochs) {
            let measured =
                |value| ValidationResult::new("counting", vec![Metric::new("error", value, direction)], &());
            let mut report = EpochReport { epoch: number, step: 5, ..EpochReport::default() };
            report.take_up(&measured(own), Metric::key);
            report.take_up(&measured(averaged), Metric::averaged_key);
            report.monitored = ERROR.find_in(&measured(own).metrics).unwrap().cloned();
            best = ERROR.best(&report, best.as_ref()).or(best);
        }
        best
    }

    fn found(best: Option<Best>) -> Option<(u64, String, f64)> {
        best.map(|best| (best.epoch, best.measure, best.value))
    }

    #[test]
    fn where_lower_is_better_the_lowest_epoch_wins() {
        let epochs = [(Some(3.0), None), (Some(1.0), None), (Some(2.0), None), (Some(1.0), None)];
        let lowest = found(best(Direction::LowerIsBetter, &epochs));
        assert_eq!(lowest, Some((1, "validation_error".into(), 1.0)));
        let highest = found(best(Direction::HigherIsBetter, &epochs));
        assert_eq!(highest, Some((0, "validation_error".into(), 3.0)));
    }

    #[test]
    fn the_average_wins_where_it_is_better_and_not_where_it_is_equal() {
        let lower = found(best(Direction::LowerIsBetter, &[(Some(2.0), Some(2.0)), (Some(4.0), Some(1.0))]));
        assert_eq!(lower, Some((1, "ema_validation_error".into(), 1.0)));
        let equal = found(best(Direction::LowerIsBetter, &[(Some(2.0), Some(2.0))]));
        assert_eq!(equal, Some((0, "validation_error".into(), 2.0)));
    }

    #[test]
    fn an_epoch_without_a_value_is_never_the_best() {
        assert_eq!(found(best(Direction::LowerIsBetter, &[(None, None)])), None);
        let later =
            found(best(Direction::LowerIsBetter, &[(None, None), (Some(f64::NAN), None), (Some(7.0), None)]));
        assert_eq!(later, Some((2, "validation_error".into(), 7.0)));
    }

    #[test]
    fn a_metric_that_is_not_measured_is_named_with_those_that_are() {
        let metrics = ["top1", "loss"].map(|name| Metric::new(name, None, Direction::LowerIsBetter));
        assert_eq!(MonitoredMetric::Named("loss").find_in(&metrics).unwrap(), Some(&metrics[1]));
        let error = MonitoredMetric::Named("top-1").find_in(&metrics).unwrap_err().to_string();
        assert!(
            error.contains("metric 'top-1'") && error.contains("what it measures: top1, loss"),
            "{error}"
        );
        // Without images to measure on there is nothing to choose among.
        assert_eq!(MonitoredMetric::Named("top-1").find_in(&[]).unwrap(), None);
        assert_eq!(MonitoredMetric::TrainLoss.find_in(&metrics).unwrap(), None);
    }

    #[test]
    fn without_metrics_the_least_loss_wins() {
        let report = |epoch, train_loss| EpochReport { epoch, train_loss, ..EpochReport::default() };
        let first = MonitoredMetric::TrainLoss.best(&report(0, 0.5), None);
        assert_eq!(MonitoredMetric::TrainLoss.best(&report(1, 0.6), first.as_ref()), None);
        let second = MonitoredMetric::TrainLoss.best(&report(2, 0.4), first.as_ref());
        assert_eq!(found(second), Some((2, "train_loss".into(), 0.4)));
    }
}
