//! Rows of the table `events`.
//!
//! Plain builders: dictionary builders cost 2.6 times as much and the file gains nothing.

use std::net::IpAddr;

use arrow::array::{
    Array as _, AsArray as _, Decimal128Builder, Float32Builder, ListBuilder, MapBuilder,
    RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Decimal128Type, Float32Type, TimestampMicrosecondType};
use schemas::{
    AgentClass, AgentId, Attributes, CounterpartyId, CredentialEvent, CredentialId, CredentialKind,
    Currency, EventId, Format, GrantId, Offset, Outcome, Part, Position, SessionId, SponsorId,
    StampedEvent, Table, TraceStatus,
};

use super::columns::{
    Columns, MonthText, Numbers, PositionColumns, Positions, Room, RowError, TextLists, Texts,
    append_address, append_list, append_printed, bad, batch, finished, mistyped, money, text_bytes,
    texts, times,
};

/// Rows of `events` while they are collected.
#[derive(Debug)]
pub struct EventRows {
    event_id: StringBuilder,
    time: TimestampMicrosecondBuilder,
    ingested_at: TimestampMicrosecondBuilder,
    agent_id: StringBuilder,
    agent_class: StringBuilder,
    agent_instance: StringBuilder,
    model: StringBuilder,
    session_id: StringBuilder,
    task_id: StringBuilder,
    grant_id: StringBuilder,
    credential_id: StringBuilder,
    credential_kind: StringBuilder,
    action: StringBuilder,
    resource: StringBuilder,
    resource_kind: StringBuilder,
    counterparty_id: StringBuilder,
    counterparty_kind: StringBuilder,
    amount: Decimal128Builder,
    currency: StringBuilder,
    outcome: StringBuilder,
    outcome_reason: StringBuilder,
    source_ip: StringBuilder,
    user_agent: StringBuilder,
    delegation: ListBuilder<StringBuilder>,
    sponsor_id: StringBuilder,
    trace_status: StringBuilder,
    trace_confidence: Float32Builder,
    labels: ListBuilder<StringBuilder>,
    attributes: MapBuilder<StringBuilder, StringBuilder>,
    format: StringBuilder,
    position: PositionColumns,
    month: StringBuilder,
    dup_of: StringBuilder,
    month_text: MonthText,
    /// Bytes of names and values in `attributes`, whose builder does not tell.
    attribute_bytes: usize,
    rows: usize,
}

/// Bytes that a row has beside its texts: times, numbers, and an offset for each text.
const FIXED_BYTES: usize = 200;

/// The same of an attribute: the offsets of its name and its value.
const ATTRIBUTE_FIXED_BYTES: usize = 8;

impl Default for EventRows {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl EventRows {
    pub fn with_capacity(rows: usize) -> Self {
        Self::with_room(Room::Rows(rows))
    }

    /// With room for rows as those that were finished.
    pub fn like(finished: &RecordBatch) -> Self {
        Self::with_room(Room::Like(finished))
    }

    fn with_room(room: Room<'_>) -> Self {
        let rows = room.rows();
        Self {
            event_id: room.texts("event_id"),
            time: times(rows),
            ingested_at: times(rows),
            agent_id: room.texts("agent_id"),
            agent_class: room.texts("agent_class"),
            agent_instance: room.texts("agent_instance"),
            model: room.texts("model"),
            session_id: room.texts("session_id"),
            task_id: room.texts("task_id"),
            grant_id: room.texts("grant_id"),
            credential_id: room.texts("credential_id"),
            credential_kind: room.texts("credential_kind"),
            action: room.texts("action"),
            resource: room.texts("resource"),
            resource_kind: room.texts("resource_kind"),
            counterparty_id: room.texts("counterparty_id"),
            counterparty_kind: room.texts("counterparty_kind"),
            amount: money(rows),
            currency: room.texts("currency"),
            outcome: room.texts("outcome"),
            outcome_reason: room.texts("outcome_reason"),
            source_ip: room.texts("source_ip"),
            user_agent: room.texts("user_agent"),
            delegation: room.text_lists("delegation"),
            sponsor_id: room.texts("sponsor_id"),
            trace_status: room.texts("trace_status"),
            trace_confidence: Float32Builder::with_capacity(rows),
            labels: room.text_lists("labels"),
            attributes: room.text_maps("attributes"),
            format: room.texts("format"),
            position: PositionColumns::with_capacity(rows),
            month: room.texts("month"),
            // Few are copies.
            dup_of: texts(0),
            month_text: MonthText::default(),
            attribute_bytes: 0,
            rows: 0,
        }
    }

