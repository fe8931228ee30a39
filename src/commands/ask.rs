//! `surety sql`, `surety trace`, `surety agents`: questions to the lake.
//!
//! Invariant: they write nothing, neither in the lake nor beside it (but the prompt's history, in the
//! person's own folder).

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use query::prompt::PromptError;
use query::{Destination, Engine, Format, Limits, QueryError, Screen, ShowError, WriteError};
use schemas::{EventId, Timestamp};
use serde_json::Value;

use super::wiring::{self, Locations};
use crate::cli::{Agents, LakeArg, OutputFormat, Sql, Trace};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Answers a statement, a file of them, or a person at the prompt.
///
/// # Errors
///
/// [`Exit::Data`] for a wrong statement, with its place; [`Exit::Usage`] for a format that cannot
/// hold the answer.
pub(super) async fn sql(args: Sql, config: &Config) -> Result<Exit, Failure> {
    let format = format_of(args.format);
    let text = match (&args.statement, &args.file) {
        (Some(statement), _) => {
            check_format(format, 1)?;
            let engine = engine(&args.lake, config).await?;
            return answer(&engine, statement, format).await;
        }
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Data, error).while_doing(format!("read {}", path.display()))
        })?,
        (None, None) if std::io::stdin().is_terminal() => {
            if !format.is_text() {
                return Err(not_here(format, "the prompt shows text"));
            }
            return prompt(&engine(&args.lake, config).await?, format).await;
        }
        (None, None) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
    let statements = query::split_statements(&text).map_err(of_query)?;
    check_format(format, statements.len())?;
    let engine = engine(&args.lake, config).await?;
    for statement in statements {
        let exit = answer(&engine, &statement, format).await?;
        if exit != Exit::Ok {
            // Stopped by the person: so are the statements after it.
            return Ok(exit);
        }
    }
    Ok(Exit::Ok)
}

/// Whether stdout can hold the answers of so many statements in this format.
pub(super) fn check_format(format: Format, statements: usize) -> Result<(), Failure> {
    if format.is_text() {
        return Ok(());
    }
    if 1 < statements {
        return Err(not_here(format, "it holds the answer of one statement, not of several"));
    }
    if std::io::stdout().is_terminal() {
        return Err(not_here(format, "it is no text for a terminal: send it to a file with >"));
    }
    Ok(())
}

fn not_here(format: Format, why: &str) -> Failure {
    Failure::told(Exit::Usage, format!("--format {}: {why}", format.as_str()))
}

/// Shows who answers for an event.
///
/// # Errors
///
/// [`Exit::Data`] if there is no such event.
pub(super) async fn trace(args: Trace, config: &Config) -> Result<Exit, Failure> {
    let known_at =
        args.as_known_at.as_deref().map(Timestamp::parse).transpose().map_err(|error| {
            Failure::new(Exit::Usage, error).while_doing("read --as-known-at".to_owned())
        })?;
    let event = EventId::try_from(args.event_id).map_err(|error| {
        Failure::new(Exit::Usage, error).while_doing("read the event id".to_owned())
    })?;
    let format = format_of(args.format);
    check_format(format, 1)?;
    let engine = engine(&args.lake, config).await?;
    let traced = engine.trace(&event, known_at).await.map_err(of_query)?;
    match args.format {
        OutputFormat::Table => terminal::answer(&traced.render_text())?,
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(&traced);
            let text = text.map_err(|error| Failure::new(Exit::Software, error))?;
            terminal::answer(&format!("{text}\n"))?;
        }
        OutputFormat::Jsonl | OutputFormat::Csv | OutputFormat::Parquet | OutputFormat::Arrow => {
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            let known_at = known_at.map(|at| format!(", {}", quoted(&at.to_string())));
            let arguments = quoted(event.as_str()) + &known_at.unwrap_or_default();
            let hops = format!("SELECT * FROM trace({arguments}) ORDER BY hop");
            answer(&engine, &hops, format).await?;
        }
    }
    Ok(if traced.is_gap() { Exit::Found } else { Exit::Ok })
}

/// Shows the live inventory.
///
/// # Errors
///
/// [`Exit::Usage`] for a duration that cannot be read.
pub(super) async fn agents(args: Agents, config: &Config) -> Result<Exit, Failure> {
    let within = args.active_within.as_deref().map(duration).transpose();
    let within = within.map_err(|text| {
        Failure::told(Exit::Usage, text).while_doing("read --active-within".to_owned())
    })?;
    let format = format_of(args.format);
    check_format(format, 1)?;
    let engine = engine(&args.lake, config).await?;
    answer(&engine, &inventory(within), format).await
}

