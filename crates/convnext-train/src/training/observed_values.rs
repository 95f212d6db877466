//! Updates of model states as ranks send them to each other.

use burn::prelude::*;
use convnext_nn::tensor_values;
use serde::{Deserialize, Serialize};

use crate::training::observed::Observed;

/// An [`Observed`] as numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ObservedValues {
    Statistic { name: String, values: Vec<f32>, momentum: f64 },
    Count { name: String, by: i64 },
}

impl From<Observed> for ObservedValues {
    fn from(observed: Observed) -> Self {
        match observed {
            Observed::Statistic { name, values, momentum } => {
                Self::Statistic { name, values: tensor_values(values), momentum }
            }
            Observed::Count { name, by } => Self::Count { name, by },
        }
    }
}

impl ObservedValues {
    /// The update, with its values on a device, which tracks no gradients.
    pub(crate) fn on(self, device: &Device) -> Observed {
        match self {
            Self::Statistic { name, values, momentum } => {
                let count = values.len();
                let values = Tensor::from_data(TensorData::new(values, [count]), device);
                Observed::Statistic { name, values, momentum }
            }
            Self::Count { name, by } => Observed::Count { name, by },
        }
    }
}
