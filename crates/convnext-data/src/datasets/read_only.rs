//! Opening a data set without leaving anything behind, not even the list of the members of shards.

use std::path::Path;

use convnext_core::Seed;

use crate::datasets::dataset::Dataset;
use crate::datasets::labelled_data::LabelledData;
use crate::datasets::list_images::list_images;
use crate::datasets::open::{labelled_of, unlabelled_of};
use crate::error::DataError;

/// Opens images as [`crate::open_unlabelled`] does, and writes nothing beside them: shards without a `shards.index` are
/// gone through again each time.
///
/// # Errors
/// Those of [`crate::open_unlabelled`].
pub fn open_unlabelled_read_only(path: &Path) -> Result<Dataset, DataError> {
    unlabelled_of(list_images(path)?.read_only())
}

/// Opens images as [`crate::open_labelled`] does, and writes nothing beside them.
///
/// # Errors
/// Those of [`crate::open_labelled`].
pub fn open_labelled_read_only(
    path: &Path,
    labels: Option<&Path>,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    labelled_of(list_images(path)?.read_only(), labels, validation_fraction, seed)
}
