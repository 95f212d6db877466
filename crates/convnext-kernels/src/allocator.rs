//! What a training wants of the allocator.

use std::ffi::{c_int, c_long};

/// mimalloc's number for how many milliseconds memory may lie free before the system gets it back.
const PURGE_DELAY: c_int = 15;

/// For ever.
const NEVER: c_long = -1;

/// Tells the allocator mimalloc to keep freed memory for the next step, where it would give it back to
/// the system after a while, and then ask for it and clear it again. `MIMALLOC_PURGE_DELAY` in the
/// environment goes before. Without effect in a program with another allocator.
pub fn disable_memory_purging() {
    // SAFETY: the function only writes an integer into a table of options, at an index that its versions
    // 2 and 3 have; it may be called at any time and takes no pointer.
    #[allow(unsafe_code, reason = "the allocator's options are set through its C interface")]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, NEVER);
    }
}
