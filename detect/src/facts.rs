//! [`Keys`] and [`Facts`]: what the detector reads off an event, as keys and numbers.
//!
//! Invariant: a function of the event and of the time given alone. An unknown verb is a write: to
//! take a write for a read would hide it.

use std::net::IpAddr;
use std::ops::Deref;

use schemas::{AgentClass, CounterpartyId, CredentialEvent, Outcome, Shard, StampedEvent};

use crate::hash::{fingerprint, join, key_of, key_of_bytes};

/// Realms of keys: what a key is the key of.
pub(crate) mod realm {
    pub(crate) const COUNTERPARTY: u64 = 1;
    pub(crate) const READING: u64 = 2;
    pub(crate) const PARENT: u64 = 3;
    pub(crate) const ACTION: u64 = 4;
    pub(crate) const NETWORK: u64 = 5;
    pub(crate) const DEVICE: u64 = 6;
    pub(crate) const MONEY: u64 = 7;
    pub(crate) const REGULAR: u64 = 8;
    pub(crate) const CREDENTIAL: u64 = 9;
    pub(crate) const POOL: u64 = 10;
}

/// Verbs that only look, by their first letter: each event is asked. Source: the reading verbs of the AWS,
/// Kubernetes and GitHub audit logs.
const fn reading_verbs(first: u8) -> &'static [&'static str] {
    match first {
        b'b' => &["browse", "batchget"],
        b'c' => &["check", "count"],
        b'd' => &["describe", "download"],
        b'f' => &["fetch", "find"],
        b'g' => &["get"],
        b'h' => &["head"],
        b'i' => &["inspect"],
        b'l' => &["list", "lookup"],
        b'o' => &["open"],
        b'p' => &["ping", "poll"],
        b'q' => &["query"],
        b'r' => &["read"],
        b's' => &["search", "show", "scan", "status", "select"],
        b'v' => &["view", "verify"],
        b'w' => &["watch"],
        _ => &[],
    }
}

/// Round limits are 1, 2 and 5 times a power of ten; just below is within 5 %.
/// Source: the scenario of design.md section 1 (orders just under 50,000).
const NEAR_LIMIT: f64 = 0.95;
/// Below this, being close to a round number means nothing.
const LIMIT_UNITS_MIN: f64 = 1_000.0;

/// What an event says by itself, whenever it may have been: its texts are read once, where they lie
/// beside those of the events before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// Of the agent, its class (0 if it has none) and who answers for it (0 if nobody does).
    pub agent: u64,
    pub class: u64,
    pub sponsor: u64,
    pub action: u64,
    pub credential: u64,
    pub counterparty: Option<Counterparty>,
    pub network: Option<u64>,
    pub device: Option<u64>,
    pub money: Option<Money>,
    /// Of the model that drives the agent.
    pub model: Option<u32>,
    /// The second that it tells itself.
    pub second: u32,
    /// Of the agent.
    pub shard: u8,
    pub is_write: bool,
    pub is_success: bool,
    /// It failed, but nobody refused it.
    pub is_error: bool,
}

/// An event and its keys, at the time that is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    event: &'a CredentialEvent,
    keys: &'a Keys,
    /// Seconds since 1970.
    pub second: u32,
    pub hour_of_week: usize,
}

impl Deref for Facts<'_> {
    type Target = Keys;

    fn deref(&self) -> &Keys {
        self.keys
    }
}

/// The other side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counterparty {
    pub key: u64,
    /// Of the counterparty and the way of dealing with it: the action of a write, one and the same
    /// for all reads. Its upper bits tell the counterparty, see [`edge_of`].
    pub edge: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Money {
    pub cents: i64,
    pub units: f64,
    pub ln: f64,
    /// Of action and currency: amounts are compared within these.
    pub key: u64,
    /// Of the currency.
    pub currency: u64,
    pub is_near_limit: bool,
}

