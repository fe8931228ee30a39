//! [`lines`]: a hint to the processor. The crate's one place with `unsafe`.
//!
//! Invariant: nothing is read or written: a wrong address costs time and nothing else.

#![expect(unsafe_code, reason = "the processor's hint has no safe name")]

/// Bytes of a cache line.
const LINE: usize = 64;

/// Begins to fetch a value, without what it points to.
pub(crate) fn value<T>(value: &T) {
    lines(std::ptr::from_ref(value).addr(), size_of::<T>().div_ceil(LINE));
}

/// Begins to fetch `count` cache lines from `address` on.
pub(crate) fn lines(address: usize, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..count {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let at = std::ptr::without_provenance::<i8>(address.wrapping_add(line * LINE));
        // SAFETY: a prefetch has no effect that a program can observe: it never faults, whatever the
        // address is (Intel SDM, PREFETCHh), and x86_64 always has SSE.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (address, count, LINE);
}
