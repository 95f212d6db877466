//! The ranks of a job: processes that share a training, an evaluation or a pass over images.
//!
//! - [`Collective`] is what ranks do together; [`Alone`] is a job of one process, [`run_threads`] runs ranks as threads of
//!   one, and `Mpi` (feature `mpi`) as processes on any number of machines;
//! - [`Ranks`] is the handle that everything else holds: [`Ranks::all_gather`] is where ranks meet, tell each other what they
//!   found, and end together when one of them failed;
//! - [`Launch`] is what a launcher, such as `mpirun`, told this process, and [`Ranks::watched`] notices a job that stands still;
//! - [`OrderedSum`] adds up the gradients of micro-batches in their order, so that the sum has the bits of one process.
//!
//! **Invariant:** all ranks call the same operations in the same order; lengths agree, or are told before.

mod alone;
mod collective;
mod failure;
mod launch;
#[cfg(feature = "mpi")]
mod mpi_engine;
mod noted;
mod ordered_sum;
mod ranks;
mod threads;
mod turns;
mod watched;

pub use alone::Alone;
pub use collective::Collective;
pub use failure::RankFailure;
pub use launch::{Launch, launcher_variables, unconnected_processes};
#[cfg(feature = "mpi")]
pub use mpi_engine::{Mpi, MpiError};
pub use ordered_sum::OrderedSum;
pub use ranks::Ranks;
pub use threads::run_threads;
