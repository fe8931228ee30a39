//! [`Draft`]: what a record says, in the record's own words, before it is checked and becomes an event.
//!
//! Invariant: an event comes only from [`Draft::finish`], which bounds every text, and which refuses
//! a record that does not tell agent, action or time. What is optional and does not fit its field is
//! kept as an attribute. It asks for a [`Clean`]: what a draft was made of was looked at as it came.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use schemas::{
    AgentId, Amount, Attributes, CounterpartyId, CredentialEvent, CredentialId, CredentialKind,
    Currency, EventId, InvalidId, InvalidTimestamp, Outcome, RejectReason, SessionId, Timestamp,
};

use super::Fault;
use super::arguments::Stake;
use super::clean::Clean;
use super::json::{Json, is_same_name};
use super::words::snake;
use crate::Redactor;

/// Longest text of a resource, a reason or a program's name, as long as an ARN may be.
const TEXT_BYTES_MAX: usize = 2_048;
const ACTION_BYTES_MAX: usize = 256;
const LABEL_BYTES_MAX: usize = 256;
/// As many as a native event may claim.
const DELEGATION_ENTRIES_MAX: usize = 32;
const LABELS_MAX: usize = 32;
/// No time in any unit has as many digits.
const EXPONENT_END: usize = 20;

/// A text of the record, or one made of such.
pub(super) type Word<'a> = Cow<'a, str>;

/// Where a format has what every event needs, as its rejects name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) agent: &'static str,
    pub(super) action: &'static str,
    pub(super) time: &'static str,
}

/// What a record says.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    needs: Needs,
    pub(super) event_id: Option<Word<'a>>,
    pub(super) time: Option<Timestamp>,
    pub(super) agent: Option<Word<'a>>,
    pub(super) class: Option<Word<'a>>,
    pub(super) instance: Option<Word<'a>>,
    pub(super) model: Option<Word<'a>>,
    pub(super) session: Option<Word<'a>>,
    pub(super) task: Option<Word<'a>>,
    pub(super) grant: Option<Word<'a>>,
    /// Where the record tells none, [`Draft::finish`] names the session's, else the agent's unknown one.
    pub(super) credential: Option<(CredentialKind, Word<'a>)>,
    pub(super) action: Option<Word<'a>>,
    pub(super) resource: Option<Word<'a>>,
    pub(super) resource_kind: Option<Word<'a>>,
    /// Kind and id.
    pub(super) counterparty: Option<(Word<'a>, Word<'a>)>,
    pub(super) money: Option<(Amount, Currency)>,
    pub(super) outcome: Outcome,
    pub(super) outcome_reason: Option<Word<'a>>,
    /// An address, with or without a port; what is none becomes the attribute `source`.
    pub(super) source: Option<Word<'a>>,
    pub(super) user_agent: Option<Word<'a>>,
    /// Nearest first. The agent itself and who is named already are left out.
    pub(super) delegation: Vec<Word<'a>>,
    pub(super) labels: Vec<Word<'a>>,
    attributes: Vec<(Word<'a>, Word<'a>)>,
}

impl<'a> Draft<'a> {
    /// A draft that knows the record's time, which is the first under `times` that is one.
    pub(super) fn new(needs: Needs, record: &Json<'_>, times: &[&str]) -> Result<Self, Fault> {
        Self::timed(needs, record, times, time_of)
    }

    /// The same where times are written in a way that `time_of` reads.
    pub(super) fn timed(
        needs: Needs,
        record: &Json<'_>,
        times: &[&str],
        time_of: fn(&str) -> Result<Timestamp, InvalidTimestamp>,
    ) -> Result<Self, Fault> {
        let mut found = times.iter().filter_map(|path| Some((path, time_of(record.text(path)?))));
        let first = found.next();
        let time = match (first, found.find_map(|(_, time)| time.ok())) {
            (Some((path, Err(error))), None) => {
                return Err(Fault::bad_field(format!("`{path}`: {error}")));
            }
            (Some((_, Ok(time))), _) | (_, Some(time)) => Some(time),
            (None, None) => None,
        };
        Ok(Self {
            needs,
            time,
            event_id: None,
            agent: None,
            class: None,
            instance: None,
            model: None,
            session: None,
            task: None,
            grant: None,
            credential: None,
            action: None,
            resource: None,
            resource_kind: None,
            counterparty: None,
            money: None,
            outcome: Outcome::Success,
            outcome_reason: None,
            source: None,
            user_agent: None,
            delegation: Vec::new(),
            labels: Vec::new(),
            attributes: Vec::new(),
        })
    }

