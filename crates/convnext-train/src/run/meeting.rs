//! Meetings of ranks in a training.

use convnext_distributed::Ranks;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;

/// Ends work that ranks do on their own: all go on, or all have the failure of the first rank that failed. What all ranks
/// know already is not told again.
///
/// # Errors
/// [`TrainError::Rank`]; in one process the error itself.
pub(crate) fn meet<T>(ranks: &Ranks, result: Result<T, TrainError>) -> Result<T, TrainError> {
    match result {
        Err(TrainError::Rank(failure)) => Err(TrainError::Rank(failure)),
        own => ranks.meet(own),
    }
}

/// What each rank found, in the order of the ranks; what all ranks know already is not told again.
///
/// # Errors
/// As [`meet`].
pub(crate) fn gather<T: Serialize + DeserializeOwned>(
    ranks: &Ranks,
    found: Result<T, TrainError>,
) -> Result<Vec<T>, TrainError> {
    match found {
        Err(TrainError::Rank(failure)) => Err(TrainError::Rank(failure)),
        own => ranks.gather(own),
    }
}
