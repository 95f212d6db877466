//! A micro-batch in what ranks tell each other.

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::optimization::gradient_layout::GradientLayout;
use crate::optimization::gradients::NamedGradients;
use crate::training::accumulation::{MicroBatch, MicroBatchReport};
use crate::training::losses::LossValues;
use crate::training::observed::Observed;
use crate::training::observed_values::ObservedValues;

/// What a rank tells the others of a micro-batch; nothing where it has none.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct MicroBatchMessage {
    loss: LossValues,
    observed: Vec<ObservedValues>,
    images: usize,
    /// Places in the layout of parameters without a gradient.
    missing: Vec<usize>,
}

/// A micro-batch as its gradients and its message.
pub(crate) fn said(
    layout: &GradientLayout,
    found: Result<Option<MicroBatch>, TrainError>,
) -> (Option<NamedGradients>, Result<MicroBatchMessage, TrainError>) {
    let MicroBatch { gradients, report } = match found {
        Ok(Some(found)) => found,
        Ok(None) => return (None, Ok(MicroBatchMessage::default())),
        Err(error) => return (None, Err(error)),
    };
    let MicroBatchReport { loss, observed, images } = report;
    let missing = layout.missing(&gradients);
    let observed = observed.into_iter().map(ObservedValues::from).collect();
    (Some(gradients), Ok(MicroBatchMessage { loss, observed, images, missing }))
}

impl MicroBatchMessage {
    /// The report of the micro-batch; marks the parameters that it has gradients of.
    pub(crate) fn report(self, layout: &GradientLayout, is_present: &mut [bool]) -> MicroBatchReport {
        for (place, is_present) in is_present.iter_mut().enumerate() {
            *is_present |= self.missing.binary_search(&place).is_err();
        }
        let observed: Vec<Observed> =
            self.observed.into_iter().map(|observed| observed.on(layout.device())).collect();
        MicroBatchReport { loss: self.loss, observed, images: self.images }
    }
}
