//! [`Timestamp`]: a moment in UTC, and [`Month`], the lake's partition column.
//!
//! Invariant: a timestamp lies in the years 1970 to 2199, so that it fits Arrow's microseconds and
//! nanoseconds, and every subtraction of two of them fits an `i64`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text or number is not a [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    #[error("wanted an RFC 3339 time such as 2026-03-01T09:30:00Z")]
    NotRfc3339,
    #[error("wanted a time in the given format")]
    NotInFormat,
    #[error("wanted a time in the years 1970 to 2199")]
    OutOfRange,
}

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    /// 2199-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(7_258_118_399_999_999);

    /// # Errors
    ///
    /// [`InvalidTimestamp::OutOfRange`] outside the years 1970 to 2199.
    pub fn from_micros(micros: i64) -> Result<Self, InvalidTimestamp> {
        match micros {
            0..=7_258_118_399_999_999 => Ok(Self(micros)),
            _ => Err(InvalidTimestamp::OutOfRange),
        }
    }

    /// # Errors
    ///
    /// [`InvalidTimestamp::OutOfRange`] outside the years 1970 to 2199.
    pub fn from_millis(millis: i64) -> Result<Self, InvalidTimestamp> {
        Self::from_micros(millis.checked_mul(1_000).ok_or(InvalidTimestamp::OutOfRange)?)
    }

    /// Reads RFC 3339, with any offset from UTC.
    ///
    /// # Errors
    ///
    /// [`InvalidTimestamp`] if the text is not a time or lies out of range.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp::NotRfc3339)?;
        Self::from_micros(parsed.as_microsecond())
    }

    /// Reads a text in a format of `strftime`, such as `%d/%b/%Y:%H:%M:%S %z`. Without an offset it is
    /// UTC.
    ///
    /// # Errors
    ///
    /// [`InvalidTimestamp`] if the text is not in the format, or the time lies out of range.
    pub fn parse_in(format: &str, text: &str) -> Result<Self, InvalidTimestamp> {
        use jiff::tz::TimeZone;
        let parsed =
            jiff::fmt::strtime::parse(format, text).map_err(|_| InvalidTimestamp::NotInFormat)?;
        let time = match parsed.to_timestamp() {
            Ok(time) => time,
            Err(_) => parsed
                .to_datetime()
                .and_then(|local| TimeZone::UTC.to_timestamp(local))
                .map_err(|_| InvalidTimestamp::NotInFormat)?,
        };
        Self::from_micros(time.as_microsecond())
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_millis(self) -> i64 {
        self.0 / 1_000
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// `self` moved forward, at most to [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(Self::MAX.0))
    }

    /// `self` moved back, at most to the epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).max(0))
    }

    /// Whole days since 1970-01-01, UTC.
    pub const fn day(self) -> i64 {
        self.0 / 86_400_000_000
    }

    /// Hour of the week, 0 to 167, UTC; 0 is Monday 00:00.
    #[expect(clippy::cast_sign_loss, reason = "0 <= hour < 168")]
    pub const fn hour_of_week(self) -> usize {
        // 1970-01-01 was a Thursday: three days after Monday.
        ((self.0 / 3_600_000_000 + 72) % 168) as usize
    }

    pub fn month(self) -> Month {
        let (year, month, _) = civil_of_day(self.day());
        Month { year, month }
    }
}

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01.
///
/// Source: Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*, `civil_from_days`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "years 1970 to 2199")]
fn civil_of_day(day: i64) -> (u16, u8, u8) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u16, month as u8, day_of_month as u8)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with six digits of fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_of_day(self.day());
        let micros = self.0 % 86_400_000_000;
        let (hour, minute) = (micros / 3_600_000_000, micros / 60_000_000 % 60);
        let (second, fraction) = (micros / 1_000_000 % 60, micros % 1_000_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time such as 2026-03-01T09:30:00Z")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, any offset from UTC, years 1970 to 2199; microseconds are kept",
        })
    }
}

/// A month of UTC, written `2026-03`: the partition column of the large tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_it_was_read() {
        for text in [
            "1970-01-01T00:00:00.000000Z",
            "2024-02-29T23:59:59.999999Z",
            "2199-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        let with_offset = Timestamp::parse("2026-03-01T01:30:00+02:00").unwrap();
        assert_eq!(with_offset.to_string(), "2026-02-28T23:30:00.000000Z");
        assert_eq!(with_offset.month().to_string(), "2026-02");
    }

    #[test]
    fn a_time_is_read_in_a_format_of_its_own() {
        let wanted = Timestamp::parse("2026-03-01T09:30:00Z");
        for (format, text) in [
            ("%d/%b/%Y:%H:%M:%S %z", "01/Mar/2026:10:30:00 +0100"),
            ("%Y%m%d %H%M%S", "20260301 093000"),
            ("%s", "1772357400"),
        ] {
            assert_eq!(Timestamp::parse_in(format, text), wanted, "{format}");
        }
        for (format, text) in [("%d/%b/%Y", "1 March"), ("%Q", "1"), ("%H:%M", "10:30"), ("", "")] {
            let read = Timestamp::parse_in(format, text);
            assert_eq!(read, Err(InvalidTimestamp::NotInFormat), "{format}");
        }
    }

    #[test]
    fn a_time_out_of_range_is_refused() {
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59Z"), Err(InvalidTimestamp::OutOfRange));
        assert_eq!(Timestamp::parse("2200-01-01T00:00:00Z"), Err(InvalidTimestamp::OutOfRange));
        assert_eq!(Timestamp::parse("yesterday"), Err(InvalidTimestamp::NotRfc3339));
    }

    #[test]
    fn the_week_starts_on_monday() {
        assert_eq!(Timestamp::parse("2026-11-23T00:00:00Z").unwrap().hour_of_week(), 0);
        assert_eq!(Timestamp::parse("2026-11-22T23:00:00Z").unwrap().hour_of_week(), 167);
    }

    proptest::proptest! {
        #[test]
        fn every_time_survives_print_and_parse(micros in 0..=7_258_118_399_999_999_i64) {
            let time = Timestamp::from_micros(micros).unwrap();
            proptest::prop_assert_eq!(Timestamp::parse(&time.to_string()).unwrap(), time);
        }
    }
}
