//! Meetings of ranks in a training.

use convnext_distributed::Ranks;

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
