//! [`TraceAnswer`]: who answers for an event, through which hops, and how we know.
//!
//! Invariant (T1): a trace is recomputed from the event, the events in whose spans it happened and the
//! registry's changes alone, and shown beside what was stamped on the event when it was read; the two
//! are never mixed.

mod candidates;
mod function;
mod spans;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::{col, lit};
use futures::StreamExt as _;
use lake::{decode_events, decode_registry};
use schemas::{
    AgentId, Amount, CounterpartyId, CredentialId, Currency, EventId, Fact, Outcome, Registry,
    RegistryChange, SponsorId, StampedEvent, Table, Timestamp, Trace, TraceStatus,
};
use serde::Serialize;
use tokio::sync::OnceCell;

pub(crate) use function::TraceFunction;

use crate::error::{NameKind, QueryError};
use crate::format::visible;

/// What happened, in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventSummary {
    pub event_id: EventId,
    pub time: Timestamp,
    pub agent_id: String,
    pub agent_class: Option<String>,
    pub action: String,
    pub counterparty_id: Option<CounterpartyId>,
    pub amount: Option<Amount>,
    pub currency: Option<Currency>,
    pub outcome: Outcome,
    pub credential_id: String,
}

/// What was known when the event was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stamp {
    pub sponsor_id: Option<SponsorId>,
    pub status: TraceStatus,
    /// 0 to 1.
    pub confidence: f32,
    pub ingested_at: Timestamp,
}

/// Who answers for an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceAnswer {
    pub event: EventSummary,
    /// By what was known at this time. Absent: by what is known now.
    pub known_at: Option<Timestamp>,
    pub trace: Trace,
    /// The sponsor's name, by the registry's last word.
    pub sponsor_name: Option<String>,
    /// The sponsor's unit, by the registry's last word.
    pub sponsor_unit: Option<String>,
    pub stamped: Stamp,
}

impl TraceAnswer {
    /// Whether the trace does not reach a sponsor.
    pub fn is_gap(&self) -> bool {
        self.trace.sponsor_id.is_none()
    }

    /// The answer for people: one line for the event, one for each hop, one for the end.
    pub fn render_text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text).expect("writing to a string");
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        let event = &self.event;
        writeln!(text, "event      {} at {}", event.event_id, event.time)?;
        let class =
            event.agent_class.as_ref().map(|class| format!(", class {class}")).unwrap_or_default();
        writeln!(text, "agent      {}{class}", event.agent_id)?;
        write!(text, "action     {}", visible(&event.action))?;
        if let Some(counterparty) = &event.counterparty_id {
            write!(text, " with {counterparty}")?;
        }
        if let (Some(amount), Some(currency)) = (event.amount, &event.currency) {
            write!(text, ", {amount} {currency}")?;
        }
        writeln!(text, ", {}", event.outcome)?;
        writeln!(text, "credential {}\n", event.credential_id)?;
        for (number, hop) in self.trace.hops.iter().enumerate() {
            let since = hop.valid_from.map(|from| format!(", since {from}")).unwrap_or_default();
            writeln!(
                text,
                "{:>3}  {} -> {}\n     by {}, confidence {:.2}{since}, evidence {}",
                number + 1,
                hop.from,
                hop.to,
                hop.method,
                hop.confidence,
                hop.evidence,
            )?;
        }
        if let Some(gap) = &self.trace.gap {
            writeln!(text, "gap  at {}: {}", gap.at, gap.reason)?;
            for candidate in &gap.candidates {
                let sponsor = candidate.sponsor_id.as_ref().map_or("nobody", SponsorId::as_str);
                let (agent, probability) = (&candidate.agent_id, candidate.probability);
                writeln!(
                    text,
                    "     perhaps agent:{agent} of sponsor:{sponsor}, probability {probability:.2}"
                )?;
            }
        }
        self.write_end(text)
    }

    fn write_end(&self, text: &mut String) -> std::fmt::Result {
        let known = self.known_at.map_or_else(|| "now".to_owned(), |at| format!("at {at}"));
        let (trace, stamped) = (&self.trace, &self.stamped);
        let sponsor = trace.sponsor_id.as_ref().map_or("nobody", SponsorId::as_str);
        let mut who: Vec<String> = Vec::new();
        who.extend(self.sponsor_name.as_deref().map(visible));
        who.extend(self.sponsor_unit.as_deref().map(visible));
        let who = if who.is_empty() { String::new() } else { format!(" ({})", who.join(", ")) };
        writeln!(text, "\nsponsor    {sponsor}{who}")?;
        writeln!(
            text,
            "status     {}, confidence {:.2}, by what is known {known}",
            trace.status, trace.confidence
        )?;
        let then = stamped.sponsor_id.as_ref().map_or("nobody", SponsorId::as_str);
        let same = if stamped.sponsor_id == trace.sponsor_id && stamped.status == trace.status {
            "the same"
        } else {
            "different"
        };
        writeln!(
            text,
            "stamped    {then}, {}, confidence {:.2}, when it was read at {}: {same}",
            stamped.status, stamped.confidence, stamped.ingested_at,
        )
    }
}

/// The events and the registry, for traces.
pub(crate) struct Ledger {
    context: SessionContext,
    known: OnceCell<Known>,
}

