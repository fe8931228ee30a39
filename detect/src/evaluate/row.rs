//! [`Row`]: a labelled tool call of an agent, or an edge of a network, and the events that stand for it.
//!
//! Invariant: the label reaches no event.

use schemas::{
    AgentId, Amount, CredentialEvent, CredentialKind, EventId, Format, KafkaPartition, Offset,
    Outcome, Part, Position, StampedEvent, Timestamp, Topic, TraceStatus,
};

use crate::hash::key_of;

/// Rows name seconds of a synthetic clock; they begin on 2026-03-02, a Monday, 00:00 UTC.
pub(super) const START: f64 = 1_772_409_600.0;

/// Ids have 256 bytes at most; this leaves room for a key.
const NAME_MAX: usize = 200;

/// A line that is no row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("wanted an array of twelve values")]
    Json(#[source] serde_json::Error),
    #[error("wanted source, target and time of an edge")]
    Edge,
    #[error("wanted a time YYYY-MM-DD HH:MM:SS and a value")]
    Value,
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
    shape: Shape,
    /// 1 malicious, 0 benign, anything else unlabelled.
    pub label: i32,
}

/// What stands for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One event for each counterparty.
    Call,
    /// An edge of a network: its target deals with its source as well.
    Edge,
    /// A value: a twin pays its reciprocal.
    Value,
}

/// An edge of a network, as its line names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    /// Since 1970.
    second: f64,
    pub(super) label: i32,
}

/// The latest text of a time and its second: edges of a minute follow each other.
#[derive(Debug, Default)]
pub(super) struct Times {
    text: String,
    second: f64,
}

impl<'a> Edge<'a> {
    pub(super) fn read(line: &'a str, times: &mut Times) -> Result<Self, RowError> {
        let line = line.trim();
        let mut parts = line.split(',');
        if let (Some(source), Some(target), Some(time), Some(label), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        {
            if times.text != time {
                times.second = minute_of(time).ok_or(RowError::Edge)?;
                time.clone_into(&mut times.text);
            }
            let label = i32::from(label != "-" && label != "0");
            return Ok(Self { source, target, second: times.second, label });
        }
        let mut parts = line.split_whitespace();
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(source), Some(target), Some(_), Some(second), None) => {
                let second = second.parse().map_err(|_| RowError::Edge)?;
                Ok(Self { source, target, second, label: -1 })
            }
            _ => Err(RowError::Edge),
        }
    }

    /// On the clock of rows.
    pub(super) fn second(&self) -> f64 {
        self.second - START
    }

    /// Since 1970.
    pub(super) fn minute(&self) -> i64 {
        minute_at(self.second)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "minutes of this century")]
fn minute_at(second: f64) -> i64 {
    (second / 60.0).floor() as i64
}

/// Whether a line of a series names its columns.
pub(crate) fn is_header(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case("timestamp,value")
}

