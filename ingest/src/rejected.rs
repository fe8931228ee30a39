//! [`Rejected`]: rejects as a source, to be read again.
//!
//! Invariant (E1): each reject has its own number from the start of its plan on, whoever reads it and
//! however often; and the events they become are told by the readers of their own formats, at their own
//! places, so that an event has the id that it would have had at first.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{
    Attributes, CredentialEvent, Format, KafkaPartition, Offset, Offsets, Part, Position, Reject,
    RejectReason, Timestamp, Topic,
};
use serde::{Deserialize, Serialize};

use crate::format::Fault;
use crate::{Normaliser, NotOne, Poll, RawBatch, RawRecord, Redactor, Source, SourceError};

const PARTITION: KafkaPartition = KafkaPartition(0);

/// What stands in front of a reject's bytes, as one line of JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    position: Position,
    record_time: Option<Timestamp>,
    format: Format,
}

/// The rejects of one plan.
#[derive(Debug)]
pub struct Rejected {
    topic: Topic,
    start: Offset,
    /// Where reading goes on.
    next: Option<Offset>,
    payloads: BTreeMap<Offset, Vec<u8>>,
}

impl Rejected {
    /// Rejects with the format that each is read in. The one at index `i` has the number `start + i`;
    /// one that is not there any more has left its number unused.
    pub fn new(start: Offset, rejects: impl IntoIterator<Item = Option<(Reject, Format)>>) -> Self {
        let (mut payloads, mut end) = (BTreeMap::new(), start);
        for one in rejects {
            if let Some((reject, format)) = one {
                payloads.insert(end, payload(&reject, format));
            }
            end = end.next();
        }
        Self { topic: Topic::new(Reject::REPLAY_TOPIC), start, next: None, payloads }
    }

    pub fn topic(&self) -> &Topic {
        &self.topic
    }
}

fn payload(reject: &Reject, format: Format) -> Vec<u8> {
    let head = Head { position: reject.position.clone(), record_time: reject.record_time, format };
    let mut payload = serde_json::to_vec(&head).expect("a head is made of texts and numbers");
    payload.push(b'\n');
    payload.extend_from_slice(&reject.raw);
    payload
}

impl Source for Rejected {
    async fn poll(&mut self, records_max: usize, _wait_max: Duration) -> Result<Poll, SourceError> {
        let Some(from) = self.next else { return Ok(Poll::Idle) };
        let mut batch = RawBatch::default();
        for (offset, payload) in self.payloads.range(from..).take(records_max) {
            let record = RawRecord {
                topic: &self.topic,
                partition: PARTITION,
                offset: *offset,
                part: Part::FIRST,
                record_time: None,
                payload: Some(payload),
            };
            batch.push_from(self.next.unwrap_or(from), &record);
            self.next = Some(offset.next());
        }
        Ok(if batch.is_empty() { Poll::End } else { Poll::Records(batch) })
    }

    /// A plan lands whole: what is between its ends, or beyond them, is another's.
    fn seek(&mut self, offsets: &Offsets) -> Result<(), SourceError> {
        let wanted = offsets.next_of(&self.topic, PARTITION).unwrap_or(Offset::START);
        let is_landed = self.payloads.keys().next_back().is_some_and(|last| last.next() == wanted);
        if wanted != self.start && !is_landed {
            return Err(SourceError::Outrun { topic: self.topic.clone() });
        }
        self.next = Some(wanted);
        Ok(())
    }

    fn committed(&mut self, _offsets: &Offsets) {}
}

/// Reads rejects again, each in its own format.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    readers: BTreeMap<Format, Normaliser>,
}

impl Again {
    pub(crate) fn new(readers: BTreeMap<Format, Normaliser>) -> Self {
        Self { readers }
    }

    /// The event of a reject, which names the reject; or those of one that holds several.
    pub(crate) fn read(
        &self,
        record: &RawRecord<'_>,
        redactor: &Redactor,
        now: Timestamp,
    ) -> Result<CredentialEvent, NotOne> {
        let refused =
            |fault: Fault| NotOne::Reject(fault.into_reject(record, Format::Native, redactor, now));
        let (head, raw) = parts(record.payload.unwrap_or_default()).map_err(refused)?;
        let Some(reader) = self.readers.get(&head.format) else {
            let detail = format!("wanted a reader of the format `{}`, found none", head.format);
            return Err(refused(Fault::bad_field(detail)));
        };
        let Position { topic, partition, offset, part } = &head.position;
        let inner = RawRecord {
            topic,
            partition: *partition,
            offset: *offset,
            part: *part,
            record_time: head.record_time,
            payload: Some(raw),
        };
        let named = |event: CredentialEvent| {
            let attributes = naming(&head.position, &event.attributes);
            CredentialEvent { attributes, ..event }
        };
        match reader.normalise(&inner, now) {
            Ok(event) => Ok(named(event)),
            Err(NotOne::Reject(reject)) => {
                Err(NotOne::Reject(Reject { position: record.position(), ..reject }))
            }
            Err(NotOne::Several(parts)) => {
                let here = |reject: Reject| {
                    let position = Position { part: reject.position.part, ..record.position() };
                    Reject { position, ..reject }
                };
                let parts = parts.into_iter().map(|part| part.map(named).map_err(here));
                Err(NotOne::Several(parts.collect()))
            }
        }
    }
}

