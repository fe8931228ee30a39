//! What came of the demo, counted in the lake and at the webhook's receiver.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use detect::webhook::Counts;
use hdrhistogram::Histogram;
use lake::Lake;
use query::Engine;
use schemas::{Amount, Lapse};
use serde::Serialize;

use super::receiver::{Inbox, Received};
use super::story::{Malicious, Played};
use crate::cli::{Demo, ReportFormat};
use crate::commands::{of_query, rows_of};
use crate::exit::{Exit, Failure};
use crate::pipeline::Routes;
use crate::terminal;

/// The demo's figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    events_produced: u64,
    events_stored: u64,
    duplicates: u64,
    rejects: u64,
    agents: u64,
    findings: u64,
    history_seconds: f64,
    attack: Attack,
    /// Findings on events that were no part of the attack, per agent and day of the whole story.
    false_findings_per_agent_day: f64,
    webhook: Webhook,
    trace: Trace,
    #[serde(skip)]
    first_order: Option<schemas::EventId>,
}

#[derive(Debug, Serialize)]
struct Attack {
    kind: &'static str,
    agent: &'static str,
    fraudulent_orders_total: usize,
    /// Orders produced before the first finding on the attack reached the receiver, the order that
    /// it is about included.
    orders_before_first_finding: usize,
    #[serde(serialize_with = "in_units")]
    money_before_first_finding: Amount,
    #[serde(serialize_with = "in_units")]
    money_total: Amount,
    /// From the attack's first event being produced to its first finding being received, in real
    /// time; absent if nothing was found.
    seconds_to_first_finding: Option<f64>,
}

/// An amount as a number, which scripts can compare: sums of a demo are exact in a float.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn in_units<S: serde::Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(amount.as_units())
}

#[derive(Debug, Serialize)]
struct Webhook {
    /// Findings handed to the outbox.
    sent: u64,
    delivered: u64,
    dead: u64,
    /// From a live event being produced to its finding being received.
    latency_ms: Latency,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
}

#[derive(Debug, Serialize)]
struct Trace {
    /// Share of all events that lead to a sponsor.
    coverage: f64,
    /// Who answers for the fraudulent orders.
    sponsor: Option<String>,
    hops: usize,
}

impl Report {
    pub(super) async fn of(
        args: &Demo,
        lake: &Lake,
        played: &Played,
        inbox: &Inbox,
        routes: &Routes,
    ) -> Result<Self, Failure> {
        let engine = Engine::open(lake, query::Limits::ONE_PERSON).await.map_err(of_query)?;
        let counted = rows_of(
            &engine,
            "SELECT count(*) AS events, \
             count(DISTINCT agent_id) AS agents, avg(CASE WHEN sponsor_id IS NULL THEN 0.0 ELSE 1.0 END) AS coverage \
             FROM events",
        )
        .await?;
        let places = rows_of(
            &engine,
            "SELECT count(*) AS places FROM (SELECT DISTINCT kafka_partition, kafka_offset FROM events)",
        )
        .await?;
        let rejects = rows_of(&engine, "SELECT count(*) AS rejects FROM rejects").await?;
        let findings = rows_of(&engine, "SELECT event_id, detector FROM findings").await?;
        let number = |row: &serde_json::Value, name: &str| row[0][name].as_u64().unwrap_or(0);
        let malicious: BTreeSet<&str> =
            played.malicious.iter().map(|one| one.event_id.as_str()).collect();
        let found = findings.as_array().map_or(&[][..], Vec::as_slice);
        // What the registry has against a use is a fact, whoever made it.
        let is_false = |row: &&serde_json::Value| {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            !malicious.contains(text("event_id")) && Lapse::parse(text("detector")).is_none()
        };
        let false_findings = found.iter().filter(is_false).count();
        let (counts, trace) = (routes.counts()?, trace_of(&engine, played).await?);
        let agents = number(&counted, "agents");
        #[expect(clippy::cast_precision_loss, reason = "counts of a demo")]
        let false_rate = false_findings as f64 / (f64::from(args.agents) * f64::from(args.days));
        Ok(Self {
            events_produced: played.events,
            events_stored: number(&counted, "events"),
            duplicates: number(&counted, "events") - number(&places, "places"),
            rejects: number(&rejects, "rejects"),
            agents,
            findings: found.len() as u64,
            history_seconds: played.history.as_secs_f64(),
            attack: Attack::of(played, &inbox.since(0)),
            false_findings_per_agent_day: false_rate,
            webhook: Webhook::of(counts, played, &inbox.since(0)),
            trace: Trace { coverage: counted[0]["coverage"].as_f64().unwrap_or(0.0), ..trace },
            first_order: played.orders().next().map(|one| one.event_id.clone()),
        })
    }

    /// Prints the figures for people or programs.
    pub(super) fn print(&self, format: ReportFormat, lake: &str) -> Result<(), Failure> {
        let mut text = String::new();
        match format {
            ReportFormat::Json => {
                let json = serde_json::to_string_pretty(self);
                text = json.map_err(|error| Failure::new(Exit::Software, error))?;
                text.push('\n');
            }
            ReportFormat::Table => self.write(&mut text, lake).expect("writing to a string"),
        }
        terminal::answer(&text)
    }