impl Row {
    /// Reads a value of a series, and the value itself; see [`super::Kind::Series`].
    pub(super) fn read_value(line: &str, windows: &[(f64, f64)]) -> Result<(Self, f64), RowError> {
        let (time, value) = line.trim().split_once(',').ok_or(RowError::Value)?;
        let value: f64 = value.trim().parse().map_err(|_| RowError::Value)?;
        let time = Timestamp::parse(&format!("{}Z", time.trim().replacen(' ', "T", 1)));
        let micros = time.map_err(|_| RowError::Value)?.as_micros();
        #[expect(clippy::cast_precision_loss, reason = "microseconds of this century")]
        let second = micros as f64 / 1e6;
        let is_anomalous = windows.iter().any(|(from, to)| (*from..=*to).contains(&second));
        // Amounts are compared by their logarithm, so values around 0 and below are moved above it.
        let amount = if 0.0 <= value { value + 1.0 } else { 1.0 / (1.0 - value) };
        let row = Self {
            second: second - START,
            agent: "series".to_owned(),
            purpose: "series".to_owned(),
            model: String::new(),
            session: String::new(),
            tool: "value.report".to_owned(),
            counterparties: Vec::new(),
            amount: Some(100.0 * amount),
            is_error: false,
            shape: Shape::Value,
            label: i32::from(is_anomalous),
        };
        row.event(0, 0).map(|_| (row, value))
    }

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
            shape: Shape::Call,
            label: y,
        };
        row.event(0, 0).map(|_| row)
    }

    /// Reads an edge; see [`super::Kind::Edges`].
    pub(super) fn read_edge(line: &str, times: &mut Times) -> Result<Self, RowError> {
        let edge = Edge::read(line, times)?;
        let row = Self {
            second: edge.second(),
            agent: edge.source.to_owned(),
            purpose: "edge-source".to_owned(),
            model: String::new(),
            session: String::new(),
            tool: "edge.send".to_owned(),
            counterparties: vec![edge.target.to_owned()],
            amount: None,
            is_error: false,
            shape: Shape::Edge,
            label: edge.label,
        };
        row.event(0, 0).map(|_| row)
    }

    /// The minute of its clock.
    pub(super) fn minute(&self) -> i64 {
        minute_at(self.second + START)
    }

    /// The same edge from its other end, the same value upside down.
    fn reversed(&self) -> Option<Self> {
        Some(match self.shape {
            Shape::Call => return None,
            Shape::Value => Self {
                agent: format!("twin-{}", self.agent),
                // In a range where a hundredth still tells values apart.
                amount: self.amount.map(|amount| 1e12 / amount),
                ..self.clone()
            },
            Shape::Edge => self.other_end(),
        })
    }

    fn other_end(&self) -> Self {
        Self {
            agent: format!("to-{}", self.counterparties[0]),
            purpose: "edge-target".to_owned(),
            counterparties: vec![self.agent.clone()],
            tool: "edge.receive".to_owned(),
            ..self.clone()
        }
    }

    /// The events of the row that stands at place `at`: one per counterparty, and one of the other
    /// end of an edge.
    pub(crate) fn events(&self, at: usize) -> impl Iterator<Item = StampedEvent> {
        let parts = self.counterparties.len().max(1);
        let other_end =
            self.reversed().map(|row| row.event(at, 1).expect("its names are the same"));
        (0..parts)
            .map(move |part| self.event(at, part).expect("it was made once already"))
            .chain(other_end)
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
            model: (!self.model.is_empty()).then(|| self.model.clone()),
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
            part: Part::FIRST,
        };
        Ok(StampedEvent {
            ingested_at: time,
            event,
            position,
            sponsor_id: None,
            trace_status: TraceStatus::Orphaned,
            trace_confidence: 0.0,
            dup_of: None,
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

/// The second of `MM/DD/YYYY-HH:MM`, UTC. A day beyond the end of its month, which the data of 1998
/// has, lies in the next.
fn minute_of(time: &str) -> Option<f64> {
    let (date, clock) = time.split_once('-')?;
    let [month, day, year] = date.split('/').collect::<Vec<_>>().try_into().ok()?;
    let [hour, minute] = clock.split(':').collect::<Vec<_>>().try_into().ok()?;
    let first = Timestamp::parse(&format!("{year}-{month}-01T00:00:00Z")).ok()?;
    let [day, hour, minute] = [day, hour, minute].map(|text| text.parse::<u32>().ok());
    let minutes = (day?.checked_sub(1)? * 24 + hour?) * 60 + minute?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
    let second = (first.as_micros() / 1_000_000) as f64;
    Some(second + 60.0 * f64::from(minutes))
}

/// A text or number as text.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_an_event_per_counterparty_and_an_edge_one_per_end() {
        let call =
            r#"[5.5, 3, "mail", "m-1", 7, "b", "mail.send", 1, ["a b", "c"], null, true, 0]"#;
        let row = Row::read(call).unwrap();
        let events: Vec<StampedEvent> = row.events(0).collect();
        let line = "10.0.0.1,10.0.0.2,07/32/1998-00:01,neptune";
        let edge = Row::read_edge(line, &mut Times::default()).unwrap();

        let others: Vec<_> = events.iter().map(|one| one.event.counterparty_id.clone()).collect();
        assert_eq!(others.len(), 2);
        assert_eq!(others[0].as_ref().unwrap().as_str(), "a_b");
        assert_eq!((row.label, events[0].event.outcome), (0, Outcome::Error));
        assert_eq!((edge.label, edge.events(0).count()), (1, 2));
        assert!((edge.second + START - 901_929_660.0).abs() < 1e-6, "{}", edge.second + START);
    }

    #[test]
    fn a_value_of_a_series_is_paid_and_its_reciprocal_by_a_twin() {
        let windows = [(1_396_310_400.0, 1_396_396_800.0)];
        let (row, value) = Row::read_value("2014-04-01 05:00:00,19.5", &windows).unwrap();
        let amounts: Vec<i64> =
            row.events(0).map(|one| one.event.amount.unwrap().as_cents()).collect();

        assert_eq!((row.label, &amounts[..]), (1, &[205_000, 48_780_487_805][..]));
        assert!((value - 19.5).abs() < 1e-9);
        assert_eq!(Row::read_value("2014-04-03 05:00:00,-3", &windows).unwrap().0.label, 0);
        assert!(is_header("timestamp,value") && !is_header("2014-04-01 05:00:00,19.5"));
        for line in ["", "2014-04-01 05:00:00", "2014-04-01 05:00:00,x", "later,1"] {
            assert!(Row::read_value(line, &[]).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for line in ["", "[1, 2]", "{}", r#"[1,"","","","","b","",0,[],null,false,0]"#] {
            assert!(Row::read(line).is_err(), "{line}");
        }
        for line in ["", "a,b", "a,b,07-01-1998,x", "a,b,07/00/1998-00:00,-"] {
            assert!(Row::read_edge(line, &mut Times::default()).is_err(), "{line}");
        }
    }
}
