//! [`Origin`]: where each value of the configuration comes from, for messages.
//!
//! Invariant (S1): a message says what was wanted and never repeats what was found: any value may be
//! a secret that somebody put in the wrong place.

use std::ops::Range;

/// Spans from here on are of the defaults, not of the file or the environment.
const OF_DEFAULTS: usize = usize::MAX / 2;

/// The texts that a configuration was made of. A span's start tells which one it is of: the file's
/// bytes come first, then one number for each environment variable, then the defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    path: String,
    text: String,
    /// Names of environment variables.
    variables: Vec<String>,
}

impl Origin {
    pub(super) fn new(path: &str, text: &str, variables: Vec<String>) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), variables }
    }

    /// The span that stands for the environment variable of this number.
    pub(super) fn of_variable(&self, number: usize) -> Range<usize> {
        let at = self.text.len() + 1 + number;
        at..at
    }

    /// The span of a place in the defaults.
    pub(super) fn of_default(span: &Range<usize>) -> Range<usize> {
        OF_DEFAULTS + span.start..OF_DEFAULTS + span.end
    }

    /// `path:line:column`, or the name of the environment variable.
    pub(crate) fn place(&self, span: &Range<usize>) -> String {
        if let Some(start) = span.start.checked_sub(OF_DEFAULTS) {
            return format!("defaults:{}", line_and_column(super::DEFAULTS, start));
        }
        if let Some(number) = span.start.checked_sub(self.text.len() + 1)
            && let Some(name) = self.variables.get(number)
        {
            return format!("environment variable {name}");
        }
        format!("{}:{}", self.path, line_and_column(&self.text, span.start))
    }

    /// The place of a byte inside a text that stands at `span`, as exactly as the text is written.
    pub(super) fn place_within(&self, span: &Range<usize>, at: usize) -> String {
        let written = self.text.get(span.clone()).unwrap_or_default();
        let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|one| written.starts_with(one));
        match quote {
            Some(quote) if quote.starts_with('\'') || !written.contains('\\') => {
                let opening = quote.len();
                let is_line_end = opening == 3 && written[opening..].starts_with('\n');
                let start = span.start + opening + usize::from(is_line_end) + at;
                self.place(&(start..start))
            }
            // Escapes move what follows them.
            Some(_) | None => format!("{}: at byte {at} of the text", self.place(span)),
        }
    }

    /// A parser's message with its place and without the values it found.
    pub(super) fn explain(&self, error: &toml::de::Error) -> String {
        let span = error.span();
        let place = span.as_ref().map_or_else(|| self.path.clone(), |span| self.place(span));
        let found = span.and_then(|span| self.text.get(span)).unwrap_or_default();
        let is_of_variable = place.starts_with("environment");
        let message = error.message().trim_end().replace('\n', "; ");
        format!("{place}: {}", without_values(&message, found, is_of_variable))
    }
}

fn line_and_column(text: &str, at: usize) -> String {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    format!("{line}:{column}")
}

/// The message without the value it is about: what serde quotes, and the very text that was found.
/// The name of an unknown field is kept where it is a key of the file.
fn without_values(message: &str, found: &str, is_of_variable: bool) -> String {
    let (head, wanted) = match message.rfind(", expected ") {
        Some(at) => message.split_at(at),
        None => (message, ""),
    };
    let is_quoting = ["invalid type: ", "invalid value: ", "unknown variant "]
        .iter()
        .any(|start| head.starts_with(start))
        || (is_of_variable && head.starts_with("unknown field "));
    if is_quoting {
        let kind = head.split(['"', '`']).next().unwrap_or(head).trim_end();
        return format!("{kind}{wanted}");
    }
    let found = found.trim_matches(['"', '\'']);
    let head = if 4 <= found.len() && !head.starts_with("unknown field ") {
        head.replace(found, "...")
    } else {
        head.to_owned()
    };
    format!("{head}{wanted}")
}
