//! Work that ranks share.

use std::fmt::Display;

use convnext_distributed::{RankFailure, Ranks};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;
use crate::run::meeting::{heard, told};

/// Has the ranks share pieces of work with the numbers 0 to `count`: of R ranks, rank r computes r, r + R, r + 2 R and so on. After
/// each round of R pieces all ranks tell each other what they found; `take` gets that of every piece, in the order of the
/// numbers, on all ranks. So no result depends on how many ranks there are.
///
/// # Errors
/// What `compute` or `take` returns: alone the error itself, else on all ranks a [`RankFailure`] with that of the first rank
/// that failed; [`TrainError::NotFinite`] of `compute` is the error of all ranks.
pub(crate) fn share_work<A, E>(
    ranks: &Ranks,
    count: usize,
    mut compute: impl FnMut(usize) -> Result<A, TrainError>,
    mut take: impl FnMut(A) -> Result<(), E>,
) -> Result<(), E>
where
    A: Serialize + DeserializeOwned,
    E: Display + From<TrainError> + From<RankFailure>,
{
    let mut taken = Ok(());
    for first in (0..count).step_by(ranks.size()) {
        // In the last round, some ranks may have nothing left to do.
        let own = Some(first + ranks.rank()).filter(|&number| number < count);
        // Whoever could not take what was found tells the others now, where they meet.
        let found = taken.and_then(|()| Ok(told(own.map(&mut compute).transpose())?));
        taken = heard(ranks.all_gather(found)?)?.into_iter().flatten().try_for_each(&mut take);
    }
    ranks.meet(taken)
}

#[cfg(test)]
mod tests {
    use convnext_distributed::run_threads;

    use super::*;

    const SIZES: [usize; 5] = [1, 2, 3, 4, 7];

    fn fault(name: &str) -> TrainError {
        TrainError::Recipe { name: name.to_owned(), why: "a fault".into() }
    }

    #[test]
    fn every_piece_is_computed_once_and_taken_in_order_by_all() {
        for size in SIZES {
            for count in [0, 1, 5, 7, 11] {
                let found = run_threads(size, |ranks| {
                    let (mut computed, mut taken) = (Vec::new(), Vec::new());
                    let compute = |number: usize| {
                        computed.push(number);
                        Ok((number, number as f64 / 3.0))
                    };
                    let take = |piece| {
                        taken.push(piece);
                        Ok::<_, TrainError>(())
                    };
                    share_work(&ranks, count, compute, take).unwrap();
                    (computed, taken)
                });
                let all: Vec<_> = (0..count).map(|number| (number, number as f64 / 3.0)).collect();
                assert!(found.iter().all(|(_, taken)| *taken == all), "{count} on {size}: {found:?}");
                for (rank, (computed, _)) in found.iter().enumerate() {
                    assert_eq!(*computed, (rank..count).step_by(size).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn an_error_of_one_rank_reaches_all() {
        for size in SIZES {
            let computing = run_threads(size, |ranks| {
                let compute = |number: usize| if number == 3 { Err(fault("piece 3")) } else { Ok(()) };
                share_work(&ranks, 9, compute, |()| Ok::<_, TrainError>(())).unwrap_err()
            });
            // Rank 1 alone cannot take what it is given, as with a full disk; at the end, too, and in between.
            let taking = |wrong: usize| {
                run_threads(size, |ranks| {
                    let take = |number| match number == wrong && ranks.rank() == size - 1 {
                        true => Err(fault("a disk")),
                        false => Ok(()),
                    };
                    share_work(&ranks, 9, Ok, take).unwrap_err()
                })
            };
            let check = |errors: Vec<TrainError>, rank: usize, expected: &str| {
                assert_eq!(errors.len(), size);
                for error in errors {
                    let prefix =
                        if size == 1 { String::new() } else { format!("rank {rank} on thread {rank}: ") };
                    assert!(error.to_string().starts_with(&format!("{prefix}recipe {expected}")), "{error}");
                    assert_eq!(matches!(error, TrainError::Rank(_)), size > 1);
                }
            };
            check(computing, 3 % size, "piece 3");
            check(taking(0), size - 1, "a disk");
            check(taking(8), size - 1, "a disk");
        }
    }

    #[test]
    fn a_result_that_is_not_finite_is_the_error_of_all() {
        for size in SIZES {
            let found = run_threads(size, |ranks| {
                let compute = |number: usize| match number {
                    5 => Err(TrainError::NotFinite { what: "piece 5".into() }),
                    _ => Ok(()),
                };
                share_work(&ranks, 9, compute, |()| Ok::<_, TrainError>(())).unwrap_err()
            });
            let is_it =
                |error: &TrainError| matches!(error, TrainError::NotFinite { what } if what == "piece 5");
            assert!(found.iter().all(is_it), "{size}: {found:?}");
        }
    }
}
