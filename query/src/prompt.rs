//! The interactive prompt: statements until `;`, and commands that begin with `\`.
//!
//! Invariant: Ctrl-C stops a statement or clears a line, never the program; Ctrl-D ends it. A wrong
//! statement is told and the prompt goes on.

mod command;
mod completion;

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;

use reedline::{
    ColumnarMenu, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder as _,
    PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal,
    ValidationResult, Validator, default_emacs_keybindings,
};

use crate::format::visible;
use crate::{Engine, QueryError, Relation, Screen, ShowError, WriteError, split_statements};
use command::Command;
use completion::Completion;

/// Lines of history that are kept.
const HISTORY_LINES: usize = 10_000;

/// Why the prompt ended before the person ended it.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The terminal cannot be read.
    #[error("the terminal cannot be read")]
    Terminal(#[source] io::Error),
    /// Nobody takes the answers.
    #[error("the answers cannot be written")]
    Io(#[from] io::Error),
}

/// Asks for statements until the person ends it. Answers go to `out`, everything else to `err`.
///
/// # Errors
///
/// [`PromptError`]: what another try would not cure.
pub async fn run<O: Write + Send, E: Write>(
    engine: &Engine,
    history: Option<PathBuf>,
    mut screen: Screen,
    (out, err): (&mut O, &mut E),
) -> Result<(), PromptError> {
    let mut editor = editor(engine);
    if let Some(path) = history {
        // A person without a writable home asks all the same.
        editor = match FileBackedHistory::with_file(HISTORY_LINES, path.clone()) {
            Ok(history) => editor.with_history(Box::new(history)),
            Err(error) => {
                writeln!(err, "no history is kept in {}: {error}", path.display())?;
                editor
            }
        };
    }
    let mut is_timed = true;
    writeln!(err, "Statements end with ';'. \\help lists the commands, Ctrl-D quits.")?;
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let signal = editor.read_line(&Sign);
            // Kept line by line: a program that is killed has its history too. A disk that is full
            // keeps nobody from asking.
            drop(editor.sync_history());
            (editor, signal)
        });
        let (back, signal) =
            read.await.map_err(|error| PromptError::Terminal(io::Error::other(error)))?;
        editor = back;
        let signal = signal.map_err(PromptError::Terminal)?;
        if matches!(signal, Signal::CtrlD) {
            return Ok(());
        }
        // Ctrl-C clears the line.
        let Signal::Success(line) = signal else {
            continue;
        };
        match Command::parse(&line) {
            None => answer(engine, &screen, &line, is_timed, (out, err)).await?,
            Some(Command::Quit) => return Ok(()),
            Some(Command::Timing) => {
                is_timed = !is_timed;
                writeln!(err, "timing is {}", if is_timed { "on" } else { "off" })?;
            }
            Some(Command::Format(Some(format))) if format.is_text() => screen.format = format,
            Some(Command::Format(_)) => writeln!(err, "wanted \\format table, json, jsonl or csv")?,
            Some(other) => writeln!(out, "{}", reply(engine, &other))?,
        }
    }
}

