//! [`Company`]: the records of a simulated log, in the order of their time.
//!
//! Invariant: a function of its number and of how many uses it has. Some records hold several events. An
//! agent's records are all in one partition, and so is a copy with the record that it is of. Without the
//! copies the other records are the same, in the same order.

use schemas::{KafkaPartition, Topic};

use super::plan::draw;

/// How many companies there are.
pub(super) const COMPANIES: u64 = 4;

/// Uses of a credential, where the lake is one of Delta and where it is a model: a seed of the latter has
/// commits of fewer records.
pub(super) const USES: usize = 260;
pub(super) const USES_OF_A_MODEL: usize = 36;
/// Those of an attack, at the end.
const ATTACK_MAX: usize = 30;
const AGENTS: u64 = 6;
const PARTITIONS: u64 = 3;
const MINUTES_BETWEEN: u64 = 25;
/// Of so many records one is sent again,
const RECORDS_PER_COPY: usize = 10;
/// within so many others: half a day.
const BEHIND_MAX: u64 = 29;

/// A partition of a topic.
pub(super) type Place = (Topic, KafkaPartition);

/// One record, at its place in the order of time.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) at: usize,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Company {
    /// The records of each partition; the number of a record there is its offset.
    pub(super) log: Vec<(Place, Vec<Written>)>,
    /// How many events are copies.
    pub(super) copies: usize,
}

impl Company {
    pub(super) fn new(number: u64, uses: usize) -> Self {
        Self::of(number, uses, true)
    }

    /// The same whose producers send nothing again.
    pub(super) fn without_copies(number: u64, uses: usize) -> Self {
        Self::of(number, uses, false)
    }

    fn of(number: u64, count: usize, has_copies: bool) -> Self {
        let uses = Topic::new("uses");
        let mut log: Vec<(Place, Vec<Written>)> = (0..PARTITIONS)
            .map(|p| ((uses.clone(), KafkaPartition(i32::try_from(p).unwrap())), Vec::new()))
            .collect();
        log.push(((Topic::new("registry"), KafkaPartition(0)), Vec::new()));
        let registry = log.len() - 1;
        let between_changes = count.min(240) / 4;
        let minutes_between = if count < USES { 5 } else { MINUTES_BETWEEN };
        let (mut copies, mut late) = (0, Vec::new());
        for at in 0..count {
            let below = |what: &str, end: u64| draw(number, (what, at)) % end;
            let is_attack = count - ATTACK_MAX.min(count * 2 / 5) <= at;
            let agent = if is_attack { 0 } else { below("agent", AGENTS) };
            let partition = usize::try_from(agent % PARTITIONS).unwrap();
            let payload = match below("kind", 40) {
                0 => b"not json".to_vec(),
                1 => b"{}".to_vec(),
                2..5 => several(number, at, minutes_between, agent, is_attack),
                _ => used(number, at, minutes_between, agent, is_attack),
            };
            if has_copies && at % RECORDS_PER_COPY == 0 {
                let behind = 1 + usize::try_from(below("behind", BEHIND_MAX)).unwrap();
                late.push((at + behind, partition, payload.clone()));
            }
            log[partition].1.push(Written { at, payload });
            for (_, partition, payload) in late.extract_if(.., |(due, ..)| *due == at) {
                copies += events_in(&payload);
                log[partition].1.push(Written { at, payload });
            }
            if at % between_changes == 5 {
                let change = change(agent, below("sponsor", 3));
                let is_none = at == 5 + between_changes;
                let payload = if is_none { b"no change".to_vec() } else { change };
                log[registry].1.push(Written { at, payload });
            }
        }
        Self { log, copies }
    }

    pub(super) fn partition(&self, place: &Place) -> &[Written] {
        let found = self.log.iter().find(|(known, _)| known == place);
        &found.expect("only these are read").1
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.log.iter().map(|(place, _)| place.clone()).collect()
    }
}

/// How many events there are in a record.
fn events_in(payload: &[u8]) -> usize {
    match payload {
        [b'[', ..] => 2,
        [b'{', b'"', ..] => 1,
        _ => 0,
    }
}

/// Two events in one record, and between them what is none.
fn several(number: u64, at: usize, minutes_between: u64, agent: u64, is_attack: bool) -> Vec<u8> {
    let one = used(number, at, minutes_between, agent, is_attack);
    let one = String::from_utf8(one).expect("it is JSON");
    let other = one.replace(&format!("use-{at}"), &format!("use-{at}-too"));
    let other = other.replace(&format!("shell-{at}"), &format!("shell-{at}-too"));
    format!("[{one}, {{}}, {other}]").into_bytes()
}

fn used(number: u64, at: usize, minutes_between: u64, agent: u64, is_attack: bool) -> Vec<u8> {
    let below = |what: &str, end: u64| draw(number, (what, at)) % end;
    let minutes = u64::try_from(at).unwrap() * minutes_between;
    let time = 1_772_409_600 + minutes * 60 + below("second", 60);
    let time = schemas::Timestamp::from_millis(i64::try_from(time * 1_000).unwrap()).unwrap();
    let actions = ["order.read", "order.list", "vendor.read"];
    let action = actions[usize::try_from(below("action", 3)).unwrap()];
    let mut event = serde_json::json!({
        "schema": "surety.credential_event.v1", "time": time, "event_id": format!("use-{at}"),
        "agent_id": format!("procurement-{agent}"), "agent_class": "procurement",
        "credential_id": format!("key-{agent}"), "credential_kind": "static_key",
        "action": action, "outcome": "success", "counterparty_id": format!("vendor-{}", below("vendor", 5)),
    });
    if is_attack {
        event["action"] = "order.approve".into();
        event["counterparty_id"] = format!("shell-{at}").into();
        event["amount"] = "49900.00".into();
        event["currency"] = "EUR".into();
    }
    event.to_string().into_bytes()
}

fn change(agent: u64, sponsor: u64) -> Vec<u8> {
    let change = serde_json::json!({
        "schema": "surety.registry_change.v1", "kind": "agent",
        "agent_id": format!("procurement-{agent}"), "sponsor_id": format!("sponsor-{sponsor}@example.com"),
        "valid_from": "2026-01-01T00:00:00Z",
    });
    change.to_string().into_bytes()
}
