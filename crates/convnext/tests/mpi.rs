//! Jobs of several ranks through the program, under `mpirun`, which must be installed: the bits of one process, and ends in order
//! whatever happens. `.ci/mpi` runs them.

#![cfg(all(feature = "mpi", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]
#![allow(dead_code, reason = "the helpers are those of the other tests, who need more of them")]

mod cli {
    mod bench;
    mod cells;
    mod colours;
    mod images;
    mod ranks;
    mod streets;
}