    fn write(&self, text: &mut String, lake: &str) -> std::fmt::Result {
        let attack = &self.attack;
        writeln!(text)?;
        writeln!(
            text,
            "events      {} produced, {} stored, {} rejects, {} duplicates; history learned in {:.1} s",
            self.events_produced,
            self.events_stored,
            self.rejects,
            self.duplicates,
            self.history_seconds
        )?;
        writeln!(
            text,
            "attack      {} fraudulent orders for {} EUR by {}",
            attack.fraudulent_orders_total, attack.money_total, attack.agent
        )?;
        match attack.seconds_to_first_finding {
            Some(seconds) => writeln!(
                text,
                "            first finding {seconds:.3} s after it began: {} order(s), {} EUR before it",
                attack.orders_before_first_finding, attack.money_before_first_finding
            ),
            None => writeln!(text, "            not found"),
        }?;
        writeln!(
            text,
            "findings    {}; {:.3} false ones per agent and day",
            self.findings, self.false_findings_per_agent_day
        )?;
        writeln!(
            text,
            "webhooks    {} sent, {} delivered, {} dead; event to receiver p50 {:.0} ms, p99 {:.0} ms",
            self.webhook.sent,
            self.webhook.delivered,
            self.webhook.dead,
            self.webhook.latency_ms.p50,
            self.webhook.latency_ms.p99
        )?;
        writeln!(
            text,
            "trace       {:.1} % of events lead to a sponsor; the orders lead to {} in {} hop(s)",
            100.0 * self.trace.coverage,
            self.trace.sponsor.as_deref().unwrap_or("nobody"),
            self.trace.hops
        )?;
        writeln!(text, "\nThe lake stays in {lake}. Ask it:")?;
        writeln!(
            text,
            "  surety sql --lake {lake} \"SELECT time, severity, summary FROM findings WHERE agent_id = '{}' ORDER BY time LIMIT 5\"",
            attack.agent
        )?;
        writeln!(
            text,
            "  surety sql --lake {lake} \"SELECT counterparty_id, count(*), sum(amount) FROM events WHERE agent_id = '{}' AND action = 'order.approve' GROUP BY 1 ORDER BY 3 DESC LIMIT 10\"",
            attack.agent
        )?;
        writeln!(text, "  surety sql --lake {lake} \"SELECT * FROM shared_credentials\"")?;
        writeln!(text, "  surety agents --lake {lake} --active-within 1h")?;
        if let Some(event) = &self.first_order {
            writeln!(text, "  surety trace {event} --lake {lake}")?;
        }
        writeln!(text, "(in the source tree: cargo run --release -- instead of surety)")?;
        Ok(())
    }
}

impl Attack {
    fn of(played: &Played, received: &[Received]) -> Self {
        let ids: BTreeSet<_> = played.malicious.iter().map(|one| &one.event_id).collect();
        let first_found = received
            .iter()
            .filter(|one| ids.contains(&one.finding.event_id))
            .map(|one| one.at)
            .min();
        let orders: Vec<&Malicious> = played.orders().collect();
        let before: Vec<&Malicious> = orders
            .iter()
            .copied()
            .filter(|one| first_found.is_none_or(|at| one.produced_at < at))
            .collect();
        let sum = |orders: &[&Malicious]| {
            orders.iter().filter_map(|one| one.amount).fold(Amount::ZERO, Amount::saturating_add)
        };
        let began = played.malicious.first().map(|one| one.produced_at);
        Self {
            kind: "procurement-fraud",
            agent: simulate::FRAUD_AGENT,
            fraudulent_orders_total: orders.len(),
            orders_before_first_finding: before.len(),
            money_before_first_finding: sum(&before),
            money_total: sum(&orders),
            seconds_to_first_finding: first_found
                .zip(began)
                .map(|(at, began)| at.since(began).as_secs_f64()),
        }
    }
}

impl Webhook {
    fn of(counts: Counts, played: &Played, received: &[Received]) -> Self {
        let micros = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3);
        let mut micros = micros.expect("1 us to 1 h with 3 digits is a valid range");
        for one in received {
            if let Some(at) = played.produced_at.get(&one.finding.event_id) {
                micros.saturating_record(
                    u64::try_from(one.at.since(*at).as_micros()).unwrap_or(u64::MAX),
                );
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a demo")]
        let ms = |quantile| micros.value_at_quantile(quantile) as f64 / 1_000.0;
        Self {
            sent: counts.enqueued,
            delivered: counts.delivered,
            dead: counts.dead,
            latency_ms: Latency { p50: ms(0.5), p99: ms(0.99) },
        }
    }
}

/// The trace of the first fraudulent order, as of its time.
async fn trace_of(engine: &Engine, played: &Played) -> Result<Trace, Failure> {
    let Some(order) = played.orders().next() else {
        return Ok(Trace { coverage: 0.0, sponsor: None, hops: 0 });
    };
    let answer = engine.trace(&order.event_id, None).await.map_err(of_query)?;
    Ok(Trace {
        coverage: 0.0,
        sponsor: answer.trace.sponsor_id.as_ref().map(ToString::to_string),
        hops: answer.trace.hops.len(),
    })
}
