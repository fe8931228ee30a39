//! [`Copies`]: which events are copies of events before them. Producers send again, under new offsets.
//!
//! Invariant (D1): whether an event is a copy is a function of the events of its partition before it, in
//! their order; no batch, restart or move of the partition shows in it. An event is a copy only if its
//! source gave it an id, and all that is kept of it but its place, its time of reading and what the
//! registry knew is equal to the first: whoever sends another act under a known id is judged for it.
//!
//! An id that was made of the record's place cannot come again, so such an event is not compared, and costs
//! nothing. The others are compared by 128 bits of a SHA-256 over [`content`]: nobody finds two contents
//! with one fingerprint, though whoever sends them may choose both. It takes 0.3 us for an event of 450
//! bytes with the processor's SHA instructions.
//!
//! A partition remembers its last [`WINDOW`] events that are no copies: 42 bytes for each, 2.6 MiB when it
//! is full, and 26 bytes in a checkpoint. It belongs to the partition and not to a worker: who takes a
//! partition over has it from the lake's events.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashTable;
use rayon::prelude::*;
use schemas::{
    AgentClass, AgentId, Amount, CounterpartyId, CredentialEvent, Currency, GrantId,
    KafkaPartition, Lapse, Offset, Part, Position, SessionId, StampedEvent, Topic,
};
use sha2::{Digest as _, Sha256};

use crate::pack::{Pack, Unpacker, pack_struct};

/// Events that a partition remembers. A producer gives up sending again after two minutes (Kafka's
/// `delivery.timeout.ms`): that is reached up to 540 events a second and partition; ten minutes up to 109.
pub(crate) const WINDOW: usize = 1 << 16;

/// Longer than most contents.
const CONTENT_BYTES: usize = 1_024;

/// Fewer than this are not worth a second thread.
const EVENTS_PER_TASK_MIN: usize = 128;

/// What two events share only if they are of the same content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    high: u64,
    low: u64,
}

pack_struct!(Fingerprint { high, low });

impl Fingerprint {
    /// `None` for an event that no other can be a copy of: its source gave it no id.
    pub fn of(stamped: &StampedEvent) -> Option<Self> {
        if stamped.position.is_named_by(&stamped.event.event_id) {
            return None;
        }
        let mut bytes = Vec::with_capacity(CONTENT_BYTES);
        content(&stamped.event, &mut bytes);
        let hash = Sha256::digest(&bytes);
        let word = |at: usize| u64::from_le_bytes(hash[at..at + 8].try_into().expect("eight"));
        Some(Self { high: word(0), low: word(8) })
    }
}

/// Everything of an event but what depends on where and when it was read: the labels of lapses, which
/// say what the registry knew then. Each text has its length before it, so no two events share a content.
fn content(event: &CredentialEvent, out: &mut Vec<u8>) {
    let CredentialEvent {
        event_id,
        time,
        agent_id,
        agent_class,
        agent_instance,
        model,
        session_id,
        task_id,
        grant_id,
        credential_id,
        credential_kind,
        action,
        resource,
        resource_kind,
        counterparty_id,
        counterparty_kind,
        amount,
        currency,
        outcome,
        outcome_reason,
        source_ip,
        user_agent,
        delegation,
        labels,
        attributes,
        format,
    } = event;
    for always in [
        event_id.as_str(),
        agent_id.as_str(),
        credential_id.as_str(),
        credential_kind.as_str(),
        action,
        outcome.as_str(),
        format.as_str(),
    ] {
        text(always, out);
    }
    for maybe in [
        agent_class.as_ref().map(AgentClass::as_str),
        agent_instance.as_deref(),
        model.as_deref(),
        session_id.as_ref().map(SessionId::as_str),
        task_id.as_deref(),
        grant_id.as_ref().map(GrantId::as_str),
        resource.as_deref(),
        resource_kind.as_deref(),
        counterparty_id.as_ref().map(CounterpartyId::as_str),
        counterparty_kind.as_deref(),
        currency.as_ref().map(Currency::as_str),
        outcome_reason.as_deref(),
        user_agent.as_deref(),
    ] {
        out.push(u8::from(maybe.is_some()));
        if let Some(one) = maybe {
            text(one, out);
        }
    }
    out.extend(time.as_micros().to_le_bytes());
    out.push(u8::from(amount.is_some()));
    out.extend(amount.map_or(0, Amount::as_cents).to_le_bytes());
    address(*source_ip, out);
    list(delegation.iter().map(AgentId::as_str), out);
    let labels = labels.iter().map(String::as_str);
    list(labels.filter(|label| !label.starts_with(Lapse::PREFIX)), out);
    for (name, value) in attributes.iter() {
        text(name, out);
        text(value, out);
    }
}

fn address(address: Option<IpAddr>, out: &mut Vec<u8>) {
    match address {
        None => out.push(0),
        Some(IpAddr::V4(address)) => {
            out.push(4);
            out.extend(address.octets());
        }
        Some(IpAddr::V6(address)) => {
            out.push(6);
            out.extend(address.octets());
        }
    }
}

fn list<'a>(texts: impl Iterator<Item = &'a str> + Clone, out: &mut Vec<u8>) {
    count(texts.clone().count(), out);
    texts.for_each(|one| text(one, out));
}

