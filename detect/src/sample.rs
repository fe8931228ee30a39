//! A small company for tests: agents of a few classes at work in sessions, and events made by hand.
//!
//! Invariant: a function of the seed alone.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of a small company"
)]

use schemas::{
    AgentId, Amount, CredentialEvent, CredentialKind, EventId, Format, KafkaPartition, Offset,
    Outcome, Part, Position, StampedEvent, Timestamp, Topic, TraceStatus,
};

/// 2026-03-02, a Monday, 00:00 UTC.
pub(crate) const START: i64 = 1_772_409_600;
pub(crate) const DAY: i64 = 86_400;

/// Source: Steele, Lea, Flood: *Fast splittable pseudorandom number generators* (2014).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// 0 to `end`, small numbers more often.
    pub(crate) fn skewed(&mut self, end: u64) -> u64 {
        ((end as f64) * self.unit().powi(2)) as u64
    }

    /// About normal: mean 0, deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

pub(crate) fn event(agent: &str, class: &str, second: i64, action: &str) -> StampedEvent {
    let event = CredentialEvent {
        event_id: EventId::try_from(format!("{agent}-{second}-{action}")).unwrap(),
        time: Timestamp::from_micros(second * 1_000_000).unwrap(),
        agent_id: AgentId::try_from(agent).unwrap(),
        agent_class: Some(class.to_owned().try_into().unwrap()),
        agent_instance: None,
        model: None,
        session_id: None,
        task_id: None,
        grant_id: None,
        credential_id: format!("key-{agent}").try_into().unwrap(),
        credential_kind: CredentialKind::ServiceAccountToken,
        action: action.to_owned(),
        resource: None,
        resource_kind: None,
        counterparty_id: None,
        counterparty_kind: None,
        amount: None,
        currency: None,
        outcome: Outcome::Success,
        outcome_reason: None,
        source_ip: Some("10.1.2.3".parse().unwrap()),
        user_agent: Some("agent-runtime/3.1".to_owned()),
        delegation: Vec::new(),
        labels: Vec::new(),
        attributes: schemas::Attributes::default(),
        format: Format::Native,
    };
    StampedEvent {
        ingested_at: event.time,
        event,
        position: Position {
            topic: Topic::new("events"),
            partition: KafkaPartition(0),
            offset: Offset(0),
            part: Part::FIRST,
        },
        sponsor_id: None,
        trace_status: TraceStatus::Orphaned,
        trace_confidence: 0.0,
        dup_of: None,
    }
}

pub(crate) fn with(mut stamped: StampedEvent, counterparty: &str) -> StampedEvent {
    stamped.event.counterparty_id = Some(counterparty.try_into().unwrap());
    stamped
}

pub(crate) fn paying(mut stamped: StampedEvent, units: f64) -> StampedEvent {
    let cents = (units * 100.0).round() as i64;
    stamped.event.amount = Some(Amount::from_cents(cents).unwrap());
    stamped.event.currency = Some("EUR".try_into().unwrap());
    stamped
}

const CLASSES: [(&str, &str); 6] = [
    ("procurement", "vendor"),
    ("support", "customer"),
    ("invoice", "account"),
    ("deploy", "cluster"),
    ("mail", "recipient"),
    ("research", "host"),
];

/// One agent's events of one day, in order of time.
fn day_of(dice: &mut Dice, agent: usize, day: i64) -> Vec<StampedEvent> {
    let (class, kind) = CLASSES[agent % CLASSES.len()];
    let name = format!("{class}-agent-{agent}");
    let mut events = Vec::new();
    let is_weekend = (day % 7) >= 5;
    let sessions = if is_weekend { dice.below(2) } else { 2 + dice.below(5) };
    for _ in 0..sessions {
        let mut second = START + day * DAY + 8 * 3_600 + dice.below(10 * 3_600) as i64;
        for _ in 0..2 + dice.below(12) {
            second += 5 + dice.below(90) as i64;
            // Own counterparties, some of them the class's, now and then a new one.
            let other = match dice.below(300) {
                0 => format!("{kind}:{class}-new-{}", dice.below(1_000_000)),
                1..60 => format!("{kind}:{class}-{}", dice.skewed(40)),
                _ => format!("{kind}:{class}-{}", (agent * 7 + dice.skewed(12) as usize) % 60),
            };
            let made = match dice.below(10) {
                0..6 => with(event(&name, class, second, &format!("{kind}.read")), &other),
                6..9 => with(event(&name, class, second, &format!("{class}.update")), &other),
                _ => {
                    let units = (7.5 + 0.6 * dice.normal()).exp();
                    let made = event(&name, class, second, &format!("{class}.approve"));
                    with(paying(made, units), &other)
                }
            };
            let mut made = made;
            if dice.below(80) == 0 {
                made.event.outcome = Outcome::Denied;
            }
            events.push(made);
        }
    }
    events.sort_by_key(|stamped| stamped.event.time);
    events
}

/// Everything that `agents` agents do from the first to the last day, in order of time, in three
/// partitions by agent.
pub(crate) fn company(seed: u64, agents: usize, days: std::ops::Range<i64>) -> Vec<StampedEvent> {
    let mut all = Vec::new();
    for day in days {
        for agent in 0..agents {
            let mut dice = Dice(seed ^ (agent as u64) << 40 ^ (day as u64) << 20);
            all.extend(day_of(&mut dice, agent, day));
        }
    }
    all.sort_by(|a, b| {
        a.event.time.cmp(&b.event.time).then_with(|| a.event.agent_id.cmp(&b.event.agent_id))
    });
    numbered(all)
}

/// Gives each event its place: partition by agent, offset by order.
pub(crate) fn numbered(mut events: Vec<StampedEvent>) -> Vec<StampedEvent> {
    let mut next = [0; 3];
    for stamped in &mut events {
        let text = stamped.event.agent_id.as_str();
        let partition = text.bytes().map(usize::from).sum::<usize>() % 3;
        stamped.position.partition = KafkaPartition(partition as i32);
        stamped.position.offset = Offset(next[partition]);
        next[partition] += 1;
    }
    events
}
