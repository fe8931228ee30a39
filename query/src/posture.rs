//! [`posture`]: the seven figures by which surveys tell how well agents are owned, for one company, and beside
//! them [`hygiene`].
//!
//! Invariant: each figure is one statement over the lake, shown with its answer: whoever doubts a number
//! asks for it alone.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::format::{Destination, Format, write_answer};
use crate::{Engine, QueryError};

/// One figure: so many of so many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    pub name: &'static str,
    /// What is counted, of what.
    pub meaning: &'static str,
    pub numerator: u64,
    pub denominator: u64,
    /// What it is made of.
    pub parts: Vec<(String, u64)>,
    pub sql: &'static str,
}

impl Figure {
    /// In tenths of a per cent, rounded down; `None` of nothing.
    pub fn permille(&self) -> Option<u64> {
        let permille = u128::from(self.numerator) * 1_000;
        let permille = permille.checked_div(u128::from(self.denominator))?;
        u64::try_from(permille).ok()
    }
}

/// Name, meaning, statement. The statement answers one row: numerator, denominator, parts.
const FIGURES: &[[&str; 3]] = &[
    [
        "traceable",
        "actions that lead to a sponsor who was active, of all actions",
        include_str!("posture/traceable.sql"),
    ],
    [
        "inventory",
        "agents that the registry knows, of those active in the 24 hours before the newest event",
        include_str!("posture/inventory.sql"),
    ],
    [
        "static_keys",
        "static keys, of all credentials that were used",
        include_str!("posture/static_keys.sql"),
    ],
    [
        "passwords",
        "passwords, of all credentials that were used",
        include_str!("posture/passwords.sql"),
    ],
    [
        "shared_accounts",
        "credentials that several agents used, of all credentials that were used",
        include_str!("posture/shared_accounts.sql"),
    ],
    [
        "trace_confidence",
        "actions whose trace has a confidence of 0.95 or more, of all actions",
        include_str!("posture/trace_confidence.sql"),
    ],
    [
        "no_removal_policy",
        "agents without an owner or without an end in the registry, of all agents that acted",
        include_str!("posture/no_removal_policy.sql"),
    ],
];

/// Beside them: how much of what is done stands under a permission for the task alone.
const TASK_GRANTS: [&str; 3] = [
    "task_grants",
    "actions under a grant that has an end, of all actions",
    include_str!("posture/task_grants.sql"),
];

const HYGIENE: &str = include_str!("posture/hygiene.sql");

/// How much is wrong in one way: rows of the view `hygiene`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violations {
    pub kind: String,
    /// Credentials, agents or grants.
    pub subjects: u64,
    pub events: u64,
}

/// What hygiene there is, live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hygiene {
    pub task_grants: Figure,
    /// By kind; a kind of which there is nothing is left out.
    pub violations: Vec<Violations>,
}

/// What is wrong with credentials, agents and grants, live.
///
/// # Errors
///
/// [`QueryError`] if the lake cannot be read.
pub async fn hygiene(engine: &Engine) -> Result<Hygiene, QueryError> {
    let mut task_grants = figures(engine, &[TASK_GRANTS]).await?;
    let task_grants = task_grants.pop().expect("one was asked for");
    let (mut answer, mut json) = (engine.sql(HYGIENE).await?, Vec::new());
    let bug = |what: String| QueryError::Bug { message: format!("the hygiene: {what}") };
    write_answer(&mut answer, Format::Json, Destination::File, &mut json)
        .await
        .map_err(|error| bug(error.to_string()))?;
    let violations = serde_json::from_slice(&json).map_err(|error| bug(error.to_string()))?;
    Ok(Hygiene { task_grants, violations })
}

/// The seven figures, live.
///
/// # Errors
///
/// [`QueryError`] if the lake cannot be read.
pub async fn posture(engine: &Engine) -> Result<Vec<Figure>, QueryError> {
    figures(engine, FIGURES).await
}

async fn figures(engine: &Engine, wanted: &[[&'static str; 3]]) -> Result<Vec<Figure>, QueryError> {
    let mut figures = Vec::new();
    for [name, meaning, sql] in wanted {
        let sql = sql.trim_end();
        let (mut answer, mut json) = (engine.sql(sql).await?, Vec::new());
        let bug = |what: String| QueryError::Bug { message: format!("the figure {name}: {what}") };
        write_answer(&mut answer, Format::Json, Destination::File, &mut json)
            .await
            .map_err(|error| bug(error.to_string()))?;
        let rows: Vec<Map<String, Value>> =
            serde_json::from_slice(&json).map_err(|error| bug(error.to_string()))?;
        let row = rows.first().ok_or_else(|| bug("no row".to_owned()))?;
        let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
        let parts = answer.schema();
        let parts = parts.fields().iter().map(|field| field.name().as_str());
        let parts = parts.filter(|part| !["numerator", "denominator"].contains(part));
        figures.push(Figure {
            name,
            meaning,
            numerator: number("numerator"),
            denominator: number("denominator"),
            parts: parts.map(|part| (part.to_owned(), number(part))).collect(),
            sql,
        });
    }
    Ok(figures)
}

#[cfg(test)]
mod tests;