impl Keys {
    /// Tells the processor that an event's texts are about to be read.
    pub(crate) fn fetch(stamped: &StampedEvent) {
        let event = &stamped.event;
        let texts = [
            Some(event.agent_id.as_str()),
            event.agent_class.as_ref().map(AgentClass::as_str),
            Some(event.credential_id.as_str()),
            Some(event.action.as_str()),
            event.counterparty_id.as_ref().map(CounterpartyId::as_str),
            event.user_agent.as_deref(),
            event.model.as_deref(),
        ];
        for text in texts.into_iter().flatten() {
            crate::prefetch::lines(text.as_ptr().addr(), 1);
        }
    }

    /// Amounts are close to one of `limits`, or to a round number if there are none.
    pub(crate) fn of(stamped: &StampedEvent, limits: &[f64]) -> Self {
        let event = &stamped.event;
        let agent = &event.agent_id;
        let action = key_of_action(&event.action);
        let is_write = !is_read(&event.action);
        let counterparty = event.counterparty_id.as_ref().map(|id| {
            let key = key_of_counterparty(id);
            Counterparty { key, edge: edge_of(key, way_of(action, is_write)) }
        });
        let money = match (event.amount, &event.currency) {
            (Some(amount), Some(currency)) if 0 < amount.as_cents() => {
                let units = amount.as_units();
                let currency = join(realm::MONEY, key_of(currency.as_str()));
                let (ln, key) = (units.ln(), join(currency, action));
                let cents = amount.as_cents();
                let is_near_limit = is_near_limit(units, limits);
                Some(Money { cents, units, ln, key, currency, is_near_limit })
            }
            _ => None,
        };
        Self {
            agent: key_of(agent.as_str()),
            class: event.agent_class.as_ref().map_or(0, |class| key_of(class.as_str())),
            sponsor: stamped.sponsor_id.as_ref().map_or(0, |id| key_of(id.as_str())),
            action,
            credential: join(realm::CREDENTIAL, key_of(event.credential_id.as_str())),
            counterparty,
            network: event.source_ip.map(network_of),
            device: event.user_agent.as_deref().map(device_of),
            money,
            model: event.model.as_deref().map(|model| fingerprint(key_of(model))),
            second: u32::try_from(event.time.as_micros() / 1_000_000).unwrap_or(u32::MAX),
            shard: u8::try_from(Shard::of(agent).index()).expect("there are 64 shards"),
            is_write,
            is_success: event.outcome == Outcome::Success,
            is_error: event.outcome == Outcome::Error,
        }
    }
}

impl<'a> Facts<'a> {
    /// Of an event, of which these are the keys, that is believed to be of this second.
    pub(crate) fn at(event: &'a CredentialEvent, keys: &'a Keys, second: u32) -> Self {
        let hour_of_week = (second as usize / 3_600 + 72) % 168;
        Self { event, keys, second, hour_of_week }
    }

    /// Money that went out: of writes that succeeded. A look at an order moves nothing.
    pub(crate) fn paid(&self) -> Option<&Money> {
        self.money.as_ref().filter(|_| self.is_success && self.is_write)
    }

    /// The key of the counterparty's host, account prefix or kind. Read off when somebody asks, which
    /// is of strangers only.
    pub(crate) fn parent(&self) -> u64 {
        let id = self.event.counterparty_id.as_ref().map_or("", |id| id.as_str());
        parent_of(id, self.event.counterparty_kind.as_deref().unwrap_or(""))
    }

    pub(crate) fn hour(&self) -> u32 {
        self.second / 3_600
    }
}

/// What somebody may speak of: a dealing with a counterparty in one way, a counterparty in any way, an
/// action, or nothing in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub edge: Option<u64>,
    pub counterparty: Option<u64>,
    pub action: Option<u64>,
}

impl Subject {
    pub(crate) fn of_action(action: &str) -> Self {
        Self { action: Some(key_of_action(action)), ..Self::default() }
    }

    pub(crate) fn of_counterparty(id: &CounterpartyId) -> Self {
        Self { counterparty: Some(key_of_counterparty(id)), ..Self::default() }
    }

