//! [`Checkpoints`]: the detector's state on disk, two generations.
//!
//! Invariant: a checkpoint is written after the rows it rests on are committed, so it is never ahead
//! of the lake; if one is found ahead all the same (the lake was restored from a backup) it is not
//! used. A file appears whole or not at all: written beside, synced, renamed. One that cannot be
//! read is passed over with a warning; the older one, or the lake's events, take its place.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use detect::Detector;
use schemas::Offsets;

use crate::exit::{Exit, Failure};

/// Generations kept.
const KEPT: usize = 2;

/// The folder of the checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    dir: PathBuf,
}

/// A checkpoint in memory, to be kept once its rows are committed.
#[derive(Debug)]
pub(crate) struct Image(Vec<u8>);

impl Image {
    /// The detector's state after the records below `offsets`.
    pub(crate) fn of(detector: &Detector, offsets: &Offsets) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        let written = detector.write_checkpoint(offsets, &mut bytes);
        written.map_err(|error| Failure::new(Exit::Software, error))?;
        Ok(Self(bytes))
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

    /// Puts the image on disk and removes older generations.
    pub(crate) fn keep(&self, image: &Image) -> Result<(), Failure> {
        self.write(&image.0).map_err(|error| {
            Failure::new(Exit::Unavailable, error)
                .while_doing(format!("write a checkpoint in {}", self.dir.display()))
        })
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let files = self.files()?;
        let number = files.first().map_or(0, |(number, _)| number + 1);
        let (whole, partial) =
            (self.dir.join(format!("{number:012}.state")), self.dir.join("partial"));
        let mut file = fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, &whole)?;
        fs::File::open(&self.dir)?.sync_all()?;
        for (_, old) in files.iter().skip(KEPT - 1) {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    /// Newest first.
    fn files(&self) -> std::io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|kind| kind == "state")
                && let Ok(number) = stem.parse()
            {
                files.push((number, path));
            }
        }
        files.sort_unstable_by(|a, b| b.cmp(a));
        Ok(files)
    }

    /// The newest state that is whole and not ahead of `lake`.
    pub(crate) fn newest(
        &self,
        lake: &Offsets,
        config: &detect::Config,
    ) -> Result<Option<(Detector, Offsets)>, Failure> {
        let files = self.files().map_err(|error| {
            Failure::new(Exit::Unavailable, error)
                .while_doing(format!("read {}", self.dir.display()))
        })?;
        for (_, path) in files {
            let read = fs::read(&path);
            let path = path.display();
            let bytes = match read {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::warn!(%path, %error, "a checkpoint cannot be read, trying the one before");
                    continue;
                }
            };
            match Detector::read_checkpoint(config.clone(), bytes.as_slice()) {
                Ok((detector, offsets)) if is_within(&offsets, lake) => {
                    tracing::info!(%path, agents = detector.stats().agents, "state restored");
                    return Ok(Some((detector, offsets)));
                }
                Ok(_) => {
                    tracing::warn!(%path, "a checkpoint is ahead of the lake, trying the one before");
                }
                Err(error) => {
                    tracing::warn!(%path, %error, "a checkpoint is broken, trying the one before");
                }
            }
        }
        Ok(None)
    }
}

/// Whether everything read up to `offsets` is in the lake.
fn is_within(offsets: &Offsets, lake: &Offsets) -> bool {
    offsets.iter().all(|(topic, partition, next)| {
        lake.next_of(topic, partition).is_some_and(|recorded| next <= recorded)
    })
}