    pub fn push(&mut self, stamped: &StampedEvent) {
        let StampedEvent {
            event,
            position,
            ingested_at,
            sponsor_id,
            trace_status,
            trace_confidence,
            dup_of,
        } = stamped;
        self.push_event(event);
        self.position.push(position);
        self.ingested_at.append_value(ingested_at.as_micros());
        self.sponsor_id.append_option(sponsor_id.as_ref());
        self.trace_status.append_value(trace_status.as_str());
        self.trace_confidence.append_value(*trace_confidence);
        self.month.append_value(self.month_text.of(event.time));
        match dup_of {
            Some(_) => append_printed(&mut self.dup_of, stamped.original().expect("it is a copy")),
            None => self.dup_of.append_null(),
        }
        self.rows += 1;
    }

    fn push_event(&mut self, event: &CredentialEvent) {
        self.event_id.append_value(&event.event_id);
        self.time.append_value(event.time.as_micros());
        self.agent_id.append_value(&event.agent_id);
        self.agent_class.append_option(event.agent_class.as_ref());
        self.agent_instance.append_option(event.agent_instance.as_ref());
        self.model.append_option(event.model.as_ref());
        self.session_id.append_option(event.session_id.as_ref());
        self.task_id.append_option(event.task_id.as_ref());
        self.grant_id.append_option(event.grant_id.as_ref());
        self.credential_id.append_value(&event.credential_id);
        self.credential_kind.append_value(event.credential_kind.as_str());
        self.action.append_value(&event.action);
        self.resource.append_option(event.resource.as_ref());
        self.resource_kind.append_option(event.resource_kind.as_ref());
        self.counterparty_id.append_option(event.counterparty_id.as_ref());
        self.counterparty_kind.append_option(event.counterparty_kind.as_ref());
        self.amount.append_option(event.amount.map(|amount| i128::from(amount.as_cents())));
        self.currency.append_option(event.currency.as_ref().map(Currency::as_str));
        self.outcome.append_value(event.outcome.as_str());
        self.outcome_reason.append_option(event.outcome_reason.as_ref());
        match event.source_ip {
            Some(address) => append_address(&mut self.source_ip, address),
            None => self.source_ip.append_null(),
        }
        self.user_agent.append_option(event.user_agent.as_ref());
        append_list(&mut self.delegation, event.delegation.iter().map(AgentId::as_str));
        append_list(&mut self.labels, event.labels.iter().map(String::as_str));
        for (name, value) in event.attributes.iter() {
            self.attributes.keys().append_value(name);
            self.attributes.values().append_value(value);
            self.attribute_bytes += ATTRIBUTE_FIXED_BYTES + name.len() + value.len();
        }
        self.attributes.append(true).expect("as many values as keys");
        self.format.append_value(event.format.as_str());
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About how much memory the rows take, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = text_bytes([
            &self.event_id,
            &self.agent_id,
            &self.agent_class,
            &self.agent_instance,
            &self.model,
            &self.session_id,
            &self.task_id,
            &self.grant_id,
            &self.credential_id,
            &self.credential_kind,
            &self.action,
            &self.resource,
            &self.resource_kind,
            &self.counterparty_id,
            &self.counterparty_kind,
            &self.currency,
            &self.outcome,
            &self.outcome_reason,
            &self.source_ip,
            &self.user_agent,
            self.delegation.values_ref(),
            &self.sponsor_id,
            &self.trace_status,
            self.labels.values_ref(),
            &self.format,
            &self.position.topic,
            &self.month,
            &self.dup_of,
        ]);
        self.rows * FIXED_BYTES + texts + self.attribute_bytes
    }

