//! `POST /v1/dispositions` and `POST /v1/expectations`: what people tell the detector, as `surety
//! disposition` and `surety expect` keep it.
//!
//! Invariant: as in `guidance.rs`. What was answered with 201 is in the lake; what was refused is not. A
//! refusal repeats no text of the body but an id (S1).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lake::CommitError;
use query::{Encoded, Format};
use schemas::{RegistryChange, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Desk;
use crate::clock;
use crate::guidance::{self, Opinion, Plan};
use crate::http::question;
use crate::http::refusal::Refusal;

const OPINION: &str =
    r#"{"finding_id", "verdict": "benign", "confirmed" or "expected", "by", "note", "until"}"#;
const PLAN: &str = r#"{"agent_id" or "agent_class", "counterparty_id", "action" or "volume_times", "from", "to", "by", "reason"}"#;

type Body = Result<Bytes, BytesRejection>;

pub(super) async fn dispose(State(desk): State<Desk>, headers: HeaderMap, body: Body) -> Response {
    answer("disposition", disposed(&desk, &headers, body).await)
}

pub(super) async fn expect(State(desk): State<Desk>, headers: HeaderMap, body: Body) -> Response {
    answer("expectation", expected(&desk, &headers, body).await)
}

fn answer(kind: &'static str, told: Result<Value, Refusal>) -> Response {
    let (response, outcome) = match told {
        Ok(kept) => ((StatusCode::CREATED, Json(kept)).into_response(), "kept"),
        Err(refusal) => {
            let outcome = refusal.kind();
            (refusal.into_response(), outcome)
        }
    };
    metrics::counter!("surety_words_total", "kind" => kind, "outcome" => outcome).increment(1);
    response
}

async fn disposed(desk: &Desk, headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
    let opinion: Opinion = read(headers, body, OPINION)?;
    let now = clock::now();
    let permit = desk.permit().await?;
    let found = desk.engine().await?.sql(&opinion.statement()).await?;
    let mut encoded = Encoded::new(found, Format::Json)?;
    let mut text = Vec::new();
    while let Some(piece) = encoded.next().await? {
        text.extend(piece);
    }
    drop(permit);
    let rows: Value = serde_json::from_slice(&text).map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", error.to_string())
    })?;
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "unknown", opinion.unknown());
    let finding = rows.get(0).ok_or_else(unknown)?;
    let change = opinion.of_finding(finding, now).map_err(|error| invalid(error.to_string()))?;
    let kept = json!({
        "finding_id": opinion.finding_id, "verdict": opinion.verdict, "by": opinion.by,
        "agent_id": finding["agent_id"], "until": change.valid_to, "recorded_at": now,
    });
    keep(desk, change, now).await?;
    Ok(kept)
}

async fn expected(desk: &Desk, headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
    let plan: Plan = read(headers, body, PLAN)?;
    let now = clock::now();
    let change = plan.change(now).map_err(invalid)?;
    let kept = json!({
        "expected_of": plan.whose(), "from": change.valid_from, "to": change.valid_to,
        "by": plan.by, "recorded_at": now,
    });
    keep(desk, change, now).await?;
    Ok(kept)
}

async fn keep(desk: &Desk, change: RegistryChange, now: Timestamp) -> Result<(), Refusal> {
    let door = &desk.door;
    guidance::keep(change, now, &door.redactor, &door.lake).await.map_err(|error| {
        if let CommitError::Superseded { .. } = error {
            let text = "others are writing the registry: nothing was kept";
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text);
        }
        tracing::warn!(%error, "what a person said could not be kept");
        let text = "the lake cannot be written: nothing is known to be kept";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "lake", text)
    })
}

/// The body, which must be JSON: a web page cannot send that to another origin unasked.
fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body, wanted: &str) -> Result<T, Refusal> {
    let body = body
        .map_err(|rejection| Refusal::new(rejection.status(), "request", rejection.body_text()))?;
    let media_type = question::header_text(headers, header::CONTENT_TYPE).unwrap_or_default();
    if media_type.split(';').next().unwrap_or_default().trim() != "application/json" {
        let json = "wanted a body of type application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request", json));
    }
    serde_json::from_slice(&body).map_err(|error| {
        // The message names the place, and repeats no value.
        let (line, column) = (error.line(), error.column());
        invalid(format!(
            "wanted {wanted}, found something else at line {line}, column {column} of the body"
        ))
    })
}

/// It is JSON, but not what is wanted there.
fn invalid(text: String) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text)
}
