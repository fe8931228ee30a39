//! [`groups`]: which files are merged with each other.
//!
//! Invariant: a group is of one folder, has at least two files, and together they are no larger than a
//! file should be; so one file comes of it, and each row is written a few times in its life and not once
//! for each commit after it. No clock and no IO here.
//!
//! Small files are merged by size, as in a log-structured merge: files of a kilobyte with each other until there
//! is one of a megabyte, those until there is one of some tens, and so on. A file of more than half the
//! wanted size is left as it is. Rejects that were read again stay by themselves: how long they are kept
//! depends on the rejects.

use std::collections::BTreeMap;

use schemas::Reject;

use super::files::{LiveFile, may_hold};

/// How much larger the files of the next level are.
const FACTOR: u64 = 16;

/// The highest level.
const LEVELS: u32 = 4;

/// Files that are merged at once: each of them has a batch in memory.
const FILES_MAX: usize = 256;

/// When files are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// How large a file should be.
    pub file_bytes: u64,
    /// How many files of a size there must be to be merged; with 2 of them all sizes are one.
    pub files_min: usize,
    /// Whether each day has files of its own: for a table whose days are removed one by one.
    pub is_daily: bool,
}

impl Sizes {
    /// Whether a file of this size is merged with others.
    pub(crate) const fn is_small(&self, bytes: u64) -> bool {
        bytes < self.file_bytes / 2
    }

    /// Of which level a file is, the smallest of level 0. Where two files are enough there is only one.
    const fn level(&self, bytes: u64) -> u32 {
        let (mut level, mut border) = (LEVELS, self.file_bytes / 2 / FACTOR);
        while bytes < border && 0 < level && 2 < self.files_min {
            border /= FACTOR;
            level -= 1;
        }
        level
    }
}

/// What keeps files apart.
type Apart<'a> = (Option<&'a str>, bool, Option<i64>);

/// The groups of files to merge. `files` are in the order in which they were written.
pub(crate) fn groups(files: &[LiveFile], sizes: &Sizes) -> Vec<Vec<LiveFile>> {
    let mut apart: BTreeMap<Apart<'_>, Vec<&LiveFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| sizes.is_small(file.bytes)) {
        let day = file.times.filter(|_| sizes.is_daily).map(|(_, last)| last.day());
        let key = (file.month.as_deref(), may_hold(file, Reject::REPLAY_TOPIC), day);
        apart.entry(key).or_default().push(file);
    }
    apart.into_values().flat_map(|files| groups_of(files, sizes)).collect()
}

fn groups_of(files: Vec<&LiveFile>, sizes: &Sizes) -> Vec<Vec<LiveFile>> {
    // The highest level of which there is enough: what lies below goes along.
    let enough = |level: &u32| {
        let here = files.iter().filter(|file| sizes.level(file.bytes) == *level).count();
        let below = files.iter().filter(|file| sizes.level(file.bytes) <= *level);
        let bytes: u64 = below.map(|file| file.bytes).sum();
        0 < here && (sizes.files_min <= here || sizes.file_bytes <= bytes)
    };
    let Some(level) = (0..=LEVELS).rev().find(enough) else { return Vec::new() };
    let mut groups = Vec::new();
    let (mut group, mut bytes) = (Vec::new(), 0);
    for file in files.into_iter().filter(|file| sizes.level(file.bytes) <= level) {
        if group.len() == FILES_MAX || sizes.file_bytes < bytes + file.bytes {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes += file.bytes;
        group.push(file.clone());
    }
    groups.push(group);
    groups.retain(|group| 2 <= group.len());
    groups
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;

    use super::*;

    const MIB: u64 = 1 << 20;
    const SIZES: Sizes = Sizes { file_bytes: 128 * MIB, files_min: 8, is_daily: false };

    fn files(sizes: &[u64]) -> Vec<LiveFile> {
        let at = Timestamp::parse("2026-03-01T00:00:00Z").unwrap();
        let file = |(number, bytes): (usize, &u64)| LiveFile {
            path: format!("month=2026-03/{number}"),
            bytes: *bytes,
            rows: 1,
            month: Some("2026-03".to_owned()),
            written: at,
            times: Some((at, at)),
            topics: None,
        };
        sizes.iter().enumerate().map(file).collect()
    }

    fn counts(groups: &[Vec<LiveFile>]) -> Vec<usize> {
        groups.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_few_files_wait_for_more_of_their_size() {
        assert_eq!(counts(&groups(&files(&[1_000; 7]), &SIZES)), [0; 0]);
        assert_eq!(counts(&groups(&files(&[1_000; 8]), &SIZES)), [8]);
        // A large one is not written again for the sake of seven small ones.
        let mut mixed = vec![40 * MIB];
        mixed.extend([1_000; 6]);
        assert_eq!(counts(&groups(&files(&mixed), &SIZES)), [0; 0]);
        mixed.extend([1_000; 2]);
        assert_eq!(counts(&groups(&files(&mixed), &SIZES)), [8]);
        let by_hand = Sizes { files_min: 2, ..SIZES };
        assert_eq!(counts(&groups(&files(&mixed), &by_hand)), [9], "whatever their size");
    }

    #[test]
    fn one_file_of_the_wanted_size_comes_of_a_group() {
        let groups = groups(&files(&[30 * MIB; 10]), &SIZES);

        assert_eq!(counts(&groups), [4, 4, 2]);
        assert!(
            groups.iter().all(|group| {
                group.iter().map(|file| file.bytes).sum::<u64>() <= SIZES.file_bytes
            })
        );
        assert!(super::groups(&files(&[64 * MIB; 10]), &SIZES).is_empty(), "large enough");
    }

    #[test]
    fn months_days_and_what_was_read_again_stay_apart() {
        let mut apart = files(&[1_000; 32]);
        for (number, file) in apart.iter_mut().enumerate() {
            if number % 2 == 0 {
                file.month = Some("2026-04".to_owned());
            }
            if number < 16 {
                file.topics = Some(("a".to_owned(), Reject::REPLAY_TOPIC.to_owned()));
            }
        }
        assert_eq!(counts(&groups(&apart, &SIZES)), [8, 8, 8, 8]);

        let mut days = files(&[1_000; 16]);
        for file in &mut days[8..] {
            let later = file.written.plus(std::time::Duration::from_hours(24));
            file.times = Some((file.written, later));
        }
        assert_eq!(counts(&groups(&days, &SIZES)), [16]);
        assert_eq!(counts(&groups(&days, &Sizes { is_daily: true, ..SIZES })), [8, 8]);
    }

    #[test]
    fn a_row_is_written_a_few_times_however_many_commits_follow_it() {
        let (mut table, mut written, mut number) = (Vec::new(), 0, 0);
        let mut made = |bytes| {
            number += 1;
            LiveFile { path: number.to_string(), ..files(&[bytes]).remove(0) }
        };
        for _ in 0..20_000_u64 {
            table.push(made(50_000));
            for group in groups(&table, &SIZES) {
                let bytes = group.iter().map(|file| file.bytes).sum();
                written += bytes;
                table.retain(|file| !group.contains(file));
                table.push(made(bytes));
            }
        }

        assert!(written < 5 * 20_000 * 50_000, "{written} bytes for a gigabyte");
        assert!(table.len() < 50, "{} files", table.len());
    }
}