/// The statement for the live inventory: agents active within this time before the newest event.
pub(crate) fn inventory(within: Option<Duration>) -> String {
    let condition = within.map(|within| {
        let seconds = within.as_secs();
        format!(
            "WHERE last_seen >= (SELECT max(last_seen) FROM agents) - INTERVAL '{seconds} seconds'"
        )
    });
    let condition = condition.unwrap_or_default();
    format!("SELECT * FROM agents {condition} ORDER BY last_seen DESC, agent_id")
}

pub(super) async fn engine(argument: &LakeArg, config: &Config) -> Result<Engine, Failure> {
    let locations = Locations::of(argument, config)?;
    Engine::open(&wiring::open_lake(&locations)?, Limits::ONE_PERSON).await.map_err(of_query)
}

/// Runs a statement and writes its rows to stdout.
pub(super) async fn answer(
    engine: &Engine,
    statement: &str,
    format: Format,
) -> Result<Exit, Failure> {
    let mut stdout = std::io::stdout();
    let shown = screen(format).show(engine, statement, &mut stdout).await.map_err(of_show)?;
    stdout.flush().map_err(Failure::of_stdout)?;
    Ok(if shown.is_stopped { Exit::Unavailable } else { Exit::Ok })
}

/// Writes rows that are no answer of a statement to stdout.
pub(super) fn show_rows(rows: &RecordBatch, format: Format) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    query::write_rows(rows, format, &mut stdout).map_err(of_write)?;
    stdout.flush().map_err(Failure::of_stdout)
}

async fn prompt(engine: &Engine, format: Format) -> Result<Exit, Failure> {
    let mut streams = (std::io::stdout(), std::io::stderr());
    let ended = query::prompt::run(
        engine,
        history_file(),
        screen(format),
        (&mut streams.0, &mut streams.1),
    );
    ended.await.map_err(|error| match error {
        PromptError::Io(cause) => Failure::of_stdout(cause),
        error @ PromptError::Terminal(_) => Failure::new(Exit::Unavailable, error),
    })?;
    Ok(Exit::Ok)
}

fn screen(format: Format) -> Screen {
    let term = console::Term::stdout();
    let destination = if term.is_term() {
        Destination::Terminal { width: term.size().1 }
    } else {
        Destination::File
    };
    Screen { format, destination, is_progress_shown: std::io::stderr().is_terminal() }
}

/// `~/.surety_history`, where there is a home.
fn history_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".surety_history"))
}

pub(super) const fn format_of(format: OutputFormat) -> Format {
    match format {
        OutputFormat::Table => Format::Table,
        OutputFormat::Json => Format::Json,
        OutputFormat::Jsonl => Format::JsonLines,
        OutputFormat::Csv => Format::Csv,
        OutputFormat::Parquet => Format::Parquet,
        OutputFormat::Arrow => Format::Arrow,
    }
}

/// `30m`, `24h`, `7d`, `45s`.
///
/// # Errors
///
/// What was wanted.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wanted = || "wanted a number and s, m, h or d, such as 24h".to_owned();
    let unit = text.chars().last().ok_or_else(wanted)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wanted()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wanted())?;
    // A hundred years: what is more overflows an interval.
    let within = count.checked_mul(seconds).filter(|seconds| *seconds <= 36_525 * 86_400);
    within.map(Duration::from_secs).ok_or_else(wanted)
}

/// All rows of a statement of ours, as a JSON array.
///
/// # Errors
///
/// A [`Failure`] if the lake cannot be read.
pub(crate) async fn rows_of(engine: &Engine, statement: &str) -> Result<Value, Failure> {
    let rows = engine.sql(statement).await.map_err(of_query)?;
    let (mut rows, mut text) = (rows, Vec::new());
    query::write_answer(&mut rows, Format::Json, Destination::File, &mut text)
        .await
        .map_err(of_write)?;
    serde_json::from_slice(&text).map_err(|error| Failure::new(Exit::Software, error))
}

/// A wrong statement is the person's, an unreadable lake is not.
pub(crate) fn of_query(error: QueryError) -> Failure {
    let exit = match &error {
        QueryError::Lake(_) => Exit::Unavailable,
        QueryError::Bug { .. } => Exit::Software,
        QueryError::Syntax { .. }
        | QueryError::Unknown { .. }
        | QueryError::Invalid { .. }
        | QueryError::ReadOnly { .. }
        | QueryError::TooLarge { .. }
        | QueryError::Resources { .. }
        | QueryError::Timeout { .. } => Exit::Data,
    };
    Failure::new(exit, error)
}

fn of_show(error: ShowError) -> Failure {
    match error {
        ShowError::Query(error) => of_query(error),
        ShowError::Write(error) => of_write(error),
        ShowError::Signal(error) => Failure::new(Exit::Unavailable, error),
    }
}

fn of_write(error: WriteError) -> Failure {
    match error {
        WriteError::Query(error) => of_query(error),
        WriteError::Io(error) => Failure::of_stdout(error),
        error @ WriteError::Unwritable { .. } => Failure::new(Exit::Data, error),
    }
}
