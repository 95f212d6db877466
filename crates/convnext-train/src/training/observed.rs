//! Updates of model states that are not learned: running statistics and counters.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use convnext_core::BATCH_COUNTER;
use convnext_nn::{
    BatchNorm, BatchStatistics, counters, for_each_parameter, replace_parameters, with_counters,
};

use crate::error::TrainError;

/// Update of a model state by one batch, under the state's official name. The batches of a step are folded in
/// in their order, after the step. PyTorch's batch norm says both of each batch: two statistics, and that it
/// counts.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a batch has a handful of them, and most are statistics")]
pub enum Observed {
    /// A running statistic, which is a [`convnext_nn::ModelState`]:
    /// `new = (1 - momentum) * old + momentum * values`.
    Statistic {
        /// Its name.
        name: String,
        /// The flat values of this batch; a gradient that they track goes nowhere.
        values: Tensor<1>,
        /// Their weight, in [0, 1].
        momentum: f64,
    },
    /// A [`convnext_nn::Counter`] goes on by so many.
    Count {
        /// Its name.
        name: String,
        /// The increment, such as 1 for the batch itself.
        by: i64,
    },
}

/// Checks that all that batches say is about states of the model.
///
/// # Errors
/// [`TrainError::Observed`] and [`TrainError::Counted`] for the first that is not.
pub(crate) fn check<M: Module>(model: &M, observed: &[Observed]) -> Result<(), TrainError> {
    if observed.is_empty() {
        return Ok(());
    }
    let mut states = BTreeMap::new();
    for_each_parameter(model, |parameter| {
        if parameter.is_state {
            states.insert(parameter.name(), parameter.shape.iter().product::<usize>());
        }
    });
    let counters = counters(model);
    for observed in observed {
        match observed {
            Observed::Statistic { name, values, .. } => {
                let (found, expected) = (values.dims()[0], states.get(name).copied());
                if expected != Some(found) {
                    return Err(TrainError::Observed { name: name.clone(), found, expected });
                }
            }
            Observed::Count { name, .. } if !counters.contains_key(name) => {
                let known = counters.into_keys().collect();
                return Err(TrainError::Counted { name: name.clone(), known });
            }
            Observed::Count { .. } => {}
        }
    }
    Ok(())
}

/// The model after what batches said, in their order.
pub(crate) fn fold<M: Module>(model: M, observed: &[Observed]) -> M {
    let mut counts = counters(&model);
    for observed in observed {
        if let Observed::Count { name, by } = observed
            && let Some(count) = counts.get_mut(name)
        {
            *count = count.saturating_add(*by);
        }
    }
    replace_parameters(with_counters(model, &counts), |parameter| {
        let name = parameter.is_state.then(|| parameter.name())?;
        let mut of_it = observed.iter().filter_map(|observed| observed.statistic_of(&name)).peekable();
        of_it.peek()?;
        let old = parameter.values();
        Some(of_it.fold(old, |old, (values, momentum)| {
            let values = values.clone();
            let values = if values.device().is_autodiff() { values.inner() } else { values };
            old * (1.0 - momentum) + values * momentum
        }))
    })
}

impl Observed {
    /// What one batch says of a batch norm, as PyTorch folds it in.
    pub fn of_batch_norm(statistics: BatchStatistics) -> [Self; 3] {
        let BatchStatistics { name, mean, variance } = statistics;
        let statistic = |leaf: &str, values| Self::Statistic {
            name: format!("{name}.{leaf}"),
            values,
            momentum: BatchNorm::MOMENTUM,
        };
        [
            statistic("running_mean", mean),
            statistic("running_var", variance),
            Self::Count { name: format!("{name}.{BATCH_COUNTER}"), by: 1 },
        ]
    }

    /// Values and momentum, if this is about the statistic of that name.
    fn statistic_of(&self, wanted: &str) -> Option<(&Tensor<1>, f64)> {
        match self {
            Self::Statistic { name, values, momentum } if name == wanted => Some((values, *momentum)),
            _ => None,
        }
    }
}
