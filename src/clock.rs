//! The one clock.
//!
//! Invariant: [`Clock::now`] never goes back, even when the machine's clock is set back, so that the
//! order of `ingested_at` is the order of reading.

use std::sync::atomic::{AtomicI64, Ordering};

use schemas::Timestamp;

static LATEST_MICROS: AtomicI64 = AtomicI64::new(0);

/// Now, in UTC; never earlier than the answer before.
pub(crate) fn now() -> Timestamp {
    let micros = machine_micros();
    let latest = LATEST_MICROS.fetch_max(micros, Ordering::Relaxed).max(micros);
    Timestamp::from_micros(latest).unwrap_or(Timestamp::MAX)
}

/// A time of its own for each of `count` records, a microsecond apart: the first of them. All are
/// later than every answer before and earlier than every answer after.
pub(crate) fn reserve(count: usize) -> Timestamp {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let machine = machine_micros();
    let first = |latest: i64| machine.max(latest.saturating_add(1));
    let update = |latest| Some(first(latest).saturating_add(count));
    let before = LATEST_MICROS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    let latest = before.unwrap_or_else(|latest| latest);
    Timestamp::from_micros(first(latest)).unwrap_or(Timestamp::MAX)
}

/// No later answer is earlier than `time`.
pub(crate) fn not_before(time: Timestamp) {
    LATEST_MICROS.fetch_max(time.as_micros(), Ordering::Relaxed);
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn machine_micros() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_times_never_overlap_and_never_go_back() {
        let first = reserve(1_000_000);
        let second = reserve(10);

        assert!(first.as_micros() + 1_000_000 <= second.as_micros());
        assert!(second.as_micros() + 10 <= now().as_micros());
    }
}
