//! A pass over images that ranks share.

use std::fmt::Display;

use convnext_core::Seed;
use convnext_data::{Batch, CorruptFile, DataError, ImageSource, Loader, LoaderConfig, Source};
use convnext_distributed::{RankFailure, Ranks};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;
use crate::evaluation::shared_work::share_work;

/// A loader, and the ranks that share its batches.
#[derive(Debug)]
pub struct SharedLoader<S = ImageSource> {
    loader: Loader<S>,
    ranks: Ranks,
}

impl<S: Source> SharedLoader<S> {
    /// A loader for a source, which is the same on all ranks.
    ///
    /// # Errors
    /// Those of [`Loader::new`].
    pub fn new(source: S, config: LoaderConfig, ranks: Ranks) -> Result<Self, DataError> {
        Ok(Self { loader: Loader::new(source, config)?, ranks })
    }

    /// Goes once through all images: each rank reads its batches and computes what is to be known of them, and `take` gets that
    /// of every batch in the order of the data set, on all ranks. What `compute` returns is sent to all, so it should be
    /// small. A batch of which all images are left out is not computed.
    ///
    /// Files that cannot be read count as in one process: those of all ranks, in the order of the batches.
    ///
    /// # Errors
    /// What reading the images reports, and what `compute` and `take` return: alone the error itself, else on all ranks a
    /// [`RankFailure`], or [`TrainError::NotFinite`] when a result of any rank is not.
    pub fn for_each<A, E>(
        &self,
        mut compute: impl FnMut(S::Batch) -> Result<A, TrainError>,
        mut take: impl FnMut(A) -> Result<(), E>,
    ) -> Result<(), E>
    where
        A: Serialize + DeserializeOwned,
        E: Display + From<TrainError> + From<RankFailure>,
    {
        let list = || self.source().dataset().fingerprint().to_string();
        let list = if self.ranks.is_alone() { String::new() } else { list() };
        self.ranks.check_same("checksum of the list of images", &list, "give all ranks the same images")?;
        let (first, all) = (self.ranks.rank(), self.loader.batches_per_epoch());
        let mut batches = self.loader.batches(0, (first..all).step_by(self.ranks.size()));
        let compute_next = |_| {
            let Some(made) = batches.next_made() else { return Ok((Vec::new(), None)) };
            let batch = made.batch.map_err(TrainError::from)?.filter(|batch| !batch.is_empty());
            Ok((made.corrupt, batch.map(&mut compute).transpose()?))
        };
        share_work(&self.ranks, all, compute_next, |(corrupt, found)| {
            self.loader.report_corrupt(corrupt).map_err(TrainError::from)?;
            found.map_or(Ok(()), &mut take)
        })
    }

    /// The source.
    pub fn source(&self) -> &S {
        self.loader.source()
    }

    /// Number of images in the data set.
    pub fn samples(&self) -> usize {
        self.loader.samples()
    }

    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        self.loader.seed()
    }

    /// The ranks.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// The corrupt files that were left out so far, by whichever rank, sorted by name.
    pub fn corrupt(&self) -> Vec<CorruptFile> {
        self.loader.corrupt()
    }
}
