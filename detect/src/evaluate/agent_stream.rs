//! [`Row`]: a labelled tool call of an agent, and the events that stand for it.
//!
//! Invariant: the label reaches no event.

use schemas::{
    AgentId, Amount, CredentialEvent, CredentialKind, EventId, Format, KafkaPartition, Offset,
    Outcome, Position, StampedEvent, Timestamp, Topic, TraceStatus,
};

use crate::hash::key_of;

/// Rows name seconds of a synthetic clock; they begin on 2026-03-02, a Monday, 00:00 UTC.
const START: f64 = 1_772_409_600.0;

/// Ids have 256 bytes at most; this leaves room for a key.
const NAME_MAX: usize = 200;

/// A line that is no row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("wanted an array of twelve values")]
    Json(#[source] serde_json::Error),
    #[error("wanted names of agent, purpose and counterparties that can be ids")]
    Name,
}

type Fields = (
    f64,
    serde_json::Value,
    String,
    String,
    serde_json::Value,
    String,
    String,
    u8,
    Vec<String>,
    Option<f64>,
    bool,
    i32,
);

/// One tool call.
#[derive(Clone, Debug)]
pub struct Row {
    pub second: f64,
    pub agent: String,
    purpose: String,
    model: String,
    pub session: String,
    pub tool: String,
    pub counterparties: Vec<String>,
    pub amount: Option<f64>,
    is_error: bool,
    /// 1 malicious, 0 benign, anything else unlabelled.
    pub label: i32,
}

impl Row {
    pub(crate) fn read(line: &str) -> Result<Self, RowError> {
        let fields: Fields = serde_json::from_str(line).map_err(RowError::Json)?;
        let (second, agent, purpose, model, session, _, tool, _, counterparties, amount, err, y) =
            fields;
        let row = Self {
            second,
            agent: plain(&agent),
            purpose,
            model,
            session: plain(&session),
            tool,
            counterparties,
            amount,
            is_error: err,
            label: y,
        };
        row.event(0, 0).map(|_| row)
    }

    /// The events of the row that stands at place `at`: one per counterparty.
    pub(crate) fn events(&self, at: usize) -> impl Iterator<Item = StampedEvent> {
        let parts = self.counterparties.len().max(1);
        (0..parts).map(move |part| self.event(at, part).expect("it was made once already"))
    }

    #[expect(clippy::cast_possible_truncation, reason = "microseconds of this century")]
    fn event(&self, at: usize, part: usize) -> Result<StampedEvent, RowError> {
        let time = Timestamp::from_micros(((START + self.second) * 1e6) as i64)
            .map_err(|_| RowError::Name)?;
        let agent = format!("agent-{}", self.agent);
        let other = self.counterparties.get(part).filter(|id| !id.is_empty());
        let cents = self.amount.map(|units| (units * 100.0).round() as i64);
        let amount = cents.and_then(|cents| Amount::from_cents(cents).ok());
        let event = CredentialEvent {
            event_id: EventId::try_from(format!("row-{at}-{part}")).map_err(|_| RowError::Name)?,
            time,
            credential_id: agent.clone().try_into().map_err(|_| RowError::Name)?,
            agent_id: AgentId::try_from(agent).map_err(|_| RowError::Name)?,
            agent_class: Some(self.purpose.clone().try_into().map_err(|_| RowError::Name)?),
            agent_instance: None,
            model: Some(self.model.clone()),
            session_id: self.session.clone().try_into().ok(),
            task_id: None,
            grant_id: None,
            credential_kind: CredentialKind::ServiceAccountToken,
            action: self.tool.clone(),
            resource: None,
            resource_kind: None,
            counterparty_id: other
                .map(|id| id_of(id).try_into())
                .transpose()
                .map_err(|_| RowError::Name)?,
            counterparty_kind: None,
            currency: amount.and_then(|_| "EUR".try_into().ok()),
            amount,
            outcome: if self.is_error { Outcome::Error } else { Outcome::Success },
            outcome_reason: None,
            source_ip: None,
            user_agent: None,
            delegation: Vec::new(),
            labels: Vec::new(),
            attributes: schemas::Attributes::default(),
            format: Format::Native,
        };
        let offset = i64::try_from(at).expect("rows in memory are few");
        let position = Position {
            topic: Topic::new("rows"),
            partition: KafkaPartition(0),
            offset: Offset(offset),
        };
        Ok(StampedEvent {
            ingested_at: time,
            event,
            position,
            sponsor_id: None,
            trace_status: TraceStatus::Orphaned,
            trace_confidence: 0.0,
        })
    }
}

/// A counterparty's name as an id: what an id cannot hold is replaced, what is too long is cut and
/// keeps the key of the whole.
fn id_of(name: &str) -> String {
    let id: String =
        name.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(NAME_MAX).collect();
    if name.len() <= NAME_MAX { id } else { format!("{id}-{:016x}", key_of(name)) }
}

/// A text or number as text.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
