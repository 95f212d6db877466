//! The allocator's setting for training.

use std::ffi::{c_int, c_long};

/// Index of mimalloc's option `purge_delay`: milliseconds before freed memory goes back to the system.
const PURGE_DELAY: c_int = 15;

/// Disables purging.
const NEVER: c_long = -1;

/// Disables mimalloc's purging, so that freed memory is reused by the next step instead of being returned to
/// the system, requested again and cleared. `MIMALLOC_PURGE_DELAY` in the environment takes precedence.
/// No effect in a program with another allocator.
pub fn disable_memory_purging() {
    // SAFETY: the function only writes an integer into a table of options, at an index that its versions
    // 2 and 3 have; it may be called at any time and takes no pointer.
    #[allow(unsafe_code, reason = "the allocator's options are set through its C interface")]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, NEVER);
    }
}
