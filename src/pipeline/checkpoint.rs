//! [`Checkpoints`]: the detector's state on disk, two generations for each lake.
//!
//! Invariant: a checkpoint is written after the rows it rests on are committed, so it is never ahead
//! of its lake; if one is found ahead all the same (the lake was restored from a backup) it is not
//! used, and neither is one of another lake: the lake's id is part of the name. A file appears whole or
//! not at all: written beside, synced, renamed. One that cannot be read is passed over with a warning
//! that says why; the older one, or the lake's events, take its place.

use std::fs;
use std::io::{self, BufReader, BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use detect::{CheckpointError, Detector, Snapshot};
use schemas::Offsets;
use tokio::task::JoinHandle;

use crate::exit::{Exit, Failure};

/// Generations kept.
const KEPT: usize = 2;

/// How a checkpoint's name ends.
const WHOLE: &str = "state";

/// How the name of one ends that is being written.
const PARTIAL: &str = "partial";

/// The folder of the checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    dir: PathBuf,
}

/// The state at a cut, to be kept once the cut's rows are committed.
#[derive(Debug)]
pub(crate) struct Image {
    snapshot: Snapshot,
    offsets: Offsets,
}

impl Image {
    /// The detector's state after the records below `offsets`. It can go on at once.
    pub(crate) fn of(detector: &mut Detector, offsets: &Offsets) -> Self {
        Self { snapshot: detector.snapshot(), offsets: offsets.clone() }
    }
}

impl Checkpoints {
    pub(crate) fn new(state_dir: &Path) -> Result<Self, Failure> {
        let dir = state_dir.join("checkpoints");
        fs::create_dir_all(&dir).map_err(|error| {
            Failure::new(Exit::Unavailable, error)
                .while_doing(format!("make the folder {}", dir.display()))
        })?;
        Ok(Self { dir })
    }

    /// Puts the image of `lake` on disk, on a thread that may block.
    pub(crate) fn keep_in_background(
        &self,
        lake: &str,
        image: Image,
    ) -> JoinHandle<io::Result<()>> {
        let (checkpoints, lake) = (self.clone(), lake.to_owned());
        tokio::task::spawn_blocking(move || checkpoints.keep(&lake, image))
    }

    /// Puts the image of `lake` on disk and removes its older generations.
    ///
    /// # Errors
    ///
    /// What the file system said. The older generations are there then.
    fn keep(&self, lake: &str, image: Image) -> io::Result<()> {
        let files = self.files(lake)?;
        let number = files.first().map_or(0, |(number, _)| number + 1);
        let whole = self.dir.join(format!("{}.{number:012}.{WHOLE}", named(lake)));
        self.remove_abandoned()?;
        let partial = self.dir.join(partial_name());
        let mut file = BufWriter::new(fs::File::create_new(&partial)?);
        let written = image.snapshot.write(&image.offsets, &mut file);
        let written = written.and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all());
        lake::crash_point!("written", "checkpoint");
        if let Err(error) = written.and_then(|()| fs::rename(&partial, &whole)) {
            remove(&partial)?;
            return Err(error);
        }
        fs::File::open(&self.dir)?.sync_all()?;
        lake::crash_point!("named", "checkpoint");
        for (_, old) in files.iter().skip(KEPT - 1) {
            remove(old)?;
        }
        Ok(())
    }

    /// Removes what other processes were writing when they ended. One that is still at it, on the same
    /// folder, misses one checkpoint.
    fn remove_abandoned(&self) -> io::Result<()> {
        let ours = format!("{}.", std::process::id());
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|kind| kind == PARTIAL) && !name.starts_with(&ours) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Those of `lake`, newest first.
    fn files(&self, lake: &str) -> io::Result<Vec<(u64, PathBuf)>> {
        let lake = named(lake);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|kind| kind == WHOLE)
                && let Some((of, number)) = stem.split_once('.')
                && of == lake
                && let Ok(number) = number.parse()
            {
                files.push((number, path));
            }
        }
        files.sort_unstable_by(|a, b| b.cmp(a));
        Ok(files)
    }

    /// The newest state of `lake` that is whole and not ahead of its `offsets`. A lake without an id
    /// has no events yet, and so no state.
    pub(crate) fn newest(
        &self,
        lake: Option<&str>,
        offsets: &Offsets,
        config: &detect::Config,
    ) -> Option<(Detector, Offsets)> {
        let files = self.files(lake?).unwrap_or_else(|error| {
            let path = self.dir.display();
            tracing::warn!(%path, %error, "checkpoints cannot be read, folding all events");
            Vec::new()
        });
        for (_, path) in files {
            let opened = fs::File::open(&path).map_err(CheckpointError::Io);
            let read = opened
                .and_then(|file| Detector::read_checkpoint(config.clone(), BufReader::new(file)));
            let path = path.display();
            match read {
                Ok((detector, at)) if is_within(&at, offsets) => {
                    tracing::info!(%path, agents = detector.stats().agents, "state restored");
                    return Some((detector, at));
                }
                Ok(_) => {
                    tracing::warn!(%path, "a checkpoint is ahead of the lake, trying the one before");
                }
                Err(error) => {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::warn!(%path, error, "a checkpoint is not used, trying the one before");
                }
            }
        }
        None
    }
}

