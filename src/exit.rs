//! What the shell sees.
//!
//! Invariant: each way to fail has one exit code, decided by the type of the error that is at the
//! root, in [`Failure::exit`] and nowhere else.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// What the shell sees. Part of the interface: listed in the README, never renumbered.
///
/// Source: `sysexits.h` for every value from 64 up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    /// The command worked and the answer is bad news: `trace` found a gap.
    Found = 1,
    /// The arguments are wrong. Retrying will not help.
    Usage = 64,
    /// The input is wrong: a broken file, a wrong SQL statement, an unknown event.
    Data = 65,
    /// Kafka, storage or the network failed. Retrying may help.
    Unavailable = 69,
    /// A bug: an invariant of ours is broken.
    Software = 70,
    /// The configuration is wrong; the message says where, as `path:line:column`.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failed command: what happened, and with which exit code it ends.
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// A failure that is told in words alone.
    pub(crate) fn told(exit: Exit, text: String) -> Self {
        Self { exit, error: anyhow::Error::msg(text) }
    }

    /// The answer could not be written to stdout. A reader that went away, as `| head` does, is no
    /// failure: the exit is 0. Other broken pipes are failures like any other.
    pub(crate) fn of_stdout(error: io::Error) -> Self {
        let exit =
            if error.kind() == io::ErrorKind::BrokenPipe { Exit::Ok } else { Exit::Unavailable };
        Self::new(exit, error).while_doing("write to stdout".to_owned())
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Adds what we were doing, in front.
    pub(crate) fn while_doing(self, doing: String) -> Self {
        Self { exit: self.exit, error: self.error.context(doing) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Unavailable, error)
    }
}

/// Help and version are answers; anything else is a wrong argument.
pub(crate) fn of_usage(error: &clap::Error) -> ExitCode {
    match (error.use_stderr(), error.print()) {
        (true, _) => Exit::Usage.into(),
        (false, Ok(())) => Exit::Ok.into(),
        (false, Err(error)) => Failure::of_stdout(error).exit().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_of_stdout_that_went_away_is_no_failure() {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let full = io::Error::from(io::ErrorKind::StorageFull);

        assert_eq!(Failure::of_stdout(gone()).exit(), Exit::Ok);
        assert_eq!(Failure::of_stdout(full).exit(), Exit::Unavailable);
        assert_eq!(Failure::from(gone()).exit(), Exit::Unavailable);
    }
}
