//! [`Command`]: what a person can tell the prompt itself.

use crate::Format;

/// A line that begins with `\`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `\d`, `\d NAME`.
    Describe(Option<String>),
    Views,
    /// `\format NAME`; `None` if there is no such format.
    Format(Option<Format>),
    Timing,
    Help,
    Quit,
    Unknown(String),
}

pub(super) const HELP: &str = "\
\\d              tables and views
\\d NAME         columns of a table or view, with their meaning
\\views          views
\\format NAME    table, json, jsonl or csv
\\timing         show or hide how long statements take
\\help           this list
\\q              quit, as does Ctrl-D
Statements end with ';' and may span lines. Ctrl-C stops a running statement. Tab completes.";

/// The commands' own names, for completion.
pub(super) const NAMES: &[&str] = &["\\d", "\\views", "\\format", "\\timing", "\\help", "\\q"];

impl Command {
    /// The command on `line`, if it is one. A `;` at its end does not matter.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim().trim_end_matches(';');
        let mut words = line.strip_prefix('\\')?.split_whitespace();
        let name = words.next().unwrap_or_default();
        let argument = words.next();
        Some(match name {
            "d" => Self::Describe(argument.map(str::to_owned)),
            "views" => Self::Views,
            "format" => Self::Format(argument.and_then(Format::parse)),
            "timing" => Self::Timing,
            "help" | "h" | "?" => Self::Help,
            "q" | "quit" => Self::Quit,
            other => Self::Unknown(format!("\\{other}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_backslash_is_a_command() {
        let parse = Command::parse;
        assert_eq!(parse("SELECT 1;"), None);
        assert_eq!(parse("\\d"), Some(Command::Describe(None)));
        assert_eq!(parse(" \\d events; "), Some(Command::Describe(Some("events".to_owned()))));
        assert_eq!(parse("\\format json"), Some(Command::Format(Some(Format::Json))));
        assert_eq!(parse("\\format xml"), Some(Command::Format(None)));
        assert_eq!(parse("\\q"), Some(Command::Quit));
        assert_eq!(parse("\\x"), Some(Command::Unknown("\\x".to_owned())));
    }

    #[test]
    fn help_names_every_command() {
        assert!(NAMES.iter().all(|name| HELP.contains(name)));
    }
}
