//! The job of several ranks that this process may be a part of.

use convnext::distributed::{Launch, Ranks};
use thiserror::Error;

/// What a launcher started here, and no launcher should have; all ranks find out the same.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    /// The command is the work of one process.
    #[error(
        "this command is the work of one process, but {launcher} started it as one of {size}; start it without a launcher \
         (ranks share pretrain, finetune, evaluate, embed and bench)"
    )]
    OneProcess { launcher: &'static str, size: String },
    /// The program was built without MPI.
    #[error(
        "{launcher} started this program as one of {size}, which it can share its work with if it is built with \
         --features mpi; build it so, or start it without a launcher"
    )]
    NoMpi { launcher: &'static str, size: String },
    /// The launcher belongs to another MPI than the program.
    #[cfg(feature = "mpi")]
    #[error(
        "{launcher} started this program as one of {size}, but its MPI finds {found}; use the launcher of the MPI that it \
         was built with, such as srun --mpi=pmix or the mpirun of the same Open MPI"
    )]
    OtherMpi { launcher: &'static str, size: String, found: usize },
}

/// This process as its launcher started it, or one that nobody launched. MPI ends when it is dropped, which waits for the other
/// ranks.
#[derive(Debug)]
pub(crate) struct Launched {
    launch: Option<Launch>,
    ranks: Ranks,
    #[cfg(feature = "mpi")]
    _mpi: Option<convnext::distributed::Mpi>,
}

impl Launched {
    /// Joins the other ranks, if there are any and the program was built for it. Otherwise MPI is not touched: without a launcher
    /// some versions of it end the program.
    ///
    /// # Errors
    /// When MPI cannot be used, or is not that of the launcher.
    #[cfg(feature = "mpi")]
    pub(crate) fn start(launch: Option<Launch>) -> anyhow::Result<Self> {
        use anyhow::Context;
        use convnext::distributed::Mpi;

        let has_others = launch.as_ref().is_some_and(Launch::has_others);
        let mpi = has_others.then(Mpi::start).transpose().context("cannot start MPI")?;
        let ranks = mpi.as_ref().map_or_else(Ranks::default, Mpi::ranks);
        if let Some(launch) = &launch
            && launch.size.is_some_and(|size| size != ranks.size())
        {
            let (launcher, size) = (launch.launcher, size_in_words(launch));
            return Err(LaunchError::OtherMpi { launcher, size, found: ranks.size() }.into());
        }
        Ok(Self { launch, ranks, _mpi: mpi })
    }

    /// Notes how the process was launched; it was built without MPI.
    #[cfg(not(feature = "mpi"))]
    pub(crate) fn start(launch: Option<Launch>) -> anyhow::Result<Self> {
        Ok(Self { launch, ranks: Ranks::default() })
    }

    /// The ranks that share the work; one where the program was built without MPI.
    pub(crate) fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// `true` if a launcher started the process.
    pub(crate) fn is_launched(&self) -> bool {
        self.launch.is_some()
    }

    /// `true` for the process that prints and writes.
    pub(crate) fn is_first(&self) -> bool {
        self.launch.as_ref().is_none_or(Launch::is_first)
    }

    /// `true` for a process that the launcher started beside others which it cannot talk to.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.ranks.is_alone() && self.launch.as_ref().is_some_and(Launch::has_others)
    }

    /// Refuses what several processes cannot do: a command that `is_shared` by ranks needs MPI, another one a single process.
    pub(crate) fn check(&self, is_shared: bool) -> Result<(), LaunchError> {
        let Some(launch) = self.launch.as_ref().filter(|launch| launch.has_others()) else { return Ok(()) };
        let (launcher, size) = (launch.launcher, size_in_words(launch));
        match is_shared {
            false => Err(LaunchError::OneProcess { launcher, size }),
            true if cfg!(not(feature = "mpi")) => Err(LaunchError::NoMpi { launcher, size }),
            true => Ok(()),
        }
    }
}

fn size_in_words(launch: &Launch) -> String {
    launch.size.map_or_else(|| "several processes".into(), |size| format!("{size} processes"))
}
