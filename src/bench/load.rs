//! [`measure`]: what the detector alone costs: memory of an agent, time of an event, a score, a
//! checkpoint and a restart.
//!
//! Invariant: only the detector's own calls are timed; events are made between them, in one buffer
//! that is there before memory is counted. Everything runs in one thread, but a checkpoint is written
//! by a second one, as in the pipeline. What an event costs is the processor time of that thread, so
//! that it is the same on a busy machine; all other times are those of the clock.
//!
//! The load is the worst case for memory: the next event is one of any agent, so that nothing of it is
//! in a cache.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use detect::{Config, Detector};
use schemas::{
    AgentId, Amount, CredentialEvent, CredentialKind, EventId, Format, KafkaPartition, Offset,
    Offsets, Outcome, Part, Position, StampedEvent, Timestamp, Topic, TraceStatus,
};

use crate::telemetry::Busy;

/// Events of a micro-batch, as in the pipeline.
pub(super) const BATCH: usize = 4_096;
/// Each agent's baseline: so many working days with so many events, before anything is timed. A class
/// is calibrated after seven.
const DAYS: u64 = 9;
const EVENTS_A_DAY: u64 = 4;
/// Events that are asked about before they happen.
const SCORED: usize = 50_000;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) agents: u64,
    pub(crate) events: u64,
    pub(crate) seed: u64,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Resident bytes that the detector took, for each agent.
    pub(crate) bytes_per_agent: f64,
    pub(crate) ns_per_event: f64,
    pub(crate) score_p50: Duration,
    pub(crate) score_p99: Duration,
    pub(crate) checkpoint: Duration,
    pub(crate) checkpoint_bytes: u64,
    /// The longest that folding waited for the checkpoint: for the snapshot, or by how much a batch
    /// took longer than the slowest one in a hundred took before.
    pub(crate) checkpoint_pause: Duration,
    pub(crate) restore: Duration,
    pub(crate) agents: u64,
    /// Of the events that were timed.
    pub(crate) findings: usize,
}

/// # Errors
///
/// What reading `/proc/self/status`, or writing and reading the checkpoint at `path`, failed with.
pub(crate) fn measure(load: Load, path: &Path) -> io::Result<Figures> {
    let mut source = Source::new(load);
    let mut batch: Vec<StampedEvent> = (0..BATCH).map(|_| source.blank.clone()).collect();
    let config = Config::default().with_agents_max(room_for(load.agents));
    let before = resident_bytes()?;
    let mut detector = Detector::new(config.clone());
    source.any(&mut batch, DAYS * EVENTS_A_DAY * load.agents, |events| {
        detector.fold(events);
    });
    let bytes = resident_bytes()?.saturating_sub(before);
    let agents = detector.stats().agents;

    let (mut spent, mut folded) = (Vec::new(), Duration::ZERO);
    let mut findings = 0;
    source.any(&mut batch, load.events, |events| {
        let busy = Busy::now();
        let (found, taken) = timed(|| detector.fold(events));
        folded += busy.elapsed();
        findings += found.len();
        spent.push(taken);
    });
    spent.sort_unstable();
    let slow = spent[spent.len() * 99 / 100];

    let mut asked = Vec::with_capacity(SCORED);
    source.any(&mut batch, SCORED as u64, |events| {
        asked.extend(events.iter().map(|event| timed(|| detector.score(event)).1));
    });
    asked.sort_unstable();

    let (snapshot, taking) = timed(|| detector.snapshot());
    let mut pause = taking;
    let checkpoint = std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let began = Instant::now();
            let mut file = BufWriter::new(File::create(path)?);
            snapshot.write(&Offsets::default(), &mut file)?;
            file.flush()?;
            file.get_ref().sync_all().map(|()| began.elapsed())
        });
        while !writing.is_finished() {
            source.any(&mut batch, BATCH as u64, |events| {
                pause = pause.max(timed(|| detector.fold(events)).1.saturating_sub(slow));
            });
        }
        writing.join().expect("writing a checkpoint does not panic")
    })?;
    drop(detector);
    let (restored, restore) = timed(|| {
        Detector::read_checkpoint(config, BufReader::new(File::open(path)?))
            .map_err(io::Error::other)
    });
    let (restored, _) = restored?;
    assert_eq!(restored.stats().agents, agents, "a checkpoint holds every agent");
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    Ok(Figures {
        bytes_per_agent: bytes as f64 / agents.max(1) as f64,
        ns_per_event: folded.as_nanos() as f64 / load.events.max(1) as f64,
        score_p50: asked[asked.len() / 2],
        score_p99: asked[asked.len() * 99 / 100],
        checkpoint,
        checkpoint_bytes: std::fs::metadata(path)?.len(),
        checkpoint_pause: pause,
        restore,
        agents,
        findings,
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (work(), began.elapsed())
}

/// Room for all of them: a 64th of the agents is more in one shard than in another.
fn room_for(agents: u64) -> u32 {
    u32::try_from(agents + agents / 4 + 65_536).expect("100,000,000 agents at most")
}

/// Bytes of memory that this process has in use.
///
/// Source: proc(5), `VmRSS` of `/proc/self/status`.
pub(super) fn resident_bytes() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok());
    kib.map(|kib: u64| kib * 1_024)
        .ok_or_else(|| io::Error::other("wanted VmRSS in /proc/self/status, found none"))
}