/// Removes a file that another process may have removed already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A name that no other file of this process or another one has.
fn partial_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}.{number}.{PARTIAL}", std::process::id())
}

/// The lake's id as a part of a file's name. It is a UUID, unless another program made the table.
fn named(lake: &str) -> String {
    lake.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

/// Whether everything read up to `offsets` is in the lake.
fn is_within(offsets: &Offsets, lake: &Offsets) -> bool {
    offsets.iter().all(|(topic, partition, next)| {
        lake.next_of(topic, partition).is_some_and(|recorded| next <= recorded)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{KafkaPartition, Offset, Topic};

    fn offsets(next: i64) -> Offsets {
        let mut offsets = Offsets::default();
        offsets.raise(&Topic::new("uses"), KafkaPartition(0), Offset(next));
        offsets
    }

    fn image(next: i64) -> Image {
        Image::of(&mut Detector::new(detect::Config::default()), &offsets(next))
    }

    fn newest(checkpoints: &Checkpoints, lake: &str, next: i64) -> Option<Offsets> {
        let found = checkpoints.newest(Some(lake), &offsets(next), &detect::Config::default());
        found.map(|(_, offsets)| offsets)
    }

    #[test]
    fn a_checkpoint_is_found_for_its_own_lake_only_and_never_ahead_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path()).unwrap();
        for next in [10, 20, 30] {
            checkpoints.keep("lake-a", image(next)).unwrap();
        }

        assert_eq!(newest(&checkpoints, "lake-a", 30), Some(offsets(30)));
        assert_eq!(newest(&checkpoints, "lake-a", 29), Some(offsets(20)));
        assert_eq!(newest(&checkpoints, "lake-a", 19), None, "two generations are kept");
        assert_eq!(newest(&checkpoints, "lake-b", 99), None);
        checkpoints.keep("lake-b", image(5)).unwrap();
        assert_eq!(newest(&checkpoints, "lake-a", 99), Some(offsets(30)));
    }

    #[test]
    fn what_a_crash_left_half_written_is_removed_and_a_broken_checkpoint_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path()).unwrap();
        let half = folder.path().join("checkpoints/1.0.partial");
        fs::write(&half, "half").unwrap();

        checkpoints.keep("lake", image(1)).unwrap();
        fs::write(folder.path().join("checkpoints/lake.000000000009.state"), "broken").unwrap();

        assert!(!half.exists());
        assert_eq!(newest(&checkpoints, "lake", 1), Some(offsets(1)));
    }

    #[test]
    fn a_damaged_a_shortened_and_an_older_checkpoint_give_way_to_the_one_before_or_to_none() {
        let damage: [fn(&mut Vec<u8>); 3] = [
            |bytes| bytes[60] ^= 1,
            |bytes| bytes.truncate(bytes.len() / 2),
            // The version stands after sixteen letters.
            |bytes| bytes[16] -= 1,
        ];
        for damage in damage {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path()).unwrap();
            checkpoints.keep("lake", image(1)).unwrap();
            checkpoints.keep("lake", image(2)).unwrap();
            for (number, left) in [(1, Some(offsets(1))), (0, None)] {
                let path = folder.path().join(format!("checkpoints/lake.{number:012}.state"));
                let mut bytes = fs::read(&path).unwrap();
                damage(&mut bytes);
                fs::write(&path, bytes).unwrap();

                assert_eq!(newest(&checkpoints, "lake", 2), left);
            }
        }
    }
}