fn parts(payload: &[u8]) -> Result<(Head, &[u8]), Fault> {
    let wanted = || Fault::new(RejectReason::NotJson, "wanted a reject's head, found another text");
    let at = memchr::memchr(b'\n', payload).ok_or_else(wanted)?;
    let head = serde_json::from_slice(&payload[..at]).map_err(|_| wanted())?;
    Ok((head, &payload[at + 1..]))
}

/// The attributes with the place of the reject, which always has room.
fn naming(position: &Position, attributes: &Attributes) -> Attributes {
    let mut named = Attributes::default();
    named.insert(Reject::REPLAY_OF, &position.to_string());
    for (name, value) in attributes.iter().filter(|(name, _)| *name != Reject::REPLAY_OF) {
        named.insert(name, value);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(b"a key of the test, longer than 32 bytes")
    }

    fn reject(offset: i64, raw: &str) -> Reject {
        Reject {
            position: Position {
                topic: Topic::new("uses"),
                partition: KafkaPartition(3),
                offset: Offset(offset),
                part: Part::FIRST,
            },
            record_time: None,
            rejected_at: Timestamp::EPOCH,
            format: Format::Native,
            reason: RejectReason::BadField,
            detail: String::new(),
            raw: raw.as_bytes().to_vec(),
            raw_bytes: raw.len() as u64,
        }
    }

    fn offsets(next: i64) -> Offsets {
        let mut offsets = Offsets::default();
        offsets.raise(&Topic::new(Reject::REPLAY_TOPIC), PARTITION, Offset(next));
        offsets
    }

    fn poll(source: &mut Rejected) -> Poll {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(source.poll(10, Duration::ZERO)).unwrap()
    }

    const OKTA: &str = r#"{"published":"2026-03-02T10:00:00Z","eventType":"a","actor":{"id":"jo"},"replay_of":"x"}"#;

    #[test]
    fn a_reject_becomes_the_event_it_would_have_been_and_names_its_place() {
        let mut source = Rejected::new(
            Offset(7),
            [Some((reject(40, OKTA), Format::Okta)), None, Some((reject(41, "{}"), Format::Okta))],
        );
        source.seek(&offsets(7)).unwrap();
        let okta = Normaliser::new(Format::Okta, redactor());
        let again = Normaliser::again(BTreeMap::from([(Format::Okta, okta.clone())]), redactor());

        let Poll::Records(batch) = poll(&mut source) else { panic!("there are records") };

        let places: Vec<i64> = batch.iter().map(|record| record.offset.0).collect();
        assert_eq!(places, [7, 9]);
        let event = again.normalise_one(&batch.get(0), Timestamp::EPOCH).unwrap();
        assert_eq!(event.attributes.get(Reject::REPLAY_OF), Some("uses/3@40"));
        assert_eq!(event.event_id.as_str(), "uses-3-40");
        let refused = again.normalise_one(&batch.get(1), Timestamp::EPOCH).unwrap_err();
        assert_eq!((refused.position.offset, refused.format), (Offset(9), Format::Okta));
        assert!(matches!(poll(&mut source), Poll::End));
    }

    #[test]
    fn one_of_several_becomes_one_and_several_become_several_each_under_its_own_id() {
        let mut part = reject(40, OKTA);
        part.position.part = Part(3);
        let list = format!("[{OKTA},{{}},{OKTA}]");
        let plan = [part, reject(41, &list)].map(|one| Some((one, Format::Okta)));
        let mut source = Rejected::new(Offset(7), plan);
        source.seek(&offsets(7)).unwrap();
        let okta = Normaliser::new(Format::Okta, redactor());
        let again = Normaliser::again(BTreeMap::from([(Format::Okta, okta)]), redactor());

        let Poll::Records(batch) = poll(&mut source) else { panic!("there are records") };

        let named = |event: &CredentialEvent| {
            format!("{} {}", event.event_id, event.attributes.get(Reject::REPLAY_OF).unwrap())
        };
        let one = again.normalise(&batch.get(0), Timestamp::EPOCH).unwrap();
        assert_eq!(named(&one), "uses-3-40.3 uses/3@40.3");
        let several = again.normalise(&batch.get(1), Timestamp::EPOCH).unwrap_err();
        let NotOne::Several(parts) = several else { panic!("{several:?}") };
        let [Ok(first), Err(refused), Ok(last)] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!(named(first), "uses-3-41 uses/3@41");
        assert_eq!(refused.position.to_string(), "rejects.replay/0@8.1");
        assert_eq!(named(last), "uses-3-41.2 uses/3@41");
    }

    #[test]
    fn a_plan_is_read_from_its_start_or_not_at_all() {
        let plan =
            || Rejected::new(Offset(7), [1, 2].map(|at| Some((reject(at, "{}"), Format::Okta))));

        let mut landed = plan();
        landed.seek(&offsets(9)).unwrap();
        assert!(matches!(poll(&mut landed), Poll::End));
        for elsewhere in [0, 6, 8, 10] {
            let outrun = plan().seek(&offsets(elsewhere)).unwrap_err();
            assert!(matches!(outrun, SourceError::Outrun { .. }), "{elsewhere}");
        }
        assert!(matches!(poll(&mut plan()), Poll::Idle), "nothing before it was sought");
    }

    #[test]
    fn attributes_that_are_full_make_room_for_the_place() {
        let mut full = Attributes::default();
        for number in 0..Attributes::ENTRIES_MAX {
            full.insert(&format!("a{number:02}"), "x");
        }
        let named = naming(&reject(1, "").position, &full);

        assert_eq!(named.get(Reject::REPLAY_OF), Some("uses/3@1"));
        assert_eq!(named.iter().len(), Attributes::ENTRIES_MAX);
    }
}
