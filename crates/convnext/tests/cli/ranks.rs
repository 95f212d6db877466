//! Jobs of several ranks, which `tests/mpi.rs` starts.

mod ending;
mod job;
mod resuming;
mod sharing;
mod trainings;
