//! What the commands write: the answer to stdout, everything else to stderr.
//!
//! Invariant: writing never panics. An answer that cannot be written is a [`Failure`]; a remark that
//! cannot be written is lost, since there is nowhere left to say so.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::panic::PanicHookInfo;

use crate::exit::Failure;

/// Writes an answer to stdout, to its last byte.
///
/// # Errors
///
/// [`Failure::of_stdout`].
pub(crate) fn answer(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::of_stdout)
}

/// `text` without what a terminal would obey or hide: control, bidirectional and zero-width characters
/// are written out. Line ends stay.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_hidden = matches!(letter, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}');
        if letter != '\n' && (letter.is_control() || is_hidden) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A number with what it counts: `1 file`, `2 files`.
pub(crate) fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let end = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{end}")
}

/// Writes a line to stderr.
pub(crate) fn remark(line: &dyn Display) {
    let mut text = String::new();
    // One write: lines of several threads stay whole.
    if writeln!(text, "{line}").is_ok() {
        drop(std::io::stderr().lock().write_all(text.as_bytes()));
    }
}

/// A panic is one line that says where, and what where that is a text of the program's own: a text
/// made of values could hold anything.
pub(crate) fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let what = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("a panic");
    remark(&format_args!("error: a bug of ours, please report it: {what} at {place}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let shown = [0_u64, 1, 2, 11].map(|number| counted(number, "seal"));

        assert_eq!(shown, ["0 seals", "1 seal", "2 seals", "11 seals"]);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        let shown = visible("a\u{1b}[2J\u{9b}1m\u{202e}b\u{200b}\r\nü");

        assert_eq!(shown, "a\\u{1b}[2J\\u{9b}1m\\u{202e}b\\u{200b}\\u{d}\nü");
    }
}
