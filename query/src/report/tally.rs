//! [`Tally`]: what can be counted from the rows of a pack.
//!
//! Invariant: a function of the rows, whatever their order and however they are cut into batches. Money
//! is counted in hundredths, exactly, of successful events alone, and never across currencies.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _, Decimal128Array, RecordBatch, StringArray};
use arrow::datatypes::{Decimal128Type, Float32Type, TimestampMicrosecondType};
use schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// Money in hundredths, of any size; a text such as `49800.00` in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Cents(pub(crate) i128);

impl From<Cents> for String {
    fn from(Cents(cents): Cents) -> Self {
        let sign = if cents < 0 { "-" } else { "" };
        let cents = cents.unsigned_abs();
        format!("{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl TryFrom<String> for Cents {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| *c != '.').collect();
        let cents = digits.parse().map(Self).ok();
        cents
            .filter(|cents| String::from(*cents) == text)
            .ok_or_else(|| "wanted an amount with two digits after the point".to_owned())
    }
}

/// Events by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcomes {
    pub(crate) success: u64,
    pub(crate) denied: u64,
    pub(crate) error: u64,
}

impl Outcomes {
    pub(crate) const fn all(self) -> u64 {
        self.success + self.denied + self.error
    }

    fn count(&mut self, outcome: &str) {
        match outcome {
            "success" => self.success += 1,
            "denied" => self.denied += 1,
            _ => self.error += 1,
        }
    }
}

/// When something happened first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

impl Span {
    const NEVER: Self = Self { first: Timestamp::MAX, last: Timestamp::EPOCH };

    fn take(&mut self, time: Timestamp) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }
}

/// Money by currency.
pub(crate) type Money = BTreeMap<String, Cents>;

/// What one agent did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentTally {
    pub(crate) class: Option<String>,
    pub(crate) span: Span,
    pub(crate) outcomes: Outcomes,
    pub(crate) money: Money,
    pub(crate) statuses: BTreeMap<String, u64>,
    pub(crate) actions: BTreeMap<String, u64>,
    /// Of its last event, of several the one with the greatest id.
    pub(crate) last_event: String,
}

/// What was done with one counterparty, credential or model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UseTally {
    pub(crate) span: Span,
    pub(crate) events: u64,
    pub(crate) money: Money,
    /// What it is: the kind of a credential.
    pub(crate) kind: Option<String>,
    pub(crate) agents: BTreeMap<String, u64>,
}

/// Upper ends of the classes of confidence, the last one inclusive.
pub(crate) const CONFIDENCES: [f32; 4] = [0.5, 0.8, 0.95, 1.0];

/// What can be counted from rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) span: Option<Span>,
    pub(crate) outcomes: Outcomes,
    pub(crate) money: Money,
    pub(crate) statuses: BTreeMap<String, u64>,
    /// Events by the confidence of their trace: see [`CONFIDENCES`].
    pub(crate) confidences: [u64; 4],
    /// By day, UTC.
    pub(crate) days: BTreeMap<String, Outcomes>,
    pub(crate) agents: BTreeMap<String, AgentTally>,
    pub(crate) counterparties: BTreeMap<String, UseTally>,
    pub(crate) credentials: BTreeMap<String, UseTally>,
    pub(crate) models: BTreeMap<String, u64>,
    pub(crate) formats: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts the rows in. They have the columns of the table `events`.
    pub(crate) fn fold(&mut self, rows: &RecordBatch) {
        let columns = Columns::of(rows);
        for row in 0..rows.num_rows() {
            self.take(&columns, row);
        }
    }

    fn take(&mut self, columns: &Columns<'_>, row: usize) {
        let time = columns.time(row);
        let outcome = columns.outcome.value(row);
        let status = columns.status.value(row);
        let money = columns.money(row);
        self.events += 1;
        self.span.get_or_insert(Span::NEVER).take(time);
        self.outcomes.count(outcome);
        add_money(&mut self.money, money);
        count(&mut self.statuses, status, 1);
        let confidence = columns.confidence.value(row);
        let class = CONFIDENCES.iter().position(|end| confidence < *end);
        self.confidences[class.unwrap_or(CONFIDENCES.len() - 1)] += 1;
        let day = time.to_string();
        self.days.entry(day[..10].to_owned()).or_default().count(outcome);
        count(&mut self.formats, columns.format.value(row), 1);
        if let Some(model) = text(columns.model, row) {
            count(&mut self.models, model, 1);
        }
        let agent = columns.agent.value(row);
        let one = entry(&mut self.agents, agent, AgentTally::new);
        one.take(columns, row);
        add_money(&mut one.money, money);
        if let Some(counterparty) = text(columns.counterparty, row) {
            let kind = text(columns.counterparty_kind, row);
            let one = entry(&mut self.counterparties, counterparty, UseTally::new);
            one.take(time, agent, kind, money);
        }
        let kind = Some(columns.credential_kind.value(row));
        let one = entry(&mut self.credentials, columns.credential.value(row), UseTally::new);
        one.take(time, agent, kind, money);
    }

    /// Events of so much confidence and more.
    pub(crate) fn shared_credentials(&self) -> usize {
        self.credentials.values().filter(|one| 1 < one.agents.len()).count()
    }
}

