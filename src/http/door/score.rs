//! `POST /v1/score`: what would be thought of an event that has not happened, for a gateway that can
//! still stop it.
//!
//! Invariant: nothing is learned and nothing is stored. The event is read as one from Kafka is, so
//! that the same event scores the same and no secret in it goes further (S1).

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use ingest::RawRecord;
use schemas::{Finding, KafkaPartition, Offset, Part, Severity, SponsorId, Topic, TraceStatus};
use serde::Serialize;
use tokio::time::Instant;

use super::Desk;
use crate::clock;
use crate::http::refusal::Refusal;
use crate::pipeline::Assessed;

/// How long the loop is waited for: it answers between two micro-batches.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What a gateway is told.
#[derive(Debug, Serialize)]
struct Verdict {
    /// `allow`, or the severity of the finding that it would be.
    decision: &'static str,
    /// Minus decimal logarithms, weighted: higher is rarer.
    score: f64,
    /// False findings expected per agent and day among events at least as unusual.
    false_findings_per_agent_day: f64,
    sponsor_id: Option<SponsorId>,
    trace_status: TraceStatus,
    trace_confidence: f32,
    /// The finding's summary; absent where nothing is unusual enough to be one.
    explanation: Option<String>,
    finding: Option<WouldBe>,
}

/// The finding that it would be. It has no id and no place: it is none yet.
#[derive(Debug, Serialize)]
struct WouldBe {
    detector: schemas::DetectorKind,
    severity: Severity,
    features: Vec<schemas::FeatureShare>,
    maturity: schemas::Maturity,
    money_at_risk: Option<schemas::Amount>,
    currency: Option<schemas::Currency>,
    tags: Vec<String>,
}

impl From<Assessed> for Verdict {
    fn from(assessed: Assessed) -> Self {
        let Assessed { assessment, trace } = assessed;
        let finding = assessment.finding;
        Self {
            decision: finding.as_ref().map_or("allow", |finding| finding.severity.as_str()),
            score: assessment.score.score,
            false_findings_per_agent_day: assessment.score.false_per_agent_day,
            sponsor_id: trace.sponsor_id,
            trace_status: trace.status,
            trace_confidence: trace.confidence,
            explanation: finding.as_ref().map(|finding| finding.summary.clone()),
            finding: finding.map(WouldBe::from),
        }
    }
}

impl From<Finding> for WouldBe {
    fn from(finding: Finding) -> Self {
        Self {
            detector: finding.detector,
            severity: finding.severity,
            features: finding.features,
            maturity: finding.maturity,
            money_at_risk: finding.money_at_risk,
            currency: finding.currency,
            tags: finding.tags,
        }
    }
}

pub(super) async fn score(
    State(desk): State<Desk>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let began = Instant::now();
    let (response, decision) = match verdict(&desk, body).await {
        Ok(verdict) => (Json(&verdict).into_response(), verdict.decision),
        Err(refusal) => {
            let kind = refusal.kind();
            (refusal.into_response(), kind)
        }
    };
    metrics::counter!("surety_scores_total", "decision" => decision).increment(1);
    metrics::histogram!("surety_score_seconds").record(began.elapsed().as_secs_f64());
    response
}

async fn verdict(desk: &Desk, body: Result<Bytes, BytesRejection>) -> Result<Verdict, Refusal> {
    let body = body
        .map_err(|rejection| Refusal::new(rejection.status(), "request", rejection.body_text()))?;
    let topic = Topic::new("score");
    let record = RawRecord {
        topic: &topic,
        partition: KafkaPartition(0),
        offset: Offset::START,
        part: Part::FIRST,
        record_time: None,
        payload: Some(&body),
    };
    let event =
        desk.door.normaliser.normalise_one(&record, clock::now()).map_err(|reject| {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "event", reject.detail)
        })?;
    let not_now = |text| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "starting", text);
    let asker = desk.door.asker.get();
    let asker = asker.ok_or_else(|| not_now("the baselines are being restored"))?;
    match tokio::time::timeout(WAIT_MAX, asker.assess(event, record.position())).await {
        Ok(Some(assessed)) => Ok(assessed.into()),
        Ok(None) => Err(not_now("the service is stopping")),
        Err(_) => Err(Refusal::busy(WAIT_MAX)),
    }
}