/// Runs the statements of a line and tells what became of each.
async fn answer<O: Write + Send, E: Write>(
    engine: &Engine,
    screen: &Screen,
    line: &str,
    is_timed: bool,
    (out, err): (&mut O, &mut E),
) -> Result<(), PromptError> {
    let statements = match split_statements(line) {
        Ok(statements) => statements,
        Err(error) => return Ok(writeln!(err, "{}", told(&error))?),
    };
    for statement in statements {
        match screen.show(engine, &statement, out).await {
            Ok(shown) if shown.is_stopped => writeln!(err, "stopped")?,
            Ok(shown) if is_timed => writeln!(err, "{:.3} s", shown.elapsed.as_secs_f64())?,
            Ok(_) => {}
            Err(ShowError::Write(WriteError::Io(cause))) => return Err(PromptError::Io(cause)),
            Err(ShowError::Query(error)) => {
                writeln!(err, "{}", told(&error))?;
                break;
            }
            Err(error @ (ShowError::Write(_) | ShowError::Signal(_))) => {
                writeln!(err, "error: {error}")?;
                break;
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// An error with its causes, each line free of what a terminal would obey.
fn told(error: &QueryError) -> String {
    let mut text = format!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// The text with which a command is answered.
fn reply(engine: &Engine, command: &Command) -> String {
    let list = |is_view: bool| {
        let chosen = engine.relations().iter().filter(|one| one.is_view == is_view);
        chosen.map(|one| format!("{:<20} {}", one.name, one.doc)).collect::<Vec<_>>().join("\n")
    };
    match command {
        Command::Describe(None) => format!("Tables\n{}\n\nViews\n{}", list(false), list(true)),
        Command::Describe(Some(name)) => match engine.relation(name) {
            Ok(relation) => describe(relation),
            Err(error) => told(&error),
        },
        Command::Views => list(true),
        Command::Unknown(name) => {
            format!("no command is named {}; \\help lists them", visible(name))
        }
        Command::Help | Command::Quit | Command::Timing | Command::Format(_) => {
            command::HELP.to_owned()
        }
    }
}

/// A table's or view's columns with their meaning.
fn describe(relation: &Relation) -> String {
    let mut lines = vec![format!("{}: {}", relation.name, relation.doc)];
    let longest = relation.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    for column in &relation.columns {
        let arrow = column.data_type.to_string();
        let data_type = type_name(&arrow);
        lines.push(format!("  {:longest$}  {data_type:<10} {}", column.name, column.doc));
    }
    lines.join("\n")
}

/// Arrow's name of a type in the words of SQL.
fn type_name(arrow: &str) -> &str {
    let head = arrow.split(['(', '<']).next().unwrap_or(arrow);
    match head {
        "Utf8" | "Utf8View" | "LargeUtf8" | "Dictionary" => "text",
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => {
            "integer"
        }
        "Float32" | "Float64" => "float",
        "Decimal128" => "decimal",
        "Timestamp" => "timestamp",
        "Date32" | "Date64" => "date",
        "Boolean" => "boolean",
        "Binary" | "BinaryView" | "LargeBinary" => "bytes",
        "List" => "list",
        "Map" => "map",
        _ => head,
    }
}

fn editor(engine: &Engine) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu("completion".to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    let menu = ColumnarMenu::default().with_name("completion");
    Reedline::create()
        .with_completer(Box::new(Completion::new(engine)))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_validator(Box::new(Whole))
        .with_edit_mode(Box::new(Emacs::new(keys)))
}

/// A line is whole when it is a command, is empty, or ends with `;` outside of quotes.
struct Whole;

impl Validator for Whole {
    fn validate(&self, line: &str) -> ValidationResult {
        if is_whole(line) { ValidationResult::Complete } else { ValidationResult::Incomplete }
    }
}

fn is_whole(line: &str) -> bool {
    let line = line.trim();
    // With a quote still open, the text cannot be cut into statements.
    line.is_empty()
        || line.starts_with('\\')
        || (line.ends_with(';') && split_statements(line).is_ok())
}

/// `surety> `, and `     -> ` on the lines after the first.
struct Sign;

impl reedline::Prompt for Sign {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "surety".into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "     -> ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(search: {}) ", search.term).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use schemas::Table;

    #[test]
    fn a_line_is_whole_at_its_semicolon_outside_of_quotes() {
        for line in [
            "",
            "  ",
            "\\d",
            "\\help",
            "SELECT 1;",
            "SELECT 1; ",
            "SELECT ';';",
            "SELECT 1 -- x\n;",
        ] {
            assert!(is_whole(line), "{line}");
        }
        for line in ["SELECT 1", "SELECT ';", "SELECT 1 /* ;"] {
            assert!(!is_whole(line), "{line}");
        }
    }

    #[tokio::test]
    async fn a_table_is_described_with_the_meaning_of_its_columns() {
        let tables = Table::ALL.iter().map(|table| (*table, None)).collect();
        let engine = Engine::with_tables(tables, Limits::ONE_PERSON).await.unwrap();
        let described = |name: &str| reply(&engine, &Command::Describe(Some(name.to_owned())));

        assert!(
            described("events").contains("agent_id           text       The agent that acted.\n")
        );
        assert!(
            described("AGENTS")
                .contains("events_24h      integer    How many of them in the 24 hours")
        );
        assert_eq!(
            described("evnts"),
            "error: no table or view is named 'evnts', did you mean 'events'?"
        );
        assert!(
            reply(&engine, &Command::Views)
                .contains("shared_credentials   One agent's use of a credential")
        );
    }
}