/// Makes events, in the order of time.
struct Source {
    load: Load,
    blank: StampedEvent,
    dice: Dice,
    /// Microseconds since 1970.
    now: i64,
    offset: i64,
}

/// 2026-03-02, a Monday, 00:00 UTC.
const START: i64 = 1_772_409_600_000_000;
const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;
/// Everybody works from eight to four.
const OPENS: i64 = 8 * HOUR;
const WORKS: i64 = 8 * HOUR;

const CLASSES: [&str; 8] =
    ["procurement", "support", "invoice", "deploy", "mail", "research", "billing", "triage"];
/// What an agent does beside looking: half of them change things, half approve payments.
const WRITES: [&str; 2] = ["record.update", "payment.approve"];
/// Counterparties that an agent deals with, of those that its class does.
const OWN: u64 = 2;
const OF_CLASS: u64 = 400;
/// One dealing in so many is with somebody new.
const NEW: u64 = 500;

impl Source {
    fn new(load: Load) -> Self {
        Self { load, blank: blank(), dice: Dice(load.seed), now: START + OPENS, offset: 0 }
    }

    /// Goes on to the next event, the next morning after the last of a day.
    fn pass(&mut self) {
        self.now += WORKS / (EVENTS_A_DAY * self.load.agents).cast_signed().max(1);
        if OPENS + WORKS <= (self.now - START) % DAY {
            self.now += DAY - WORKS;
        }
    }

    /// `count` events of agents drawn evenly.
    fn any(
        &mut self,
        batch: &mut [StampedEvent],
        count: u64,
        mut sink: impl FnMut(&[StampedEvent]),
    ) {
        let mut left = usize::try_from(count).unwrap_or(usize::MAX);
        while 0 < left {
            let count = left.min(batch.len());
            for event in &mut batch[..count] {
                self.pass();
                let agent = self.dice.below(self.load.agents);
                self.write(event, agent);
            }
            sink(&batch[..count]);
            left -= count;
        }
    }

    fn write(&mut self, stamped: &mut StampedEvent, agent: u64) {
        let class = CLASSES[usize::try_from(agent % 8).expect("below eight")];
        let write = WRITES[usize::try_from(agent / 8 % 2).expect("below two")];
        let action = if self.dice.below(5) < 3 { "record.read" } else { write };
        let number = match self.dice.below(NEW) {
            0 => OF_CLASS + self.dice.below(1 << 40),
            _ => (agent.wrapping_mul(0x9e37_79b9) + self.dice.below(OWN)) % OF_CLASS,
        };
        let event = &mut stamped.event;
        event.event_id = EventId::try_from(format!("e-{}", self.offset)).expect("a short name");
        event.time = Timestamp::from_micros(self.now).expect("a time of this century");
        event.agent_id = AgentId::try_from(format!("agent-{class}-{agent}")).expect("a short name");
        event.agent_class = Some(class.to_owned().try_into().expect("a short name"));
        event.credential_id = format!("key-{agent}").try_into().expect("a short name");
        action.clone_into(&mut event.action);
        event.counterparty_id =
            Some(format!("{class}:{number}").as_str().try_into().expect("a short name"));
        let cents = i64::try_from(10_000 + self.dice.below(1_000_000)).expect("a small amount");
        let is_payment = action == "payment.approve";
        event.amount = is_payment.then(|| Amount::from_cents(cents).expect("a small amount"));
        event.currency = is_payment.then(|| "EUR".try_into().expect("a currency"));
        stamped.ingested_at = event.time;
        stamped.position.offset = Offset(self.offset);
        self.offset += 1;
    }
}

fn blank() -> StampedEvent {
    let time = Timestamp::from_micros(START).expect("a time of this century");
    let event = CredentialEvent {
        event_id: EventId::try_from("e".to_owned()).expect("a short name"),
        time,
        agent_id: AgentId::try_from("agent".to_owned()).expect("a short name"),
        agent_class: None,
        agent_instance: None,
        model: Some("model-1".to_owned()),
        session_id: None,
        task_id: None,
        grant_id: None,
        credential_id: "key".to_owned().try_into().expect("a short name"),
        credential_kind: CredentialKind::ServiceAccountToken,
        action: String::new(),
        resource: None,
        resource_kind: None,
        counterparty_id: None,
        counterparty_kind: None,
        amount: None,
        currency: None,
        outcome: Outcome::Success,
        outcome_reason: None,
        source_ip: Some("10.1.2.3".parse().expect("an address")),
        user_agent: Some("agent-runtime/3.1".to_owned()),
        delegation: Vec::new(),
        labels: Vec::new(),
        attributes: schemas::Attributes::default(),
        format: Format::Native,
    };
    StampedEvent {
        ingested_at: time,
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

/// Source: Steele, Lea, Flood: *Fast splittable pseudorandom number generators* (2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