    /// Keeps a value as an attribute if there is one.
    pub(super) fn keep(&mut self, name: impl Into<Word<'a>>, value: Option<impl Into<Word<'a>>>) {
        if let Some(value) = value {
            self.attributes.push((name.into(), value.into()));
        }
    }

    /// Keeps no attribute of this name.
    pub(super) fn drop(&mut self, name: &str) {
        self.attributes.retain(|(kept, _)| !is_same_name(kept, name));
    }

    /// Keeps what stands under each path of `json` as the attribute beside it.
    pub(super) fn keep_each(&mut self, json: &'a Json<'_>, names: &[(&'static str, &str)]) {
        for (name, path) in names {
            self.keep(*name, json.at(path).and_then(Json::told));
        }
    }

    /// Keeps every field of the object `json` under its own name, but for those in `known`.
    pub(super) fn keep_rest(&mut self, json: &'a Json<'_>, known: &[&str]) {
        for (name, value) in json.fields() {
            if !known.iter().any(|known| is_same_name(name, known)) {
                self.keep(name.as_ref(), value.told());
            }
        }
    }

    /// Keeps what else was acted on under its kind, unless it has a place in the event.
    pub(super) fn keep_target(&mut self, kind: &str, name: &'a str) {
        let counterparty = self.counterparty.iter().map(|(_, id)| id);
        let mut places = self.resource.iter().chain(counterparty).chain(&self.delegation);
        if !places.any(|place| **place == *name) {
            self.keep(format!("target_{}", snake(kind)), Some(name));
        }
    }

    /// Takes what was reached: the first that has a name, with its kind.
    pub(super) fn reach(
        &mut self,
        places: impl IntoIterator<Item = (Option<&'a str>, &'static str)>,
    ) {
        let found = places.into_iter().find_map(|(name, kind)| Some((name?, kind)));
        if let Some((name, kind)) = found {
            self.resource = Some(name.into());
            self.resource_kind = Some(kind.into());
        }
    }

    /// Takes amount and counterparty from the arguments of a tool, and keeps these.
    pub(super) fn stake(&mut self, arguments: &'a Json<'_>) {
        self.keep("arguments", arguments.told());
        let Stake { money, counterparty } = Stake::of(arguments);
        self.money = money;
        if let Some((kind, id)) = counterparty {
            self.counterparty = Some((kind.into(), id.into()));
        }
    }

    /// The event.
    ///
    /// A record without a time of its own takes that of its Kafka record, which is as fixed as its
    /// bytes; the attribute `time_from` then says `kafka`.
    pub(super) fn finish(mut self, clean: &Clean<'_>) -> Result<CredentialEvent, Fault> {
        let (needs, record) = (self.needs, clean.raw());
        let Some(agent) = self.agent.take() else {
            let detail = format!("wanted an agent in `{}`, found none", needs.agent);
            return Err(Fault::new(RejectReason::NoAgent, detail));
        };
        let agent_id: AgentId = required(needs.agent, agent)?;
        let action = self.action.take().ok_or_else(|| missing(needs.action))?;
        if ACTION_BYTES_MAX < action.len() {
            let bytes = action.len();
            let detail = format!(
                "`{}`: wanted at most {ACTION_BYTES_MAX} bytes, found {bytes}",
                needs.action
            );
            return Err(Fault::bad_field(detail));
        }
        if self.time.is_none() && record.record_time.is_some() {
            self.keep("time_from", Some("kafka"));
        }
        let time = self.time.or(record.record_time).ok_or_else(|| missing(needs.time))?;
        let session = self.session.take();
        let session_id: Option<SessionId> = self.fitting("session_id", session);
        let (credential_kind, credential_id) = self.credential(&agent_id, session_id.as_ref())?;
        let source_ip = self.source.as_deref().and_then(address_of);
        if source_ip.is_none() {
            let source = self.source.take();
            self.keep("source", source);
        }
        let delegation = self.chain(&agent_id);
        let labels = self.labels.iter().take(LABELS_MAX);
        let labels = labels.map(|label| cut(label, LABEL_BYTES_MAX)).collect();
        let event_id = self.event_id.take();
        let event_id: Option<EventId> = self.fitting("event_id", event_id);
        let agent_class = self.class.take();
        let agent_class = self.fitting("agent_class", agent_class);
        let grant = self.grant.take();
        let (counterparty_kind, counterparty) = self.counterparty.take().unzip();
        let counterparty_id: Option<CounterpartyId> = self.fitting("counterparty", counterparty);
        let text = |word: Option<Word<'_>>| word.map(|word| cut(&word, TEXT_BYTES_MAX));
        Ok(CredentialEvent {
            event_id: event_id.unwrap_or_else(|| record.position().event_id()),
            time,
            agent_id,
            agent_class,
            agent_instance: text(self.instance.take()),
            model: text(self.model.take()),
            session_id,
            task_id: text(self.task.take()),
            grant_id: self.fitting("grant_id", grant),
            credential_id,
            credential_kind,
            action: action.into_owned(),
            resource: text(self.resource.take()),
            resource_kind: text(self.resource_kind.take()),
            counterparty_kind: counterparty_id.as_ref().and(text(counterparty_kind)),
            counterparty_id,
            amount: self.money.map(|(amount, _)| amount),
            currency: self.money.map(|(_, currency)| currency),
            outcome: self.outcome,
            outcome_reason: text(self.outcome_reason.take()),
            source_ip,
            user_agent: text(self.user_agent.take()),
            delegation,
            labels,
            attributes: self.attributes(clean.redactor()),
            format: clean.format(),
        })
    }

    /// The credential that is told, else the session's, else one that stands for what nobody told.
    fn credential(
        &mut self,
        agent: &AgentId,
        session: Option<&SessionId>,
    ) -> Result<(CredentialKind, CredentialId), Fault> {
        if let Some((kind, told)) = self.credential.take() {
            return Ok((kind, required("credential id", told)?));
        }
        if let Some(session) = session
            && let Ok(id) = CredentialId::try_from(format!("session:{session}"))
        {
            return Ok((CredentialKind::Session, id));
        }
        let unknown = format!("unknown:{agent}").into();
        Ok((CredentialKind::Unknown, required("credential id", unknown)?))
    }

    /// Who is claimed to stand behind the agent, each once.
    fn chain(&mut self, agent: &AgentId) -> Vec<AgentId> {
        let mut chain: Vec<AgentId> = Vec::new();
        for word in std::mem::take(&mut self.delegation) {
            if let Ok(name) = AgentId::try_from(word)
                && name != *agent
                && !chain.contains(&name)
                && chain.len() < DELEGATION_ENTRIES_MAX
            {
                chain.push(name);
            }
        }
        chain
    }

    /// `word` as an id; if it cannot be one, it is kept as an attribute.
    fn fitting<T>(&mut self, name: &'static str, word: Option<Word<'a>>) -> Option<T>
    where
        T: for<'w> TryFrom<Word<'w>>,
    {
        let word = word?;
        let id = T::try_from(Cow::Borrowed(word.as_ref())).ok();
        if id.is_none() {
            self.keep(name, Some(word));
        }
        id
    }

    fn attributes(self, redactor: &Redactor) -> Attributes {
        let mut attributes = Attributes::default();
        for (name, value) in self.attributes {
            // An object is JSON now, with its fields' names beside their values.
            let value = redactor.before_cut(&value, Attributes::VALUE_BYTES_MAX);
            attributes.insert(&name, &value);
        }
        attributes
    }
}

fn missing(field: &str) -> Fault {
    Fault::bad_field(format!("wanted field `{field}`, found none"))
}

pub(super) fn required<'a, T>(name: &str, word: Word<'a>) -> Result<T, Fault>
where
    T: TryFrom<Word<'a>, Error = InvalidId>,
{
    T::try_from(word).map_err(|error| Fault::bad_field(format!("`{name}`: {error}")))
}

/// `text`, at most `bytes_max` long.
fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

/// A time: RFC 3339, the same without `T` or offset (then UTC), with `UTC` for it or a blank before it, or a
/// number since 1970 in seconds, milliseconds, microseconds or nanoseconds, which its size tells from 1973 on.
pub(super) fn time_of(text: &str) -> Result<Timestamp, InvalidTimestamp> {
    if let Some(number) = without_exponent(text) {
        return time_of(&number);
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if is_number(whole) && is_number(fraction) {
        let number: i64 = whole.parse().map_err(|_| InvalidTimestamp::OutOfRange)?;
        // As many digits of the fraction as a number of microseconds has.
        let behind = |digits: usize| {
            let digits: String = fraction.chars().chain("000000".chars()).take(digits).collect();
            digits.parse::<i64>().map_err(|_| InvalidTimestamp::OutOfRange)
        };
        return match number {
            0..100_000_000_000 => Timestamp::from_micros(number * 1_000_000 + behind(6)?),
            100_000_000_000..100_000_000_000_000 => {
                Timestamp::from_micros(number * 1_000 + behind(3)?)
            }
            100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_micros(number),
            _ => Timestamp::from_micros(number / 1_000),
        };
    }
    let local = text.strip_suffix(" UTC").unwrap_or(text);
    match Timestamp::parse(local) {
        Err(InvalidTimestamp::NotRfc3339) => match local.rsplit_once(' ') {
            Some((clock, offset)) if offset.starts_with(['+', '-']) => {
                Timestamp::parse(&format!("{clock}{offset}"))
            }
            _ => Timestamp::parse(&format!("{local}Z")),
        },
        parsed => parsed,
    }
}

/// The number of which `text` is the scientific notation, as `1.7724456E9` is of `1772445600.0`.
fn without_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: usize = exponent.parse().ok().filter(|exponent| *exponent < EXPONENT_END)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction:0<exponent$}");
    let is_number = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (before, behind) = digits.split_at_checked(whole.len() + exponent)?;
    is_number.then(|| format!("{before}.{behind}0"))
}

