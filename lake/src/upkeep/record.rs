//! [`Record`]: what an entry of a log that removes files says of itself, in a signed note.
//!
//! Invariant: the note names the table, the files that go, the files that come and the rows on either
//! side, so that it proves nothing but its own entry; and without the seal's key nobody writes one. That
//! the rows are the same is not believed but made again, from the rows, where a seal holds them.
//!
//! The text, each line ended by a newline:
//! ```text
//! surety/<id of the table>
//! rewrite <table>                     or: retention <table>
//! time <t>                            microseconds since 1970-01-01 UTC
//! rows <n>
//! removed <k> <hash>                  number of files; SHA-256 over their sorted paths, each with a newline
//! added <k> <hash>
//! ```
//! What stands before `added` is the rewrite's identity: its hash with the content is a file's name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::{Table, Timestamp};

use crate::seal::sha256;

/// Why files are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The same rows stand in other files.
    Rewrite,
    /// The rows are older than they are to be kept.
    Retention,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Retention => "retention",
        }
    }
}

/// What an entry that removes files says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The id of the table, in its metadata.
    pub(crate) table_id: String,
    pub(crate) table: Table,
    pub(crate) kind: Kind,
    pub(crate) time: Timestamp,
    /// Rows in the files that go. A rewrite has as many in those that come.
    pub(crate) rows: u64,
    pub(crate) removed: Paths,
}

/// A set of files by their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths(String);

impl Paths {
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut paths: Vec<&str> = paths.collect();
        paths.sort_unstable();
        let parts: Vec<&[u8]> =
            paths.iter().flat_map(|path| [path.as_bytes(), b"\n".as_slice()]).collect();
        Self(format!("{} {}", paths.len(), STANDARD.encode(sha256(&parts))))
    }

    /// `None` for what [`Self::of`] does not write.
    fn parse(text: &str) -> Option<Self> {
        let (number, hash) = text.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        let hash: [u8; 32] = STANDARD.decode(hash).ok()?.try_into().ok()?;
        let again = format!("{number} {}", STANDARD.encode(hash));
        (again == text).then_some(Self(again))
    }
}

impl Record {
    /// The part of the note that is known before there is a file: no two changes of a table share it,
    /// since a file is removed once.
    pub(crate) fn identity(&self) -> String {
        let Self { table_id, table, kind, time, rows, removed } = self;
        format!(
            "surety/{table_id}\n{} {}\ntime {}\nrows {rows}\nremoved {}\n",
            kind.name(),
            table.name(),
            time.as_micros(),
            removed.0
        )
    }

    /// The whole text of the note.
    pub(crate) fn text(&self, added: &Paths) -> String {
        format!("{}added {}\n", self.identity(), added.0)
    }

    /// Reads a note's text, which must be just as it is written here.
    pub(crate) fn parse(text: &str) -> Option<(Self, Paths)> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let table_id = lines.next()?.strip_prefix("surety/")?.to_owned();
        let (kind, table) = lines.next()?.split_once(' ')?;
        let kind = [Kind::Rewrite, Kind::Retention].into_iter().find(|one| one.name() == kind)?;
        let table = *Table::ALL.iter().find(|one| one.name() == table)?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let time = Timestamp::from_micros(value("time")?.parse().ok()?).ok()?;
        let rows = value("rows")?.parse().ok()?;
        let removed = Paths::parse(value("removed")?)?;
        let added = Paths::parse(value("added")?)?;
        let record = Self { table_id, table, kind, time, rows, removed };
        (record.text(&added) == text).then_some((record, added))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_in_no_other_way() {
        let record = Record {
            table_id: "b1c2".to_owned(),
            table: Table::Events,
            kind: Kind::Rewrite,
            time: Timestamp::from_micros(1_772_323_000_000_001).unwrap(),
            rows: 12,
            removed: Paths::of(["b", "a"].into_iter()),
        };
        let added = Paths::of(["c"].into_iter());
        let text = record.text(&added);

        assert_eq!(Record::parse(&text), Some((record.clone(), added)));
        assert_eq!(record.removed, Paths::of(["a", "b"].into_iter()), "in whatever order");
        assert_ne!(record.removed, Paths::of(["a\nb"].into_iter()), "their number counts");
        for (from, to) in [
            ("rows 12", "rows 012"),
            ("events", "event"),
            ("\nremoved", "\n\nremoved"),
            ("rewrite", "merge"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert_eq!(Record::parse(&changed), None, "{changed}");
        }
        assert_eq!(Record::parse(&format!("{text}more\n")), None);
    }
}
