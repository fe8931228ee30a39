//! A slow ramp: agents (25 if not told) whose hourly counts are negative binomial (mean 20, k = 8, an hour
//! profile) work for 60 days; then each does 2 % more every day. Tells at which multiple of the old
//! volume each is found, and what was found of them before.
//!
//! `cargo run -p detect --release --example drift [PERCENT [AGENTS]]`
//!
//! Source: detection.md section 4, slow drift.

#![expect(clippy::print_stdout, reason = "an example talks to a terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts of a month")]

use detect::{Config, Detector};
use schemas::{
    KafkaPartition, NativeEvent, Offset, Part, Position, StampedEvent, Topic, TraceStatus,
};

const CLEAN_DAYS: i64 = 60;
const RAMP_DAYS: i64 = 60;
/// 2026-03-02, a Monday, 00:00 UTC.
const START: i64 = 1_772_409_600;

/// Source: Steele, Lea, Flood: *Fast splittable pseudorandom number generators* (2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    /// Gamma with shape 8 and this mean, then Poisson: negative binomial with k = 8.
    fn count(&mut self, mean: f64) -> u32 {
        let gamma: f64 = (0..8).map(|_| -self.unit().ln()).sum::<f64>() * mean / 8.0;
        let (mut count, mut product) = (0, self.unit());
        while (-gamma).exp() < product {
            count += 1;
            product *= self.unit();
        }
        count
    }
}

fn main() {
    let percent: f64 =
        std::env::args().nth(1).map_or(2.0, |text| text.parse().expect("percent a day"));
    let agents: u64 =
        std::env::args().nth(2).map_or(25, |text| text.parse().expect("a number of agents"));
    let mut dice = Dice(1);
    let mut detector = Detector::new(Config::default());
    let mut offset = 0;
    let (mut false_alarms, mut of_drift) = (0, 0);
    let mut found = vec![None; usize::try_from(agents).expect("a few")];
    for day in 0..CLEAN_DAYS + RAMP_DAYS {
        let ramp =
            (1.0 + percent / 100.0).powi(i32::try_from((day - CLEAN_DAYS).max(0)).expect("days"));
        let mut events = Vec::new();
        for hour in 8..18_i64 {
            let profile = [0.5, 0.9, 1.2, 1.3, 0.9, 1.0, 1.3, 1.2, 1.0, 0.7];
            for agent in 0..agents {
                let mean = 20.0 * ramp * profile[usize::try_from(hour - 8).expect("ten hours")];
                for _ in 0..dice.count(mean) {
                    let second = START
                        + day * 86_400
                        + hour * 3_600
                        + i64::try_from(dice.next() % 3_600).expect("below an hour");
                    events.push((second, agent));
                }
            }
        }
        events.sort_unstable();
        let events: Vec<StampedEvent> = events
            .into_iter()
            .map(|(second, agent)| {
                offset += 1;
                stamped(second, agent, offset)
            })
            .collect();
        for finding in detector.fold(&events) {
            let is_drift = finding.features.iter().any(|one| one.feature.starts_with("drift"));
            if day < CLEAN_DAYS {
                false_alarms += 1;
                of_drift += u32::from(is_drift);
                continue;
            }
            let name = finding.agent_id.as_str();
            let at: usize = name.trim_start_matches("agent-").parse().expect("a number");
            if is_drift && found[at].is_none() {
                found[at] = Some((day - CLEAN_DAYS, ramp));
            }
        }
    }
    let mut multiples: Vec<f64> = found.iter().flatten().map(|(_, ramp)| *ramp).collect();
    multiples.sort_by(f64::total_cmp);
    let days: Vec<i64> = found.iter().flatten().map(|(day, _)| *day).collect();
    println!("{percent} % a day: found {} of {agents}, on days {days:?}", multiples.len());
    if let Some(median) = multiples.get(multiples.len() / 2) {
        println!("median multiple of the old volume: {median:.2}");
    }
    let clean = agents.cast_signed() * CLEAN_DAYS;
    println!("findings in {clean} clean agent-days: {false_alarms}, of drift {of_drift}");
}

fn stamped(second: i64, agent: u64, offset: i64) -> StampedEvent {
    let position = Position {
        topic: Topic::new("events"),
        partition: KafkaPartition(0),
        offset: Offset(offset),
        part: Part::FIRST,
    };
    let time = schemas::Timestamp::from_micros(second * 1_000_000).expect("a time of this century");
    let native: NativeEvent = serde_json::from_value(serde_json::json!({
        "schema": "surety.credential_event.v1",
        "time": time,
        "agent_id": format!("agent-{agent}"),
        "agent_class": "worker",
        "credential_id": format!("key-{agent}"),
        "credential_kind": "service_account_token",
        "action": "record.update",
        "outcome": "success",
    }))
    .expect("a native event");
    let event = native.into_event(&position).expect("a sound event");
    StampedEvent {
        ingested_at: event.time,
        event,
        position,
        sponsor_id: None,
        trace_status: TraceStatus::Orphaned,
        trace_confidence: 0.0,
        dup_of: None,
    }
}
