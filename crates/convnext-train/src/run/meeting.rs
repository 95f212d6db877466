//! Meetings of ranks in a training.
//!
//! A result that is not finite is no failure of the rank that has it, but of the training or the weights: it is told as what it
//! is, so that all ranks have the error of one process.

use convnext_distributed::Ranks;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;

/// What a rank found, as it tells the others: that, or the name of what is not finite.
pub(crate) type Told<T> = Result<T, String>;

/// What a rank tells of what it found.
///
/// # Errors
/// Failures of the rank itself.
pub(crate) fn told<T>(found: Result<T, TrainError>) -> Result<Told<T>, TrainError> {
    match found {
        Err(TrainError::NotFinite { what }) => Ok(Err(what)),
        found => found.map(Ok),
    }
}

/// What all ranks found, of what they told.
///
/// # Errors
/// [`TrainError::NotFinite`] of the first rank that has it.
pub(crate) fn heard<T>(all: Vec<Told<T>>) -> Result<Vec<T>, TrainError> {
    all.into_iter().collect::<Told<_>>().map_err(|what| TrainError::NotFinite { what })
}

/// Ends work that ranks do on their own: all go on, or all have the failure of the first rank that failed. What all ranks
/// know already is not told again.
///
/// # Errors
/// [`TrainError::NotFinite`] when any rank has that, [`TrainError::Rank`] when one has another error; in one process the error
/// itself.
pub(crate) fn meet<T>(ranks: &Ranks, result: Result<T, TrainError>) -> Result<T, TrainError> {
    if ranks.is_alone() {
        return result;
    }
    let (own, said) = match result {
        Ok(own) => (Some(own), Ok(())),
        Err(error) => (None, Err(error)),
    };
    all_gather(ranks, said)?;
    // Its own failure is among those that were heard.
    own.ok_or_else(|| TrainError::NotFinite { what: "a result of this rank".into() })
}

/// What each rank found, in the order of the ranks; what all ranks know already is not told again.
///
/// # Errors
/// As [`meet`].
pub(crate) fn all_gather<T: Serialize + DeserializeOwned>(
    ranks: &Ranks,
    found: Result<T, TrainError>,
) -> Result<Vec<T>, TrainError> {
    match found {
        Err(TrainError::Rank(failure)) => Err(TrainError::Rank(failure)),
        own => heard(ranks.all_gather(told(own))?),
    }
}

#[cfg(test)]
mod tests {
    use convnext_distributed::run_threads;

    use super::*;

    /// What all three ranks have when the second one has an error.
    fn met(error: impl Fn() -> TrainError + Sync) -> Vec<TrainError> {
        let found = run_threads(3, |ranks| {
            let own = if ranks.rank() == 1 { Err(error()) } else { Ok(7) };
            meet(&ranks, own)
        });
        found.into_iter().map(Result::unwrap_err).collect()
    }

    #[test]
    fn a_result_that_is_not_finite_is_the_same_error_on_all_ranks() {
        let found = met(|| TrainError::NotFinite { what: "the answer for 3.png".into() });
        let is_it = |error: &TrainError| matches!(error, TrainError::NotFinite { what } if what == "the answer for 3.png");
        assert!(found.iter().all(is_it), "{found:?}");
    }

    #[test]
    fn another_error_is_the_failure_of_its_rank() {
        for error in met(|| TrainError::NoModel) {
            assert!(matches!(&error, TrainError::Rank(failure) if failure.rank == 1), "{error}");
            assert!(error.to_string().starts_with("rank 1 on thread 1: no model was chosen"), "{error}");
        }
        assert!(matches!(meet::<()>(&Ranks::default(), Err(TrainError::NoModel)), Err(TrainError::NoModel)));
    }
}
