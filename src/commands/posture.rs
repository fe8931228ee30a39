//! `surety posture`: the seven figures and the hygiene, live.
//!
//! Invariant: it writes nothing.

use std::fmt::Write as _;

use query::posture::{Figure, Hygiene, hygiene, posture};
use query::{Engine, Limits};
use serde_json::json;

use super::ask::of_query;
use super::wiring::{self, Locations};
use crate::cli::{Posture, ReportFormat};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Counts and prints the figures.
///
/// # Errors
///
/// A [`Failure`] if the lake cannot be read.
pub(super) async fn run(args: Posture, config: &Config) -> Result<Exit, Failure> {
    let locations = Locations::of(&args.lake, config)?;
    let lake = wiring::open_lake(&locations)?;
    let engine = Engine::open(&lake, Limits::ONE_PERSON).await.map_err(of_query)?;
    let figures = posture(&engine).await.map_err(of_query)?;
    let hygiene = hygiene(&engine).await.map_err(of_query)?;
    let text = match args.format {
        ReportFormat::Json => format!("{:#}\n", as_json(&figures, &hygiene)),
        ReportFormat::Table => as_text(&figures) + &hygiene_as_text(&hygiene),
    };
    terminal::answer(&text)?;
    Ok(Exit::Ok)
}

fn as_json(figures: &[Figure], hygiene: &Hygiene) -> serde_json::Value {
    let figure = |figure: &Figure| {
        let parts: serde_json::Map<String, serde_json::Value> =
            figure.parts.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
        json!({
            "name": figure.name,
            "meaning": figure.meaning,
            "numerator": figure.numerator,
            "denominator": figure.denominator,
            "permille": figure.permille(),
            "parts": parts,
            "sql": figure.sql,
        })
    };
    json!({
        "figures": figures.iter().map(figure).collect::<Vec<_>>(),
        "task_grants": figure(&hygiene.task_grants),
        "hygiene": hygiene.violations,
    })
}

fn hygiene_as_text(hygiene: &Hygiene) -> String {
    let mut text = as_text(std::slice::from_ref(&hygiene.task_grants));
    for one in &hygiene.violations {
        let (kind, subjects, events) = (one.kind.replace('_', " "), one.subjects, one.events);
        writeln!(text, "{subjects:>8}  {kind:<21} {events} events").expect("writing to a string");
    }
    if hygiene.violations.is_empty() {
        text.push_str("          nothing in the view hygiene\n");
    }
    text
}

fn as_text(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        let share = figure.permille().map_or_else(
            || "-".to_owned(),
            |permille| format!("{}.{} %", permille / 10, permille % 10),
        );
        let Figure { name, meaning, numerator, denominator, parts, .. } = figure;
        let name = name.replace('_', " ");
        let parts: Vec<String> = parts
            .iter()
            .map(|(part, count)| format!("{} {count}", part.replace('_', " ")))
            .collect();
        writeln!(text, "{share:>8}  {name:<18} {numerator} of {denominator}\n          {meaning}")
            .expect("writing to a string");
        if !parts.is_empty() {
            writeln!(text, "          {}", parts.join(", ")).expect("writing to a string");
        }
    }
    text
}
