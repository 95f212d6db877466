//! Loss of a batch: its total, its components, and the observed statistics and counters.

use std::collections::BTreeMap;

use burn::prelude::*;
use convnext_nn::BatchStatistics;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::training::observed::Observed;

/// The loss of one batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// The loss to differentiate, `[1]`.
    pub total: Tensor<1>,
    /// Components of the loss, by name; empty where it is one thing. They are shown, and an error about a
    /// value that is not finite names them.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// Updates of running statistics and counters by the batch, folded in after the step.
    pub observed: Vec<Observed>,
}

/// The numbers of a loss.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LossValues {
    /// The whole.
    pub total: f32,
    /// Its parts by name.
    pub parts: BTreeMap<String, f32>,
}

impl From<Tensor<1>> for Loss {
    /// A loss that is one thing.
    fn from(total: Tensor<1>) -> Self {
        Self { total, parts: Vec::new(), observed: Vec::new() }
    }
}

impl Loss {
    /// The sum of parts.
    ///
    /// # Panics
    /// When there is no part.
    pub fn sum(parts: Vec<(&'static str, Tensor<1>)>) -> Self {
        let sum = parts.iter().map(|(_, part)| part.clone()).reduce(|sum, part| sum + part);
        let total = sum.unwrap_or_else(|| unreachable!("a loss has a part"));
        Self { total, parts, observed: Vec::new() }
    }

    /// The same with what the batch norms of a model saw in this batch, besides what was observed before.
    #[must_use]
    pub fn with_statistics(mut self, statistics: Vec<BatchStatistics>) -> Self {
        self.observed.extend(statistics.into_iter().flat_map(Observed::of_batch_norm));
        self
    }

    /// Its numbers.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] with the first part that is not finite, or the whole where parts are not told.
    pub(crate) fn values(&self) -> Result<LossValues, TrainError> {
        let mut parts = BTreeMap::new();
        for (name, part) in &self.parts {
            let value = part.clone().into_scalar::<f32>();
            if !value.is_finite() {
                return Err(TrainError::NotFinite { what: format!("the part {name} of the loss ({value})") });
            }
            parts.insert((*name).to_owned(), value);
        }
        let total = self.total.clone().into_scalar::<f32>();
        if !total.is_finite() {
            return Err(TrainError::NotFinite { what: format!("the loss ({total})") });
        }
        Ok(LossValues { total, parts })
    }
}

impl LossValues {
    /// Adds those of another batch; a part that a batch does not have counts as 0.
    pub(crate) fn add(&mut self, other: &Self) {
        self.total += other.total;
        for (name, value) in &other.parts {
            *self.parts.entry(name.clone()).or_default() += value;
        }
    }

    /// Divides all by the number of batches.
    pub(crate) fn divide(&mut self, count: f32) {
        self.total /= count;
        self.parts.values_mut().for_each(|value| *value /= count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(value: f32) -> Tensor<1> {
        Tensor::from_floats([value], &Device::flex())
    }

    #[test]
    fn parts_are_summed_and_told() {
        let loss = Loss::sum(vec![("boxes", part(1.5)), ("masks", part(0.25))]);
        let mut values = loss.values().unwrap();
        assert_eq!((values.total, values.parts["boxes"], values.parts["masks"]), (1.75, 1.5, 0.25));
        values.add(&LossValues { total: 0.25, parts: BTreeMap::from([("boxes".to_owned(), 0.5)]) });
        values.divide(2.0);
        assert_eq!((values.total, values.parts["boxes"], values.parts["masks"]), (1.0, 1.0, 0.125));
    }

    #[test]
    fn a_part_that_is_not_finite_is_named() {
        let error = Loss::sum(vec![("boxes", part(1.0)), ("masks", part(f32::NAN))]).values().unwrap_err();
        assert!(error.to_string().contains("the part masks of the loss (NaN)"), "{error}");
        let error = Loss::from(part(f32::INFINITY)).values().unwrap_err();
        assert!(error.to_string().contains("the loss (inf)"), "{error}");
    }
}