fn text(text: &str, out: &mut Vec<u8>) {
    count(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// A byte, for nearly all there are: what is not written is not hashed.
fn count(count: usize, out: &mut Vec<u8>) {
    match u8::try_from(count) {
        Ok(few) if few < u8::MAX => out.push(few),
        Ok(_) | Err(_) => {
            out.push(u8::MAX);
            out.extend((count as u64).to_le_bytes());
        }
    }
}

/// The windows of all partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Copies(BTreeMap<Topic, BTreeMap<KafkaPartition, Window>>);

impl Copies {
    /// Notes on the event whether it is a copy, and remembers it if it is none. `fingerprint` is its own.
    pub(crate) fn mark(&mut self, stamped: &mut StampedEvent, fingerprint: Option<Fingerprint>) {
        let Some(fingerprint) = fingerprint else { return };
        let window = self.window(stamped);
        stamped.dup_of = window.place_of(fingerprint);
        if stamped.dup_of.is_none() {
            window.remember(Seen::of(fingerprint, stamped));
        }
    }

    /// Remembers events that were marked when they were read.
    pub(crate) fn recall(&mut self, events: &[StampedEvent]) {
        let fingerprint =
            |one: &StampedEvent| one.dup_of.is_none().then(|| Fingerprint::of(one)).flatten();
        let mut fingerprints = Vec::new();
        let tasks = events.par_iter().with_min_len(EVENTS_PER_TASK_MIN);
        tasks.map(fingerprint).collect_into_vec(&mut fingerprints);
        for (stamped, fingerprint) in events.iter().zip(fingerprints) {
            let Some(fingerprint) = fingerprint else { continue };
            let window = self.window(stamped);
            // A release that did not look for copies has not marked them.
            if window.place_of(fingerprint).is_none() {
                window.remember(Seen::of(fingerprint, stamped));
            }
        }
    }

    fn window(&mut self, stamped: &StampedEvent) -> &mut Window {
        let (topic, partition) = (&stamped.position.topic, stamped.position.partition);
        if !self.0.contains_key(topic) {
            self.0.insert(topic.clone(), BTreeMap::new());
        }
        self.0.get_mut(topic).expect("it is there now").entry(partition).or_default()
    }
}

impl Pack for Copies {
    fn pack(&self, out: &mut Vec<u8>) {
        let windows = self.0.iter().flat_map(|(topic, of_topic)| {
            of_topic.iter().map(move |(partition, window)| (topic, *partition, window))
        });
        (windows.clone().count() as u64).pack(out);
        for (topic, partition, window) in windows {
            topic.as_str().as_bytes().to_vec().pack(out);
            i64::from(partition.0).pack(out);
            (window.seen.len() as u64).pack(out);
            window.in_order().for_each(|seen| seen.pack(out));
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        let mut copies = Self::default();
        for _ in 0..u64::unpack(input)? {
            let topic = String::from_utf8(Vec::unpack(input)?).ok()?;
            let topic = Topic::try_from(topic).ok()?;
            let partition = KafkaPartition(i32::try_from(i64::unpack(input)?).ok()?);
            let mut window = Window::default();
            for seen in Vec::<Seen>::unpack(input)? {
                let is_new = window.place_of(seen.fingerprint).is_none();
                let last = window.in_order().last();
                let is_later = last.is_none_or(|last| last.place() < seen.place());
                if !is_new || !is_later || window.seen.len() == WINDOW {
                    return None;
                }
                window.remember(seen);
            }
            copies.0.entry(topic).or_default().insert(partition, window);
        }
        Some(copies)
    }
}

/// An event that is no copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    fingerprint: Fingerprint,
    offset: i64,
    part: u16,
}

pack_struct!(Seen { fingerprint, offset, part });

impl Seen {
    fn of(fingerprint: Fingerprint, stamped: &StampedEvent) -> Self {
        let Position { offset, part, .. } = &stamped.position;
        Self { fingerprint, offset: offset.0, part: part.0 }
    }

    /// Where it stands in its partition.
    fn place(&self) -> (Offset, Part) {
        (Offset(self.offset), Part(self.part))
    }
}

/// The last events of a partition that are no copies.
///
/// Invariant: `places` holds the number of each of `seen`, under its fingerprint, and nothing else.
#[derive(Clone, Debug, Default)]
struct Window {
    /// A ring once it is full.
    seen: Vec<Seen>,
    /// Where the oldest stands, once it is full.
    oldest: usize,
    places: HashTable<u32>,
}

impl Window {
    fn place_of(&self, fingerprint: Fingerprint) -> Option<(Offset, Part)> {
        let at = self.places.find(fingerprint.low, |at| self.at(*at).fingerprint == fingerprint)?;
        Some(self.at(*at).place())
    }

    fn at(&self, at: u32) -> &Seen {
        &self.seen[at as usize]
    }

    /// Remembers an event that is not there, and forgets the oldest if it is full.
    fn remember(&mut self, seen: Seen) {
        let low = seen.fingerprint.low;
        let at = if self.seen.len() < WINDOW {
            self.seen.push(seen);
            self.seen.len() - 1
        } else {
            let at = self.oldest;
            let old = std::mem::replace(&mut self.seen[at], seen);
            let place = self.places.find_entry(old.fingerprint.low, |one| *one as usize == at);
            place.expect("each has its place").remove();
            self.oldest = (at + 1) % WINDOW;
            at
        };
        let at = u32::try_from(at).expect("a window has 65,536 places");
        let seen = &self.seen;
        self.places.insert_unique(low, at, |at| seen[*at as usize].fingerprint.low);
    }

    /// From the oldest to the newest.
    fn in_order(&self) -> impl DoubleEndedIterator<Item = &Seen> {
        let (newer, older) = self.seen.split_at(self.oldest);
        older.iter().chain(newer)
    }
}

/// Two are equal if they remember the same in the same order: where the ring begins does not matter.
impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.in_order().eq(other.in_order())
    }
}

#[cfg(test)]
mod tests;