/// What the registry says, with what it says of sponsors for people.
struct Known {
    registry: Registry,
    sponsors: BTreeMap<SponsorId, Person>,
}

struct Person {
    valid_from: Timestamp,
    name: Option<String>,
    unit: Option<String>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl Ledger {
    pub(crate) fn new(context: SessionContext) -> Self {
        Self { context, known: OnceCell::new() }
    }

    pub(crate) fn register(
        &self,
        table: Table,
        provider: Arc<dyn TableProvider>,
    ) -> Result<(), DataFusionError> {
        self.context.register_table(table.name(), provider).map(drop)
    }

    /// # Errors
    ///
    /// [`QueryError::Unknown`] if there is no such event; [`QueryError::Lake`].
    pub(crate) async fn trace(
        &self,
        event: &EventId,
        known_at: Option<Timestamp>,
    ) -> Result<TraceAnswer, QueryError> {
        let stamped = self.event(event).await?.ok_or_else(|| QueryError::Unknown {
            kind: NameKind::Event,
            name: event.to_string(),
            nearest: None,
            spot: None,
        })?;
        let read = stamped.event;
        let known = self.known.get_or_try_init(|| self.read_registry()).await?;
        let registry = &known.registry;
        let at = known_at.unwrap_or(Timestamp::MAX);
        let mut trace = Trace::of(&read, registry, at);
        if trace.status != TraceStatus::Traced {
            let spans = self.spans_around(&read, at).await?;
            trace = Trace::within(&read, &spans, registry, at);
        }
        if let Some(gap) = trace.gap.as_mut().filter(|gap| !gap.candidates.is_empty()) {
            self.weigh(&read, gap, at).await?;
        }
        let person = trace.sponsor_id.as_ref().and_then(|sponsor| known.sponsors.get(sponsor));
        Ok(TraceAnswer {
            sponsor_name: person.and_then(|person| person.name.clone()),
            sponsor_unit: person.and_then(|person| person.unit.clone()),
            event: EventSummary {
                event_id: read.event_id,
                time: read.time,
                agent_id: read.agent_id.to_string(),
                agent_class: read.agent_class.map(|class| class.to_string()),
                action: read.action,
                counterparty_id: read.counterparty_id,
                amount: read.amount,
                currency: read.currency,
                outcome: read.outcome,
                credential_id: read.credential_id.to_string(),
            },
            known_at,
            trace,
            stamped: Stamp {
                sponsor_id: stamped.sponsor_id,
                status: stamped.trace_status,
                confidence: stamped.trace_confidence,
                ingested_at: stamped.ingested_at,
            },
        })
    }

    /// The agents that may use a credential at a time, and who answers for each.
    ///
    /// # Errors
    ///
    /// [`QueryError::Lake`].
    pub(crate) async fn users_of(
        &self,
        credential: &CredentialId,
        time: Timestamp,
    ) -> Result<Vec<(AgentId, Option<SponsorId>)>, QueryError> {
        let known = self.known.get_or_try_init(|| self.read_registry()).await?;
        Ok(known.registry.users_of(credential, time))
    }

    /// The event of this id; of several, the one that was read first.
    async fn event(&self, id: &EventId) -> Result<Option<StampedEvent>, QueryError> {
        let place = ["topic", "kafka_partition", "kafka_offset", "record_part"];
        let order = place.iter().map(|name| col(*name).sort(true, true)).collect();
        let found = async {
            let events = self.context.table(Table::Events.name()).await?;
            let one = events.filter(col("event_id").eq(lit(id.as_str())))?;
            one.sort(order)?.limit(0, Some(1))?.collect().await
        };
        for batch in found.await.map_err(unreadable)? {
            let events =
                decode_events(&batch).map_err(|error| QueryError::Lake(Box::new(error)))?;
            if let Some(event) = events.into_iter().next() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    async fn read_registry(&self) -> Result<Known, QueryError> {
        let changes = async {
            self.context.table(Table::RegistryChanges.name()).await?.execute_stream().await
        };
        let mut changes = changes.await.map_err(unreadable)?;
        let mut known = Known { registry: Registry::default(), sponsors: BTreeMap::new() };
        while let Some(batch) = changes.next().await {
            let batch = batch.map_err(unreadable)?;
            for change in
                decode_registry(&batch).map_err(|error| QueryError::Lake(Box::new(error)))?
            {
                known.take(change)?;
            }
        }
        Ok(known)
    }
}

impl Known {
    fn take(&mut self, change: RegistryChange) -> Result<(), QueryError> {
        self.registry.apply(&change).map_err(|error| QueryError::Lake(Box::new(error)))?;
        if let Fact::Sponsor { sponsor_id, name, unit, .. } = change.fact {
            let person = Person { valid_from: change.valid_from, name, unit };
            let is_newer = self
                .sponsors
                .get(&sponsor_id)
                .is_none_or(|kept| kept.valid_from <= person.valid_from);
            if is_newer {
                self.sponsors.insert(sponsor_id, person);
            }
        }
        Ok(())
    }
}

fn unreadable(error: DataFusionError) -> QueryError {
    QueryError::Lake(Box::new(error))
}