impl AgentTally {
    fn new() -> Self {
        Self {
            class: None,
            span: Span::NEVER,
            outcomes: Outcomes::default(),
            money: Money::new(),
            statuses: BTreeMap::new(),
            actions: BTreeMap::new(),
            last_event: String::new(),
        }
    }

    fn take(&mut self, columns: &Columns<'_>, row: usize) {
        let (time, event) = (columns.time(row), columns.event.value(row));
        if (self.span.last, self.last_event.as_str()) <= (time, event) {
            event.clone_into(&mut self.last_event);
            self.class = text(columns.class, row).map(str::to_owned);
        }
        self.span.take(time);
        self.outcomes.count(columns.outcome.value(row));
        count(&mut self.statuses, columns.status.value(row), 1);
        count(&mut self.actions, columns.action.value(row), 1);
    }
}

impl UseTally {
    fn new() -> Self {
        Self {
            span: Span::NEVER,
            events: 0,
            money: Money::new(),
            kind: None,
            agents: BTreeMap::new(),
        }
    }

    fn take(
        &mut self,
        time: Timestamp,
        agent: &str,
        kind: Option<&str>,
        money: Option<(&str, i128)>,
    ) {
        self.span.take(time);
        self.events += 1;
        // Of several kinds the greatest: any would do, as long as it is always the same.
        if self.kind.as_deref() < kind {
            self.kind = kind.map(str::to_owned);
        }
        count(&mut self.agents, agent, 1);
        add_money(&mut self.money, money);
    }
}

/// The entry of `key`; most of the time it is there, and needs no text of its own.
fn entry<'a, T>(map: &'a mut BTreeMap<String, T>, key: &str, new: impl Fn() -> T) -> &'a mut T {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), new());
    }
    map.get_mut(key).expect("it was inserted in the line before")
}

fn count(map: &mut BTreeMap<String, u64>, key: &str, events: u64) {
    *entry(map, key, u64::default) += events;
}

fn add_money(map: &mut Money, money: Option<(&str, i128)>) {
    if let Some((currency, cents)) = money {
        entry(map, currency, Cents::default).0 += cents;
    }
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// The columns that are counted.
struct Columns<'a> {
    event: &'a StringArray,
    times: &'a arrow::array::PrimitiveArray<TimestampMicrosecondType>,
    agent: &'a StringArray,
    class: &'a StringArray,
    model: &'a StringArray,
    credential: &'a StringArray,
    credential_kind: &'a StringArray,
    action: &'a StringArray,
    counterparty: &'a StringArray,
    counterparty_kind: &'a StringArray,
    amount: &'a Decimal128Array,
    currency: &'a StringArray,
    outcome: &'a StringArray,
    status: &'a StringArray,
    confidence: &'a arrow::array::PrimitiveArray<Float32Type>,
    format: &'a StringArray,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a RecordBatch) -> Self {
        Self {
            event: rows["event_id"].as_string(),
            times: rows["time"].as_primitive(),
            agent: rows["agent_id"].as_string(),
            class: rows["agent_class"].as_string(),
            model: rows["model"].as_string(),
            credential: rows["credential_id"].as_string(),
            credential_kind: rows["credential_kind"].as_string(),
            action: rows["action"].as_string(),
            counterparty: rows["counterparty_id"].as_string(),
            counterparty_kind: rows["counterparty_kind"].as_string(),
            amount: rows["amount"].as_primitive::<Decimal128Type>(),
            currency: rows["currency"].as_string(),
            outcome: rows["outcome"].as_string(),
            status: rows["trace_status"].as_string(),
            confidence: rows["trace_confidence"].as_primitive(),
            format: rows["format"].as_string(),
        }
    }

    fn time(&self, row: usize) -> Timestamp {
        Timestamp::from_micros(self.times.value(row)).unwrap_or(Timestamp::MAX)
    }

    /// What a successful event moved: currency and hundredths.
    fn money(&self, row: usize) -> Option<(&'a str, i128)> {
        if self.amount.is_null(row) || self.outcome.value(row) != "success" {
            return None;
        }
        Some((text(self.currency, row).unwrap_or("?"), self.amount.value(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_and_read_to_the_last_hundredth() {
        for (cents, text) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (-12_345, "-123.45"),
            (999_999_999_999_999_999_999, "9999999999999999999.99"),
        ] {
            assert_eq!(String::from(Cents(cents)), text);
            assert_eq!(Cents::try_from(text.to_owned()), Ok(Cents(cents)));
        }
        for text in ["", "1", "1.0", "1.000", "1e2.00", "+1.00", "01.00", "-0.00"] {
            assert!(Cents::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
