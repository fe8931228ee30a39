//! Attacks of an hour: a stolen key, a skill that leaks, a burst at night.
//!
//! Invariant: foreign addresses are those kept for documentation (RFC 5737), so that no real host
//! is ever named.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use schemas::{Outcome, Timestamp};

use super::{Doing, Intruder, has_static_key, pause};
use crate::class::{RESEARCH, Resource, Rhythm, SUPPORT, Step};
use crate::company::{Company, DAY};
use crate::draw::Draw;
use crate::event::SimulatedEvent;
use crate::party::{Acquaintance, Party, Pool};

const LOOK_AROUND: [Step; 6] = [
    Step::read("identity.read", "identity", Resource::Few("self", 1)),
    Step::read("bucket.list", "bucket", Resource::Few("bucket", 40)),
    Step::read("object.read", "object", Resource::Few("object", 400)),
    Step::read("secret.list", "secret_name", Resource::Few("vault", 6)),
    Step::read("user.list", "directory_account", Resource::Few("directory", 3)),
    Step::read("database.list", "database", Resource::Few("database", 12)),
];

/// 180 reads and lists in about 36 minutes, one in eight denied.
pub(super) fn stolen_key(
    company: &Company,
    start: Timestamp,
    mut draw: Draw,
) -> Vec<SimulatedEvent> {
    let agent = company.victim(start, &mut draw, has_static_key);
    let mut intruder = Intruder::new(company, agent, &mut draw);
    let host = u8::try_from(20 + draw.below(200)).expect("below 220");
    let mut time = start;
    for n in 0..180 {
        let step = if n == 0 { &LOOK_AROUND[0] } else { draw.pick(&LOOK_AROUND) };
        let one = intruder.act(time, step, Doing::new(agent, &mut draw));
        one.event.source_ip = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)));
        one.event.user_agent = Some("python-requests/2.32.3".to_owned());
        one.event.agent_instance = None;
        one.event.task_id = None;
        if draw.below(8) == 0 {
            one.event.outcome = Outcome::Denied;
            one.event.outcome_reason = Some("permission_denied".to_owned());
        }
        time = time.plus(pause(2, 22, &mut draw));
    }
    intruder.events
}

const EXPORT: Step =
    Step::read("customer.export", "customer", Resource::Few("export", 400)).alone();
const READ: Step = Step::read("document.read", "document", Resource::Few("doc", 400)).alone();
const POST: Step = Step::write("http.post", "web_page", Resource::Party);

/// 90 reads in about six minutes, with a post to the foreign host after every sixth.
pub(super) fn exfiltration(
    company: &Company,
    start: Timestamp,
    mut draw: Draw,
) -> Vec<SimulatedEvent> {
    let agent = company.victim(start, &mut draw, |one| matches!(one.class, SUPPORT | RESEARCH));
    let mut intruder = Intruder::new(company, agent, &mut draw);
    let drop = Party { pool: Pool::Site, number: Pool::Site.size() + draw.below(50_000) };
    let mut time = start;
    for n in 1..=90 {
        let read = if agent.class == SUPPORT { &EXPORT } else { &READ };
        let mut with = Doing::new(agent, &mut draw);
        let one = intruder.act(time, read, with);
        one.event.attributes.insert("skill", "thread-summary-plus");
        time = time.plus(pause(1, 6, &mut draw));
        if n % 6 == 0 {
            with.party = Some(drop);
            let one = intruder.act(time, &POST, with);
            one.event.attributes.insert("skill", "thread-summary-plus");
            time = time.plus(pause(1, 4, &mut draw));
        }
    }
    intruder.events
}

/// The writes of the agent's first flow, a hundred of them in about 20 minutes.
///
/// Nothing is new but the hour and the pace: known actions, known counterparties, own machine.
pub(super) fn night_burst(
    company: &Company,
    start: Timestamp,
    mut draw: Draw,
) -> Vec<SimulatedEvent> {
    let agent = company.victim(start, &mut draw, |one| one.class().rhythm == Rhythm::Office);
    let flow = &agent.class().flows[0];
    let writes: Vec<&'static Step> = flow.steps.iter().filter(|step| step.is_write).collect();
    let mut intruder = Intruder::new(company, agent, &mut draw);
    let days = start.since(agent.joins).as_secs_f64() / DAY.as_secs_f64();
    let mut time = first_at_three(start);
    for _ in 0..100 {
        let mut with = Doing::new(agent, &mut draw);
        with.party = flow.pool.map(|pool| {
            let dealings = agent.sessions_per_day * days;
            let known =
                Acquaintance { agent_key: agent.key, pool, novelty: flow.novelty, dealings };
            known.draw(&mut draw)
        });
        let step = *draw.pick(&writes);
        with.cents = match (with.party, flow.money) {
            (Some(party), Some(money)) if step.has_amount => {
                Some(party.draw_cents(money, &mut draw))
            }
            _ => None,
        };
        with.party = with.party.filter(|_| step.has_party);
        intruder.act(time, step, with);
        time = time.plus(pause(4, 20, &mut draw));
    }
    intruder.events
}

/// The first 03:00 UTC at or after `time`.
fn first_at_three(time: Timestamp) -> Timestamp {
    const THREE: Duration = Duration::from_hours(3);
    let mut three =
        Timestamp::EPOCH.plus(DAY * u32::try_from(time.day()).expect("a day count")).plus(THREE);
    if three < time {
        three = three.plus(DAY);
    }
    three
}
