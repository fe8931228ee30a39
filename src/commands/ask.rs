//! `surety sql`, `surety trace`, `surety agents`: questions to the lake.
//!
//! Invariant: they write nothing, neither in the lake nor beside it (but the prompt's history, in the
//! person's own folder).

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use query::{Destination, Engine, Format, Limits, QueryError, Screen, ShowError, WriteError};
use schemas::{EventId, Timestamp};
use serde_json::Value;

use super::wiring::{self, Locations};
use crate::cli::{Agents, LakeArg, OutputFormat, ReportFormat, Sql, Trace};
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// Answers a statement, a file of them, or a person at the prompt.
///
/// # Errors
///
/// [`Exit::Data`] for a wrong statement, with its place.
pub(super) async fn sql(args: Sql, config: &Config) -> Result<Exit, Failure> {
    let engine = engine(&args.lake, config).await?;
    let format = format_of(args.format);
    if let Some(statement) = args.statement {
        return answer(&engine, &statement, format).await;
    }
    let text = match &args.file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Data, error).while_doing(format!("read {}", path.display()))
        })?,
        None if std::io::stdin().is_terminal() => return prompt(&engine, format).await,
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
    for statement in query::split_statements(&text).map_err(of_query)? {
        answer(&engine, &statement, format).await?;
    }
    Ok(Exit::Ok)
}

/// Shows who answers for an event.
///
/// # Errors
///
/// [`Exit::Data`] if there is no such event.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) async fn trace(args: Trace, config: &Config) -> Result<Exit, Failure> {
    let known_at =
        args.as_known_at.as_deref().map(Timestamp::parse).transpose().map_err(|error| {
            Failure::new(Exit::Usage, error).while_doing("read --as-known-at".to_owned())
        })?;
    let event = EventId::try_from(args.event_id).map_err(|error| {
        Failure::new(Exit::Usage, error).while_doing("read the event id".to_owned())
    })?;
    let engine = engine(&args.lake, config).await?;
    let answer = engine.trace(&event, known_at).await.map_err(of_query)?;
    match args.format {
        ReportFormat::Table => print!("{}", answer.render_text()),
        ReportFormat::Json => {
            let text = serde_json::to_string_pretty(&answer);
            println!("{}", text.map_err(|error| Failure::new(Exit::Software, error))?);
        }
    }
    Ok(if answer.is_gap() { Exit::Found } else { Exit::Ok })
}

/// Shows the live inventory.
///
/// # Errors
///
/// [`Exit::Usage`] for a duration that cannot be read.
pub(super) async fn agents(args: Agents, config: &Config) -> Result<Exit, Failure> {
    let within = match &args.active_within {
        Some(text) => {
            let seconds = duration(text)?.as_secs();
            format!(
                "WHERE last_seen >= (SELECT max(last_seen) FROM agents) - INTERVAL '{seconds} seconds'"
            )
        }
        None => String::new(),
    };
    let statement = format!("SELECT * FROM agents {within} ORDER BY last_seen DESC, agent_id");
    let engine = engine(&args.lake, config).await?;
    answer(&engine, &statement, format_of(args.format)).await
}

async fn engine(argument: &LakeArg, config: &Config) -> Result<Engine, Failure> {
    let locations = Locations::of(argument, config)?;
    Engine::open(&wiring::open_lake(&locations)?, Limits::ONE_PERSON).await.map_err(of_query)
}

/// Runs a statement and writes its rows to stdout.
async fn answer(engine: &Engine, statement: &str, format: Format) -> Result<Exit, Failure> {
    let mut stdout = std::io::stdout();
    let shown = screen(format).show(engine, statement, &mut stdout).await.map_err(of_show)?;
    stdout.flush()?;
    Ok(if shown.is_stopped { Exit::Unavailable } else { Exit::Ok })
}

async fn prompt(engine: &Engine, format: Format) -> Result<Exit, Failure> {
    let mut streams = (std::io::stdout(), std::io::stderr());
    let ended = query::prompt::run(
        engine,
        history_file(),
        screen(format),
        (&mut streams.0, &mut streams.1),
    );
    ended.await.map_err(|error| Failure::new(Exit::Unavailable, error))?;
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

const fn format_of(format: OutputFormat) -> Format {
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
fn duration(text: &str) -> Result<Duration, Failure> {
    let wanted = || {
        let text = format!("--active-within {text}: wanted a number and s, m, h or d, such as 24h");
        Failure::told(Exit::Usage, text)
    };
    let unit = text.chars().last().ok_or_else(wanted)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wanted()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wanted())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wanted)
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
        error @ (WriteError::Io(_) | WriteError::Unwritable { .. }) => {
            Failure::new(Exit::Unavailable, error)
        }
    }
}