    pub(crate) fn of_dealing(id: &CounterpartyId, action: &str) -> Self {
        let way = way_of(key_of_action(action), !is_read(action));
        Self { edge: Some(edge_of(key_of_counterparty(id), way)), ..Self::default() }
    }

    pub(crate) fn has_counterparty(&self) -> bool {
        self.edge.is_some() || self.counterparty.is_some()
    }

    /// Whether it is what the event does. Nothing in particular is part of everything.
    pub(crate) fn is_part_of(&self, facts: &Facts<'_>) -> bool {
        let other = facts.counterparty;
        self.edge.is_none_or(|edge| other.is_some_and(|other| other.edge == edge))
            && self.counterparty.is_none_or(|key| other.is_some_and(|other| other.key == key))
            && self.action.is_none_or(|action| facts.action == action)
    }
}

fn key_of_counterparty(id: &CounterpartyId) -> u64 {
    join(realm::COUNTERPARTY, key_of(id.as_str()))
}

fn key_of_action(action: &str) -> u64 {
    join(realm::ACTION, key_of(action))
}

/// The way of dealing with a counterparty: each writing action apart, all reads together.
fn way_of(action: u64, is_write: bool) -> u64 {
    if is_write { action } else { join(realm::READING, 0) }
}

/// The key of a counterparty dealt with in one way. Of the 32 bits that memories keep, the upper 20
/// are the counterparty's, so that it is found whatever the way.
const fn edge_of(counterparty: u64, way: u64) -> u64 {
    (counterparty & !LOWER_BITS) | (join(way, counterparty) & LOWER_BITS)
}

/// The bits of an edge that are not the counterparty's alone.
pub(crate) const LOWER_BITS: u64 = 0x0000_0fff_ffff_ffff;

/// Whether an action only looks: `vendor.read`, `s3:GetObject`, `repos/list_branches`.
fn is_read(action: &str) -> bool {
    let is_before = |byte: &u8| matches!(byte, b'.' | b':' | b'/');
    let verb = &action[action.bytes().rposition(|byte| is_before(&byte)).map_or(0, |at| at + 1)..];
    let Some(first) = verb.bytes().next().map(|first| first.to_ascii_lowercase()) else {
        return false;
    };
    reading_verbs(first).iter().any(|reading| {
        verb.len() >= reading.len()
            && verb.is_char_boundary(reading.len())
            && verb[..reading.len()].eq_ignore_ascii_case(reading)
            // `getObject`, `get_object` and `get`, but not `getaway`.
            && !verb.as_bytes().get(reading.len()).is_some_and(u8::is_ascii_lowercase)
    })
}

fn is_near_limit(units: f64, limits: &[f64]) -> bool {
    if !limits.is_empty() {
        return limits.iter().any(|limit| limit * NEAR_LIMIT <= units && units < *limit);
    }
    if units < LIMIT_UNITS_MIN * NEAR_LIMIT {
        return false;
    }
    let mut power = LIMIT_UNITS_MIN;
    while power * 10.0 <= units {
        power *= 10.0;
    }
    [1.0, 2.0, 5.0, 10.0].iter().any(|step| {
        let limit = step * power;
        limit * NEAR_LIMIT <= units && units < limit
    })
}

/// The /24 of an IPv4 address, the /48 of an IPv6 one.
fn network_of(address: IpAddr) -> u64 {
    let prefix = match address {
        IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => u64::from(u32::from(v4) >> 8),
            None => (u64::try_from(u128::from(v6) >> 80).expect("48 bits")) | (1 << 63),
        },
    };
    join(realm::NETWORK, prefix)
}

/// A user agent without its digits: an upgrade is not another device.
fn device_of(user_agent: &str) -> u64 {
    let (mut kept, mut len) = ([0_u8; 128], 0);
    let mut is_version = false;
    for byte in user_agent.bytes() {
        // A dot after a digit is part of a version.
        is_version = byte.is_ascii_digit() || (is_version && byte == b'.');
        if !is_version && len < kept.len() {
            kept[len] = byte;
            len += 1;
        }
    }
    join(realm::DEVICE, key_of_bytes(&kept[..len]))
}