/// An IP address that may have a port, brackets or further hops behind it. The unspecified one, which
/// stands for none, is none.
pub(super) fn address_of(text: &str) -> Option<IpAddr> {
    let first = text.split(',').next()?.trim();
    let bracketed = || first.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || Some(first.parse::<SocketAddr>().ok()?.ip());
    let address: Option<IpAddr> = first.parse().ok().or_else(with_port).or_else(bracketed);
    address.filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_however_exporters_write_it() {
        let wanted = "2022-11-29T00:09:04.380000Z";
        for text in [
            "2022-11-29T00:09:04.38Z",
            "2022-11-29 00:09:04.380",
            "2022-11-29 00:09:04.38 UTC",
            "1.66968054438E9",
            "1.66968054438e+12",
            "2022-11-29T01:09:04.38+01:00",
            "2022-11-29 01:09:04.38 +0100",
            "2022-11-29 00:09:04.38 +0000 UTC",
            "1669680544.38",
            "1669680544380",
            "1669680544380.000999",
            "1669680544380000",
            "1669680544380000000",
        ] {
            assert_eq!(time_of(text).unwrap().to_string(), wanted, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2022-13-01 00:00:00",
            "99999999999999999999",
            "-1",
            "e9",
            "1e99",
            "1e-9",
            "UTC",
        ] {
            assert!(time_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_read_with_port_and_brackets() {
        for (text, wanted) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:35194", Some("192.0.2.1")),
            ("[2001:db8::1]:65123", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("203.0.113.9, 10.0.0.1", Some("203.0.113.9")),
            ("private", None),
            ("0.0.0.0", None),
            ("[::]:443", None),
            ("", None),
        ] {
            assert_eq!(address_of(text).map(|ip| ip.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
