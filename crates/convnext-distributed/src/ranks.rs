//! Handle to the ranks of a job, and the meeting at which they tell each other what they found.

use std::fmt::Display;
use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::alone::Alone;
use crate::collective::Collective;
use crate::failure::RankFailure;

/// The ranks of a job, as everything that takes part in it holds them. The default is one process.
#[derive(Debug, Clone)]
pub struct Ranks(Arc<dyn Collective>);

impl Default for Ranks {
    fn default() -> Self {
        Self::new(Alone)
    }
}

impl PartialEq for Ranks {
    /// `true` for the same place in jobs of the same size.
    fn eq(&self, other: &Self) -> bool {
        (self.rank(), self.size()) == (other.rank(), other.size())
    }
}

impl Deref for Ranks {
    type Target = dyn Collective;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Ranks {
    /// The ranks of an engine.
    pub fn new(engine: impl Collective + 'static) -> Self {
        Self(Arc::new(engine))
    }

    /// `true` for a job of one process.
    pub fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// `true` for rank 0, which alone prints and writes.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Meets all ranks: each brings what it found since they met last, and all get everything, in the order of the ranks. When
    /// any rank brings an error, all get that of the first such rank. Work that ranks do on their own ends here, before the
    /// next operation of [`Collective`], or a rank that failed would leave the others waiting.
    ///
    /// # Errors
    /// A [`RankFailure`] when any rank failed; alone, the error itself.
    pub fn all_gather<T, E>(&self, found: Result<T, E>) -> Result<Vec<T>, E>
    where
        T: Serialize + DeserializeOwned,
        E: Display + From<RankFailure>,
    {
        if self.is_alone() {
            return found.map(|found| vec![found]);
        }
        let said = found.map_err(|error| self.failure(error.to_string()));
        let bytes = postcard::to_stdvec(&said)
            .or_else(|error| postcard::to_stdvec(&Err::<T, _>(self.failure(error.to_string()))))
            .unwrap_or_default();
        let all = self.gather_bytes(&bytes);
        let read = |(rank, bytes): (usize, Vec<u8>)| {
            let said: Result<Result<T, RankFailure>, _> = postcard::from_bytes(&bytes);
            // Ranks of one program understand each other; this is another program, or a network that changes bytes.
            let unknown = |error: postcard::Error| RankFailure {
                rank,
                host: String::new(),
                message: format!("rank {} does not understand its message: {error}", self.rank()),
            };
            said.map_err(unknown)?
        };
        let all: Result<Vec<T>, RankFailure> = all.into_iter().enumerate().map(read).collect();
        all.map_err(E::from)
    }

    /// [`Self::all_gather`] of nothing but whether all went well, with the own result back.
    ///
    /// # Errors
    /// Those of [`Self::all_gather`].
    pub fn meet<T, E: Display + From<RankFailure>>(&self, result: Result<T, E>) -> Result<T, E> {
        if self.is_alone() {
            return result;
        }
        let (own, said) = match result {
            Ok(own) => (Some(own), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.all_gather(said)?;
        own.ok_or_else(|| E::from(self.failure("its own failure was not heard".into())))
    }

    /// What rank 0 alone finds out, on all ranks.
    ///
    /// # Errors
    /// Those of [`Self::all_gather`].
    pub fn from_first<T, E>(&self, find: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: Display + From<RankFailure>,
    {
        if self.is_alone() {
            return find();
        }
        let found = if self.is_first() { find().map(Some) } else { Ok(None) };
        let first = self.all_gather(found)?.into_iter().next().flatten();
        first.ok_or_else(|| E::from(self.failure("rank 0 found nothing".into())))
    }

    /// Checks that all ranks have the same value of something, such as a version; `advice` says what to do where they have not.
    ///
    /// # Errors
    /// A [`RankFailure`] with the first rank that differs from rank 0, and in what.
    pub fn check_same(&self, what: &str, own: &str, advice: &str) -> Result<(), RankFailure> {
        if self.is_alone() {
            return Ok(());
        }
        let all = self.all_gather(Ok::<_, RankFailure>((self.host(), own.to_owned())))?;
        let (_, first) = &all[0];
        let other = all.iter().enumerate().find(|(_, (_, own))| own != first);
        let Some((rank, (host, own))) = other else { return Ok(()) };
        let message = format!("its {what} is {own}, but {first} on rank 0; {advice}");
        Err(RankFailure { rank, host: host.clone(), message })
    }

    /// A failure of this rank.
    fn failure(&self, message: String) -> RankFailure {
        RankFailure { rank: self.rank(), host: self.host(), message }
    }

    /// The bytes of every rank, of any length.
    fn gather_bytes(&self, own: &[u8]) -> Vec<Vec<u8>> {
        const LENGTH: usize = size_of::<u64>();
        let mut lengths = vec![0; LENGTH * self.size()];
        self.all_gather_bytes(&(own.len() as u64).to_le_bytes(), &mut lengths);
        let (lengths, _) = lengths.as_chunks::<LENGTH>();
        let lengths: Vec<usize> = lengths.iter().map(|&length| u64::from_le_bytes(length) as usize).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut padded = own.to_vec();
        padded.resize(longest, 0);
        let mut all = vec![0; longest * self.size()];
        self.all_gather_bytes(&padded, &mut all);
        let pieces = lengths.iter().enumerate();
        pieces.map(|(rank, &length)| all[rank * longest..][..length].to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::run_threads;

    #[derive(Debug, PartialEq, thiserror::Error)]
    enum TestError {
        #[error("no {0}")]
        Missing(&'static str),
        #[error(transparent)]
        Rank(#[from] RankFailure),
    }

    #[test]
    fn ranks_are_given_what_each_found_in_their_order() {
        let found = run_threads(3, |ranks| {
            // Of another length on each rank.
            let own = vec![ranks.rank() as f32 - 0.5; ranks.rank()];
            ranks.all_gather(Ok::<_, TestError>((own, f64::NAN))).unwrap()
        });
        for all in found {
            let lists: Vec<&[f32]> = all.iter().map(|(list, _)| list.as_slice()).collect();
            assert_eq!(lists, [&[][..], &[0.5], &[1.5, 1.5]]);
            assert!(all.iter().all(|(_, number)| number.is_nan()));
        }
    }

    #[test]
    fn all_end_with_the_failure_of_the_first_rank_that_failed() {
        let found = run_threads(4, |ranks| {
            let own = if ranks.rank() % 2 == 1 { Err(TestError::Missing("images")) } else { Ok(7) };
            ranks.meet(own)
        });
        for error in found.into_iter().map(Result::unwrap_err) {
            assert_eq!(error.to_string(), "rank 1 on thread 1: no images");
        }
        let alone: Result<(), _> = Ranks::default().meet(Err(TestError::Missing("images")));
        assert_eq!(alone, Err(TestError::Missing("images")));
    }

    #[test]
    fn the_first_rank_that_differs_is_named() {
        let found = run_threads(4, |ranks| {
            let own = if ranks.rank() < 2 { "0.1" } else { "0.2" };
            [ranks.check_same("version", own, "install one"), ranks.check_same("data", "x", "copy it")]
        });
        for [version, data] in found {
            let expected = "rank 2 on thread 2: its version is 0.2, but 0.1 on rank 0; install one";
            assert_eq!((version.unwrap_err().to_string().as_str(), data), (expected, Ok(())));
        }
    }

    #[test]
    fn rank_0_finds_out_for_all() {
        let found = run_threads(3, |ranks| {
            ranks.from_first(|| Ok::<_, TestError>(format!("of rank {}", ranks.rank())))
        });
        assert!(found.into_iter().all(|found| found.unwrap() == "of rank 0"));
        let found: Vec<Result<u8, _>> =
            run_threads(2, |ranks| ranks.from_first(|| Err(TestError::Missing("disk"))));
        assert!(found.into_iter().all(|found| found.unwrap_err().to_string().starts_with("rank 0 on ")));
    }
}
