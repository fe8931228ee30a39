//! The allocator of the process, and how long it keeps memory that nobody uses.
//!
//! Invariant: memory that was free for [`KEPT_MS`] goes back to the system. Sooner would be dearer: a commit's columns are freed
//! once a second or so, and each page of the next one's would have to be asked for and cleared again.

#![expect(
    unsafe_code,
    reason = "mimalloc's options have no safe wrapper; it is one call with two numbers"
)]

use std::ffi::{c_int, c_long};

/// Arrow's and the parsers' many short allocations cost half as much here as in glibc; those of librdkafka and
/// zstd are made here too (feature `override`), which glibc asks the system for anew each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEPT_MS: c_long = 60_000;

/// `mi_option_purge_delay` of mimalloc.h.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    safe fn mi_option_set_default(option: c_int, value: c_long);
    #[cfg(test)]
    safe fn mi_option_get(option: c_int) -> c_long;
}

/// Has free memory kept for [`KEPT_MS`], where `MIMALLOC_PURGE_DELAY` does not say otherwise.
pub(crate) fn keep_free_memory() {
    mi_option_set_default(PURGE_DELAY, KEPT_MS);
}

#[cfg(test)]
mod tests {
    use super::{KEPT_MS, PURGE_DELAY, keep_free_memory, mi_option_get};

    #[test]
    fn the_option_is_the_one_that_says_how_long_free_memory_is_kept() {
        assert_eq!(mi_option_get(PURGE_DELAY), 1_000, "mimalloc's own default");
        keep_free_memory();
        assert_eq!(mi_option_get(PURGE_DELAY), KEPT_MS);
    }
}
