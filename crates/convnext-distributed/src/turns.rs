//! Work that every rank does for itself, on files that they may share.

use std::fmt::Display;

use crate::failure::RankFailure;
use crate::ranks::Ranks;

impl Ranks {
    /// Does the same work on every rank, on rank 0 before all others: what it leaves in files, such as a download or an index of
    /// an archive, is there for those that share its disk, and is not made several times at once.
    ///
    /// # Errors
    /// A [`RankFailure`] when any rank failed; alone, the error itself.
    pub fn first_then_others<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        E: Display + From<RankFailure>,
    {
        let nothing = || Ok::<(), E>(());
        if self.is_first() {
            let found = self.meet(work())?;
            self.meet(nothing())?;
            return Ok(found);
        }
        self.meet(nothing())?;
        self.meet(work())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::threads::run_threads;

    #[derive(Debug, thiserror::Error)]
    enum TestError {
        #[error("no disk")]
        Disk,
        #[error(transparent)]
        Rank(#[from] RankFailure),
    }

    #[test]
    fn rank_0_works_before_the_others() {
        let place = AtomicUsize::new(0);
        let places = run_threads(4, |ranks| {
            ranks.first_then_others(|| Ok::<_, TestError>(place.fetch_add(1, Ordering::SeqCst))).unwrap()
        });
        assert_eq!(places[0], 0);
        assert_eq!(places.iter().sum::<usize>(), 1 + 2 + 3);
    }

    #[test]
    fn a_failure_of_any_rank_ends_all() {
        for failing in [0, 2] {
            let found = run_threads(3, |ranks| {
                let fails = ranks.rank() == failing;
                ranks.first_then_others(|| if fails { Err(TestError::Disk) } else { Ok(()) })
            });
            let expected = format!("rank {failing} on thread {failing}: no disk");
            assert!(found.into_iter().all(|found| found.unwrap_err().to_string() == expected));
        }
    }
}