    /// The rows as columns of [`Table::Events`]; none are left here.
    pub fn finish(&mut self) -> RecordBatch {
        (self.rows, self.attribute_bytes) = (0, 0);
        let columns = finished![
            self.event_id,
            self.time,
            self.ingested_at,
            self.agent_id,
            self.agent_class,
            self.agent_instance,
            self.model,
            self.session_id,
            self.task_id,
            self.grant_id,
            self.credential_id,
            self.credential_kind,
            self.action,
            self.resource,
            self.resource_kind,
            self.counterparty_id,
            self.counterparty_kind,
            self.amount,
            self.currency,
            self.outcome,
            self.outcome_reason,
            self.source_ip,
            self.user_agent,
            self.delegation,
            self.sponsor_id,
            self.trace_status,
            self.trace_confidence,
            self.labels,
            self.attributes,
            self.format,
            self.position.topic,
            self.position.partition,
            self.position.offset,
            self.month,
            self.dup_of,
            self.position.part,
        ];
        batch(Table::Events, columns)
    }
}

/// The events of a batch with the columns of [`Table::Events`].
///
/// # Errors
///
/// [`RowError`] for a value that is not one of ours.
pub fn decode_events(batch: &RecordBatch) -> Result<Vec<StampedEvent>, RowError> {
    let mut reader = Reader::of(Columns(batch))?;
    (0..batch.num_rows()).map(|row| reader.stamped(row)).collect()
}

struct Reader<'a> {
    ids: IdTexts<'a>,
    words: WordTexts<'a>,
    plain: PlainTexts<'a>,
    time: Numbers<'a, TimestampMicrosecondType>,
    ingested_at: Numbers<'a, TimestampMicrosecondType>,
    amount: Numbers<'a, Decimal128Type>,
    trace_confidence: Numbers<'a, Float32Type>,
    delegation: TextLists<'a>,
    labels: TextLists<'a>,
    attributes: &'a arrow::array::MapArray,
    position: Positions<'a>,
    dup_of: Texts<'a>,
}

/// Columns of ids.
struct IdTexts<'a> {
    event: Texts<'a>,
    agent: Texts<'a>,
    agent_class: Texts<'a>,
    session: Texts<'a>,
    grant: Texts<'a>,
    credential: Texts<'a>,
    counterparty: Texts<'a>,
    sponsor: Texts<'a>,
}

/// Columns of words out of closed sets.
struct WordTexts<'a> {
    credential_kind: Texts<'a>,
    outcome: Texts<'a>,
    trace_status: Texts<'a>,
    format: Texts<'a>,
    currency: Texts<'a>,
    source_ip: Texts<'a>,
}

/// Columns of texts without rules.
struct PlainTexts<'a> {
    agent_instance: Texts<'a>,
    model: Texts<'a>,
    task_id: Texts<'a>,
    action: Texts<'a>,
    resource: Texts<'a>,
    resource_kind: Texts<'a>,
    counterparty_kind: Texts<'a>,
    outcome_reason: Texts<'a>,
    user_agent: Texts<'a>,
}

impl<'a> Reader<'a> {
    fn of(columns: Columns<'a>) -> Result<Self, RowError> {
        let attributes = columns.array("attributes")?;
        Ok(Self {
            ids: IdTexts {
                event: columns.texts("event_id")?,
                agent: columns.texts("agent_id")?,
                agent_class: columns.texts("agent_class")?,
                session: columns.texts("session_id")?,
                grant: columns.texts("grant_id")?,
                credential: columns.texts("credential_id")?,
                counterparty: columns.texts("counterparty_id")?,
                sponsor: columns.texts("sponsor_id")?,
            },
            words: WordTexts {
                credential_kind: columns.texts("credential_kind")?,
                outcome: columns.texts("outcome")?,
                trace_status: columns.texts("trace_status")?,
                format: columns.texts("format")?,
                currency: columns.texts("currency")?,
                source_ip: columns.texts("source_ip")?,
            },
            plain: PlainTexts {
                agent_instance: columns.texts("agent_instance")?,
                model: columns.texts("model")?,
                task_id: columns.texts("task_id")?,
                action: columns.texts("action")?,
                resource: columns.texts("resource")?,
                resource_kind: columns.texts("resource_kind")?,
                counterparty_kind: columns.texts("counterparty_kind")?,
                outcome_reason: columns.texts("outcome_reason")?,
                user_agent: columns.texts("user_agent")?,
            },
            time: columns.numbers("time")?,
            ingested_at: columns.numbers("ingested_at")?,
            amount: columns.numbers("amount")?,
            trace_confidence: columns.numbers("trace_confidence")?,
            delegation: columns.text_lists("delegation")?,
            labels: columns.text_lists("labels")?,
            attributes: attributes
                .as_map_opt()
                .ok_or_else(|| mistyped("attributes", "maps of text", attributes))?,
            position: Positions::of(columns)?,
            dup_of: columns.texts("dup_of")?,
        })
    }

