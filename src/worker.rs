//! [`Worker`]: what this process is called in its consumer group.
//!
//! Invariant: of processes that run at the same time no two have the same name. One that is started
//! after another was killed has that one's name and thereby its partitions, at once and all of them
//! (static membership, KIP-345). Under a new name it would share them with the dead process until Kafka
//! gives that one up, and read its half hours ahead of the other half (D1).

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::commands::wiring::random_hex;

/// Processes that share a state's folder.
const WORKERS_MAX: usize = 64;

/// A name in the consumer group, ours until the process ends.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Locked as long as it is open, and the system closes it however the process ends.
    _file: File,
    pub(crate) name: String,
}

impl Worker {
    /// The first name in the state's folder that no running process has.
    ///
    /// # Errors
    ///
    /// What the file system said, e.g. that it has no locks.
    pub(crate) fn of(state: &Path) -> io::Result<Self> {
        for number in 0..WORKERS_MAX {
            let path = state.join(format!("worker-{number}"));
            let mut file =
                File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => {
                    let name = named(&mut file)?;
                    return Ok(Self { _file: file, name });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{WORKERS_MAX} processes share the folder")))
    }
}

/// The name in the file; a new one if there is none that is whole.
fn named(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    let is_text = file.read_to_string(&mut text).is_ok();
    if is_text && text.strip_suffix('\n').is_some_and(|name| name.len() == NAME_LENGTH) {
        text.pop();
        return Ok(text);
    }
    let name = format!("surety-{}", &random_hex()?[..RANDOM_DIGITS]);
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{name}")?;
    file.sync_all()?;
    Ok(name)
}

const RANDOM_DIGITS: usize = 32;
const NAME_LENGTH: usize = "surety-".len() + RANDOM_DIGITS;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_is_taken_by_one_process_at_a_time_and_by_the_next_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let one = Worker::of(folder.path()).unwrap();
        let two = Worker::of(folder.path()).unwrap();
        assert_ne!(one.name, two.name);
        let name = one.name.clone();
        drop(one);

        let again = Worker::of(folder.path()).unwrap();

        assert_eq!(again.name, name);
        assert_ne!(again.name, two.name);
    }

    #[test]
    fn half_a_name_gives_way_to_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        for half in [&b"surety-12"[..], b"\xff\xfe", b""] {
            fs::write(folder.path().join("worker-0"), half).unwrap();

            let name = Worker::of(folder.path()).unwrap().name;

            assert_eq!(name.len(), NAME_LENGTH);
            assert_eq!(Worker::of(folder.path()).unwrap().name, name);
        }
    }
}
