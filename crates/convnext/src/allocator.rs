//! The allocator of the program.

use cap::Cap;
use mimalloc::MiMalloc;

/// Keeps freed memory for the next step, where the system's allocator gives it back and asks again; counted
/// for the bench.
#[global_allocator]
pub(crate) static ALLOCATOR: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);