    fn stamped(&mut self, row: usize) -> Result<StampedEvent, RowError> {
        let position = self.position.get(row)?;
        let original = self.dup_of.maybe(row, |text| original(&position, text))?;
        Ok(StampedEvent {
            event: self.event(row)?,
            position,
            ingested_at: self.ingested_at.time(row)?,
            sponsor_id: self.ids.sponsor.maybe(row, SponsorId::try_from)?,
            trace_status: self.words.trace_status.word(row, TraceStatus::parse)?,
            trace_confidence: self.trace_confidence.plain(row)?,
            dup_of: original,
        })
    }

    fn event(&self, row: usize) -> Result<CredentialEvent, RowError> {
        let Self { ids, words, plain, .. } = self;
        Ok(CredentialEvent {
            event_id: ids.event.one(row, EventId::try_from)?,
            time: self.time.time(row)?,
            agent_id: ids.agent.one(row, AgentId::try_from)?,
            agent_class: ids.agent_class.maybe(row, AgentClass::try_from)?,
            agent_instance: plain.agent_instance.maybe_plain(row),
            model: plain.model.maybe_plain(row),
            session_id: ids.session.maybe(row, SessionId::try_from)?,
            task_id: plain.task_id.maybe_plain(row),
            grant_id: ids.grant.maybe(row, GrantId::try_from)?,
            credential_id: ids.credential.one(row, CredentialId::try_from)?,
            credential_kind: words.credential_kind.word(row, CredentialKind::parse)?,
            action: plain.action.plain(row)?,
            resource: plain.resource.maybe_plain(row),
            resource_kind: plain.resource_kind.maybe_plain(row),
            counterparty_id: ids.counterparty.maybe(row, CounterpartyId::try_from)?,
            counterparty_kind: plain.counterparty_kind.maybe_plain(row),
            amount: self.amount.amount(row)?,
            currency: words.currency.maybe(row, Currency::try_from)?,
            outcome: words.outcome.word(row, Outcome::parse)?,
            outcome_reason: plain.outcome_reason.maybe_plain(row),
            source_ip: words.source_ip.maybe(row, str::parse::<IpAddr>)?,
            user_agent: plain.user_agent.maybe_plain(row),
            delegation: self.delegation.get(row, |text| AgentId::try_from(text))?,
            labels: self.labels.get(row, |text| Ok::<_, String>(text.to_owned()))?,
            attributes: self.attributes(row)?,
            format: words.format.word(row, Format::parse)?,
        })
    }

    fn attributes(&self, row: usize) -> Result<Attributes, RowError> {
        let entries = self.attributes.value(row);
        let (names, values) = (entries.column(0), entries.column(1));
        let (Some(names), Some(values)) =
            (names.as_string_opt::<i32>(), values.as_string_opt::<i32>())
        else {
            return Err(mistyped("attributes", "maps of text to text", names));
        };
        let pairs = (0..entries.len()).map(|at| (names.value(at).into(), values.value(at).into()));
        let map: std::collections::BTreeMap<String, String> = pairs.collect();
        Attributes::try_from(map).map_err(|error| bad("attributes", row, error))
    }
}

/// The place of the one that the event at `position` is a copy of: it stands before it in the same
/// partition, or in the same record.
fn original(position: &Position, text: &str) -> Result<(Offset, Part), String> {
    let place = text.rsplit_once('@').and_then(|(_, place)| {
        let (offset, part) = place.split_once('.').unwrap_or((place, "0"));
        Some((Offset(offset.parse().ok()?), Part(part.parse().ok()?)))
    });
    let before = place.filter(|(offset, part)| {
        let original = Position { offset: *offset, part: *part, ..position.clone() };
        original < *position && original.to_string() == text
    });
    before.ok_or_else(|| format!("wanted a place before {position}, found {text:?}"))
}
