//! [`Row`]: a labelled tool call of an agent, or an edge of a network, and the events that stand for it.
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

/// Whether a line of a series names its columns.
pub(crate) fn is_header(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case("timestamp,value")
}

impl Row {
    /// Reads a value of a series; see [`super::Kind::Series`].
    pub(crate) fn read_value(line: &str, windows: &[(f64, f64)]) -> Result<Self, RowError> {
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
        row.event(0, 0).map(|_| row)
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
    pub(crate) fn read_edge(line: &str) -> Result<Self, RowError> {
        let by_comma: Vec<&str> = line.trim().split(',').collect();
        let by_space: Vec<&str> = line.split_whitespace().collect();
        let (source, target, second, label) = match (&by_comma[..], &by_space[..]) {
            ([source, target, time, label], _) => {
                let label = i32::from(*label != "-" && *label != "0");
                (source, target, minute_of(time).ok_or(RowError::Edge)?, label)
            }
            (_, [source, target, _, second]) => {
                (source, target, second.parse().map_err(|_| RowError::Edge)?, -1)
            }
            _ => return Err(RowError::Edge),
        };
        let row = Self {
            second: second - START,
            agent: (*source).to_owned(),
            purpose: "edge-source".to_owned(),
            model: String::new(),
            session: String::new(),
            tool: "edge.send".to_owned(),
            counterparties: vec![(*target).to_owned()],
            amount: None,
            is_error: false,
            shape: Shape::Edge,
            label,
        };
        row.event(0, 0).map(|_| row)
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
        let edge = Row::read_edge("10.0.0.1,10.0.0.2,07/32/1998-00:01,neptune").unwrap();

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
        let row = Row::read_value("2014-04-01 05:00:00,19.5", &windows).unwrap();
        let amounts: Vec<i64> =
            row.events(0).map(|one| one.event.amount.unwrap().as_cents()).collect();

        assert_eq!((row.label, &amounts[..]), (1, &[205_000, 48_780_487_805][..]));
        assert_eq!(Row::read_value("2014-04-03 05:00:00,-3", &windows).unwrap().label, 0);
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
            assert!(Row::read_edge(line).is_err(), "{line}");
        }
    }
}
