//! The job that a run's record holds.

use convnext_core::Preprocessing;
use convnext_data::Dataset;
use serde::Serialize;

/// A job as it is really done, with a mark of its data: what a run must not change when it goes on.
#[derive(Debug, Serialize)]
pub(crate) struct Resolved<J> {
    #[serde(flatten)]
    job: J,
    /// Preprocessing of its images.
    preprocessing: Preprocessing,
    /// Of names, labels and order of the training images.
    data_checksum: u32,
    /// Checksum of the images for validation, likewise, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_checksum: Option<u32>,
}

impl<J> Resolved<J> {
    pub(crate) fn new(job: J, preprocessing: Preprocessing, dataset: &Dataset) -> Self {
        Self { job, preprocessing, data_checksum: dataset.fingerprint(), validation_checksum: None }
    }

    /// This job, measured on these images.
    pub(crate) fn measured_on(self, validation: Option<&Dataset>) -> Self {
        let checksum = validation.filter(|images| !images.is_empty()).map(Dataset::fingerprint);
        Self { validation_checksum: checksum, ..self }
    }
}