/// The key of what a counterparty belongs to: an address's or URL's registrable domain, an IBAN's
/// country, else the kind (`vendor` of `vendor:atlas`).
fn parent_of(id: &str, kind: &str) -> u64 {
    let (prefix, rest) = match id.split_once("://") {
        Some((_, rest)) => ("", rest),
        None => id.split_once(':').unwrap_or(("", id)),
    };
    let host = rest.rsplit('@').next().unwrap_or(rest);
    let host = host.split(['/', ':', '?']).next().unwrap_or(host);
    let parent = if let Some(country) = country_of(rest) {
        key_of(country)
    } else if is_host(host) {
        key_of(registrable(host))
    } else {
        join(key_of(kind), key_of(prefix))
    };
    join(realm::PARENT, parent)
}

fn is_host(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    text.contains('.')
        && text.bytes().all(is_allowed)
        && !text.starts_with('.')
        && !text.ends_with('.')
}

/// The last two labels; the last three when the second-last is as short as `co` in `co.uk`. An
/// IPv4 address gives its first three numbers.
fn registrable(host: &str) -> &str {
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at);
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return dots.next().map_or(host, |at| &host[..at]);
    }
    let (last, second, third) = (dots.next(), dots.next(), dots.next());
    let (Some(last), Some(second)) = (last, second) else { return host };
    if last - second <= 4 && host.len() - last == 3 {
        return third.map_or(host, |at| &host[at + 1..]);
    }
    &host[second + 1..]
}

/// The country of an IBAN.
fn country_of(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let is_iban = (15..=34).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes[4..].iter().all(u8::is_ascii_alphanumeric);
    is_iban.then(|| &text[..2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_verbs_are_reads_and_everything_else_is_a_write() {
        for read in ["vendor.read", "s3:GetObject", "list_branches", "pods/list", "kv.get", "Scan"]
        {
            assert!(is_read(read), "{read}");
        }
        for write in ["order.approve", "s3:PutObject", "getaway", "", "payment.send", "ü"] {
            assert!(!is_read(write), "{write}");
        }
    }

    #[test]
    fn amounts_just_below_a_round_limit_are_near_it() {
        for near in [49_800.0, 9_990.0, 999_999.99, 4_999.0, 1_950.0, 980.0] {
            assert!(is_near_limit(near, &[]), "{near}");
        }
        for far in [50_000.0, 47_000.0, 12_345.0, 99.0, 950_000.0 - 1.0] {
            assert!(!is_near_limit(far, &[]), "{far}");
        }
        assert!(
            is_near_limit(740.0, &[750.0, 9_000.0]) && !is_near_limit(9_990.0, &[750.0, 9_000.0])
        );
    }

    #[test]
    fn counterparties_of_one_house_share_a_parent() {
        let same = [
            ("ann@mail.atlas.example", "host:atlas.example"),
            ("https://api.atlas.co.uk/v1", "files.atlas.co.uk"),
            ("vendor:atlas", "vendor:shell-1"),
            ("10.1.2.3", "10.1.2.77"),
            ("GB33BUKB20201555555555", "iban:GB07BUKB20201512345678"),
        ];
        let apart = [("a@atlas.example", "a@shell.example"), ("vendor:a", "tenant:a")];

        for (one, other) in same {
            assert_eq!(parent_of(one, ""), parent_of(other, ""), "{one} {other}");
        }
        for (one, other) in apart {
            assert_ne!(parent_of(one, ""), parent_of(other, ""), "{one} {other}");
        }
    }

    #[test]
    fn an_upgrade_is_not_another_device_and_a_neighbour_not_another_network() {
        assert_eq!(device_of("curl/8.5.0"), device_of("curl/8.12.1"));
        assert_ne!(device_of("curl/8.5.0"), device_of("python-requests/2.31"));
        let [a, b, c] =
            ["10.1.2.3", "::ffff:10.1.2.9", "10.1.3.3"].map(|text| text.parse().unwrap());
        assert_eq!(network_of(a), network_of(b));
        assert_ne!(network_of(a), network_of(c));
    }
}
