//! Labelled images, as they are used together.

use crate::datasets::dataset::Dataset;
use crate::datasets::parts::Split;

/// A data set for training a classifier. Both parts have the same classes.
#[derive(Debug, Clone)]
pub struct LabelledData {
    /// Training images.
    pub train: Dataset,
    /// Validation images; some classes may be absent.
    pub validation: Dataset,
    /// `true` if `validation` was held out of the training images, because the data has no such part.
    pub held_out: bool,
    /// The part that `validation` is: the one for a test where there is none for validation; `None` when it was held out.
    pub validation_split: Option<Split>,
    /// Description of the source of the training images.
    pub train_source: String,
    /// Description of the source of the validation images.
    pub validation_source: String,
}

/// Some images of a data set that are used together.
#[derive(Debug, Clone)]
pub struct Part {
    /// The split; `None` for all images of data without splits.
    pub split: Option<Split>,
    /// Description of their source.
    pub source: String,
    /// The images. Their classes are those of this part alone.
    pub images: Dataset,
}
