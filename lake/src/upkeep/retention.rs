//! Days that are not kept any more.
//!
//! Invariant: a file goes when the latest of its rows, by its column `time`, and the file itself are of
//! days that are over by more than the days to keep; it goes whole, in an entry of the log with a signed
//! note. So whoever verifies is told that rows were retained away, and nobody without the key can make a
//! removal look like one.
//!
//! Why the file's own age counts too: an event may be old when it comes. It is kept for as long as any
//! other, or a restart would not find what its state rests on.
//!
//! Why rejects that were read again wait for the rejects (E1): without its event a reject would be
//! open and be read once more.

use std::time::Duration;

use schemas::{Reject, Table, Timestamp};

use super::commit::Outcome;
use super::files::{Live, LiveFile, may_hold};
use super::record::Kind;
use super::{Group, Upkeep};
use crate::LakeError;

const DAY: Duration = Duration::from_hours(24);

/// How many days are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(u32);

impl Days {
    /// A century.
    pub const MAX: u32 = 36_500;

    /// `None` for no day, or more than a century.
    pub const fn new(days: u32) -> Option<Self> {
        match days {
            1..=Self::MAX => Some(Self(days)),
            _ => None,
        }
    }

    /// What is before this is not kept: the start of a day.
    pub fn border(self, now: Timestamp) -> Timestamp {
        let today = now.day().saturating_sub(i64::from(self.0));
        let micros = today.saturating_mul(86_400_000_000);
        Timestamp::from_micros(micros).unwrap_or_else(|_| now.minus(DAY * self.0))
    }
}

/// What was not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    pub files: usize,
    pub rows: u64,
    pub bytes: u64,
}

impl Upkeep {
    /// The tables whose days can be limited. Seals and what is known of agents are kept for ever.
    pub const RETAINABLE: [Table; 4] =
        [Table::Events, Table::Rejects, Table::Findings, Table::Deliveries];

    /// Removes the days of a table that are over; only says what would go if `is_dry`.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn retain(
        &self,
        table: Table,
        days: Days,
        now: Timestamp,
        is_dry: bool,
    ) -> Result<Retained, LakeError> {
        assert!(Self::RETAINABLE.contains(&table), "this table is kept for ever");
        let Some(live) = Live::newest(&self.lake, table).await? else {
            return Ok(Retained::default());
        };
        let border = days.border(now);
        let is_over = |file: &LiveFile| {
            file.written < border && file.times.is_some_and(|(_, last)| last < border)
        };
        if !live.files.iter().any(is_over) {
            return Ok(Retained::default());
        }
        let Live { version, id, mut files } = live.sealed(&self.lake, table).await?;
        files.retain(is_over);
        if table == Table::Events {
            let oldest = self.oldest_reject().await?;
            files.retain(|file| {
                !may_hold(file, Reject::REPLAY_TOPIC)
                    || oldest.is_none_or(|oldest| file.written < oldest)
            });
        }
        let group = Group { table, files, version, table_id: id };
        let retained = Retained { files: group.files(), rows: group.rows(), bytes: group.bytes() };
        if is_dry || group.files.is_empty() {
            return Ok(retained);
        }
        let record = group.record(Kind::Retention, now);
        match self.change(&self.lake.reading_log(table), &group, &record, &[]).await? {
            Outcome::Landed(_) => Ok(retained),
            // The next time, of what is there then.
            Outcome::Overtaken => Ok(Retained::default()),
        }
    }

    async fn oldest_reject(&self) -> Result<Option<Timestamp>, LakeError> {
        let live = Live::newest(&self.lake, Table::Rejects).await?;
        let files = live.map(|live| live.files).unwrap_or_default();
        Ok(files.iter().map(|file| file.times.map_or(file.written, |(first, _)| first)).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_kept() {
        let now = Timestamp::parse("2026-03-10T15:00:00Z").unwrap();
        let border = |days| Days::new(days).unwrap().border(now).to_string();

        assert!(border(1).starts_with("2026-03-09T00:00:00"), "yesterday and today");
        assert!(border(9).starts_with("2026-03-01T00:00:00"));
        assert!(border(Days::MAX).starts_with("1970-01-01"));
        assert_eq!((Days::new(0), Days::new(Days::MAX + 1)), (None, None));
    }
}
