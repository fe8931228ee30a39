//! [`QueryError`]: why a statement has no answer.
//!
//! Invariant: an error about the statement says where in it (line and column, from 1) whenever the
//! parser or the planner knows, and quotes only the line of the statement itself.

use std::fmt;

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

use crate::statement::Source;

/// A place in a statement: line and column, both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What kind of name is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    Table,
    Column,
    Function,
    /// An event id given to a trace.
    Event,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table or view",
            Self::Column => "column",
            Self::Function => "function",
            Self::Event => "event",
        })
    }
}

/// Where a statement is wrong: the place, and its line with a caret under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub place: Place,
    /// Two lines for people.
    pub excerpt: String,
}

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is not SQL.
    #[error("{}: {message}\n{}", spot.place, spot.excerpt)]
    Syntax { spot: Spot, message: String },

    /// It names something that is not there.
    #[error("{}no {kind} is named '{name}'{}{}", before(spot.as_ref()), nearest_text(nearest.as_deref()), after(spot.as_ref()))]
    Unknown { kind: NameKind, name: String, nearest: Option<String>, spot: Option<Spot> },

    /// It is SQL, but means nothing, or fails on the values it meets.
    #[error("{}{message}{}", before(spot.as_ref()), after(spot.as_ref()))]
    Invalid { message: String, spot: Option<Spot> },

    /// It would change something.
    #[error(
        "{statement} is refused: the lake is read only, wanted SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW"
    )]
    ReadOnly { statement: String },

    /// It is larger than a statement may be.
    #[error("wanted a statement of at most {max} {what}, found {found}")]
    TooLarge { what: &'static str, max: usize, found: usize },

    /// It wants more memory, disk or rows than it may have. Ask for less.
    #[error("the statement reached a limit: {message}")]
    Resources { message: String },

    /// It took longer than it may.
    #[error("the statement was stopped after {seconds} s")]
    Timeout { seconds: u64 },

    /// The lake cannot be read.
    #[error("the lake cannot be read")]
    Lake(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// A bug: of ours or of the SQL engine.
    #[error("the statement met a bug: {message}")]
    Bug { message: String },
}

fn before(spot: Option<&Spot>) -> String {
    spot.map(|spot| format!("{}: ", spot.place)).unwrap_or_default()
}

fn after(spot: Option<&Spot>) -> String {
    spot.map(|spot| format!("\n{}", spot.excerpt)).unwrap_or_default()
}

fn nearest_text(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean '{name}'?")).unwrap_or_default()
}

/// The one of `names` that `name` was most likely meant to be.
///
/// Chosen: at least half of the letters must agree, so that a suggestion is rarely silly.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    let likeness = |one: &str| normalized_levenshtein(&name, &one.to_lowercase());
    let likely = names.map(|one| (likeness(one), one)).filter(|(likeness, _)| 0.5 <= *likeness);
    let best = likely.min_by(|a, b| {
        let by_length = |one: &str| one.len().abs_diff(name.len());
        // Of equally likely names the one of like length, and then the first by name.
        b.0.total_cmp(&a.0).then(by_length(a.1).cmp(&by_length(b.1))).then(a.1.cmp(b.1))
    });
    best.map(|(_, one)| one.to_owned())
}

/// The names a statement may use, for suggestions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) relations: Vec<String>,
    pub(crate) functions: Vec<String>,
}

/// Turns the engine's error into ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "DataFusion's enum grows with its versions")]
pub(crate) fn explain(error: &DataFusionError, source: &Source, names: &Names) -> QueryError {
    let mut error = error;
    loop {
        error = match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => inner,
            DataFusionError::Shared(inner) => inner,
            DataFusionError::Collection(all) if !all.is_empty() => &all[0],
            _ => break,
        };
    }
    let invalid = |message: &str| QueryError::Invalid { message: tidy(message), spot: None };
    match error {
        DataFusionError::SQL(parser, _) => explain_parser(parser, source),
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                unknown_column(field, valid_fields, source)
            }
            other => invalid(&other.to_string()),
        },
        DataFusionError::Plan(message) => explain_plan(message, source, names),
        DataFusionError::NotImplemented(message)
        | DataFusionError::Configuration(message)
        | DataFusionError::Execution(message) => invalid(message),
        DataFusionError::ArrowError(arrow, _) => invalid(&arrow.to_string()),
        DataFusionError::ResourcesExhausted(message) => {
            QueryError::Resources { message: tidy(message) }
        }
        DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ParquetError(_)
        | DataFusionError::External(_) => QueryError::Lake(error.to_string().into()),
        _ => QueryError::Bug { message: tidy(&error.to_string()) },
    }
}

fn unknown_column(field: &Column, valid: &[Column], source: &Source) -> QueryError {
    QueryError::Unknown {
        kind: NameKind::Column,
        name: field.name().to_owned(),
        nearest: nearest(field.name(), valid.iter().map(Column::name)),
        spot: source.find(field.name()),
    }
}

fn explain_parser(error: &ParserError, source: &Source) -> QueryError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            let max = crate::statement::NESTING_MAX;
            return QueryError::TooLarge { what: "nested levels", max, found: max + 1 };
        }
    };
    let (message, place) = match text.rsplit_once(" at Line: ") {
        Some((message, rest)) => (message, place_of(rest)),
        None => (text.as_str(), None),
    };
    QueryError::Syntax {
        spot: source.spot(place.unwrap_or_else(|| source.end())),
        message: tidy(message),
    }
}

/// `3, Column: 14`.
fn place_of(text: &str) -> Option<Place> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Place { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// The planner tells unknown tables and functions by text alone.
fn explain_plan(message: &str, source: &Source, names: &Names) -> QueryError {
    let quoted = message.split('\'').nth(1).map(|name| name.rsplit('.').next().unwrap_or(name));
    let kind = match quoted {
        Some(_) if message.starts_with("table '") && message.ends_with("' not found") => {
            NameKind::Table
        }
        Some(_) if message.starts_with("Invalid function '") => NameKind::Function,
        Some(_) if message.to_lowercase().starts_with("table function '") => NameKind::Function,
        _ => return QueryError::Invalid { message: tidy(message), spot: None },
    };
    let name = quoted.unwrap_or_default();
    let known = if kind == NameKind::Table { &names.relations } else { &names.functions };
    QueryError::Unknown {
        kind,
        name: name.to_owned(),
        nearest: nearest(name, known.iter().map(String::as_str)),
        spot: source.find(name),
    }
}

/// An engine's message in our manner: no full stop at the end, no capital at the start, no prefix.
fn tidy(message: &str) -> String {
    let message = message.strip_prefix("Error during planning: ").unwrap_or(message);
    let message = message.trim_end_matches(['.', '\n']);
    let mut letters = message.chars();
    let first = letters.next();
    let second_is_small = message.chars().nth(1).is_some_and(char::is_lowercase);
    match first {
        Some(first) if second_is_small => first.to_lowercase().chain(letters).collect(),
        _ => message.to_owned(),
    }
}
