#![allow(warnings, clippy::all, clippy::pedantic)]
use futures::TryStreamExt;
use lake::*;
use schemas::*;
use std::time::{Duration, Instant};
fn rss() -> f64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    let l = s.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    l.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
fn event(partition: i32, offset: i64) -> StampedEvent {
    let position = Position {
        topic: Topic::new("uses"),
        partition: KafkaPartition(partition),
        offset: Offset(offset),
    };
    let mut attributes = Attributes::default();
    attributes.insert("region", "eu-central-1");
    let h = (offset as u64).wrapping_mul(0x9E3779B97F4A7C15) >> 40;
    let event = CredentialEvent {
        event_id: EventId::try_from(format!(
            "{:016x}{:08x}",
            (offset as u64).wrapping_mul(0x9E3779B97F4A7C15),
            partition
        ))
        .unwrap(),
        time: Timestamp::from_millis(1_772_600_000_000 + offset * 3).unwrap(),
        agent_id: AgentId::try_from(format!("agent-{:05}", h % 10000)).unwrap(),
        agent_class: Some("procurement".try_into().unwrap()),
        agent_instance: None,
        model: Some("model-1".into()),
        session_id: Some(format!("session-{}", h).try_into().unwrap()),
        task_id: None,
        grant_id: None,
        credential_id: CredentialId::try_from(format!("cred-{}", h % 20000)).unwrap(),
        credential_kind: CredentialKind::AccessToken,
        action: "order.approve".into(),
        resource: Some(format!("order/{offset}")),
        resource_kind: Some("order".into()),
        counterparty_id: Some(format!("vendor-{}", h % 3000).try_into().unwrap()),
        counterparty_kind: Some("vendor".into()),
        amount: Some(Amount::from_cents((h as i64) % 1000000).unwrap()),
        currency: Some(Currency::try_from("EUR").unwrap()),
        outcome: Outcome::Success,
        outcome_reason: None,
        source_ip: Some("10.1.2.3".parse().unwrap()),
        user_agent: Some("agent/1.0".into()),
        delegation: vec![],
        labels: vec![],
        attributes,
        format: Format::Native,
    };
    StampedEvent {
        event,
        position,
        ingested_at: Timestamp::from_millis(1_772_600_000_500).unwrap(),
        sponsor_id: Some(SponsorId::try_from("maria").unwrap()),
        trace_status: TraceStatus::Traced,
        trace_confidence: 0.9,
    }
}
fn adv(p: i32, a: i64, b: i64) -> Advance {
    let mut x = Advance::default();
    x.extend(
        &Topic::new("uses"),
        KafkaPartition(p),
        OffsetRange { start: Offset(a), end: Offset(b) },
    );
    x
}
fn pct(v: &mut Vec<Duration>, p: f64) -> f64 {
    v.sort();
    v[((v.len() - 1) as f64 * p) as usize].as_secs_f64() * 1e3
}
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let opts: StoreOptions = std::env::vars().filter(|(k, _)| k.starts_with("AWS_")).collect();
    let lake = Lake::open(&Location::parse(&args[2]).unwrap(), &opts).unwrap();
    let now = Timestamp::from_millis(1_772_700_000_000).unwrap();
    match args[1].as_str() {
        "commits" => {
            let n: i64 = args[3].parse().unwrap();
            let mut h = lake.table(Table::Events).await.unwrap();
            let mut times = vec![];
            for i in 0..n {
                let mut r = EventRows::with_capacity(20);
                for o in i * 20..i * 20 + 20 {
                    r.push(&event(0, o));
                }
                let a = adv(0, i * 20, i * 20 + 20);
                let files = encode(Table::Events, &[r.finish()], &a).unwrap();
                let t = Instant::now();
                h.commit(&files, &a, now).await.unwrap();
                times.push(t.elapsed());
                if (i + 1) % (n / 5).max(1) == 0 {
                    let mut last: Vec<_> = times[times.len() - (n / 5).max(1) as usize..].to_vec();
                    println!(
                        "after {} commits: p50 {:.2} ms p99 {:.2} ms max {:.2} rss {:.1} MB",
                        i + 1,
                        pct(&mut last, 0.5),
                        pct(&mut last, 0.99),
                        pct(&mut last, 1.0),
                        rss()
                    );
                }
            }
            let t = Instant::now();
            let h2 = lake.table(Table::Events).await.unwrap();
            println!("open without checkpoint {:?} version {:?}", t.elapsed(), h2.version());
            let t = Instant::now();
            let p = lake.provider(Table::Events).await.unwrap().unwrap();
            println!("first provider {:?}", t.elapsed());
            let t = Instant::now();
            let p = lake.provider(Table::Events).await.unwrap().unwrap();
            println!("provider again {:?}", t.elapsed());
            let t = Instant::now();
            h.checkpoint().await.unwrap();
            println!("checkpoint {:?}", t.elapsed());
            let t = Instant::now();
            let h2 = lake.table(Table::Events).await.unwrap();
            println!("open with checkpoint {:?} {:?}", t.elapsed(), h2.offsets());
            let mut r = EventRows::with_capacity(20);
            for o in n * 20..n * 20 + 20 {
                r.push(&event(0, o));
            }
            h.append(vec![r.finish()], &adv(0, n * 20, n * 20 + 20), now).await.unwrap();
            let t = Instant::now();
            let p = lake.provider(Table::Events).await.unwrap().unwrap();
            println!("provider after a commit {:?}", t.elapsed());
            for k in 1..150i64 {
                let b = (n + k) * 20;
                let mut r = EventRows::with_capacity(20);
                for o in b..b + 20 {
                    r.push(&event(0, o));
                }
                h.append(vec![r.finish()], &adv(0, b, b + 20), now).await.unwrap();
                let t = Instant::now();
                let p = lake.provider(Table::Events).await.unwrap().unwrap();
                let e = t.elapsed();
                let t = Instant::now();
                let p = lake.provider(Table::Events).await.unwrap().unwrap();
                let e2 = t.elapsed();
                if k % 25 == 1 {
                    let ctx = datafusion::prelude::SessionContext::new();
                    ctx.register_table("e", p).unwrap();
                    let t = Instant::now();
                    let c = ctx
                        .sql("select count(*) from e where agent_id='agent-00022'")
                        .await
                        .unwrap()
                        .collect()
                        .await
                        .unwrap();
                    println!(
                        "{k}: provider after commit {:?} again {:?} query {:?} rss {:.0}",
                        e,
                        e2,
                        t.elapsed(),
                        rss()
                    );
                }
            }
            let t = Instant::now();
            h.checkpoint().await.unwrap();
            println!("checkpoint {:?}", t.elapsed());
            for k in 150..153i64 {
                let b = (n + k) * 20;
                let mut r = EventRows::with_capacity(20);
                for o in b..b + 20 {
                    r.push(&event(0, o));
                }
                h.append(vec![r.finish()], &adv(0, b, b + 20), now).await.unwrap();
                let t = Instant::now();
                let p = lake.provider(Table::Events).await.unwrap().unwrap();
                println!("provider after checkpoint and commit {:?}", t.elapsed());
            }
        }
        "bulk" => {
            let n: i64 = args[3].parse().unwrap();
            let per = 200_000.min(n);
            let mut h = lake.table(Table::Events).await.unwrap();
            for c in 0..n / per {
                let events: Vec<_> = (c * per..(c + 1) * per).map(|o| event(0, o)).collect();
                let t = Instant::now();
                let mut r = EventRows::with_capacity(per as usize);
                for e in &events {
                    r.push(e);
                }
                let b = r.finish();
                let rows_t = t.elapsed();
                let a = adv(0, c * per, (c + 1) * per);
                let t = Instant::now();
                let f = encode(Table::Events, &[b], &a).unwrap();
                let enc = t.elapsed();
                let t = Instant::now();
                h.commit(&f, &a, now).await.unwrap();
                println!(
                    "rows {:.0} ns/event encode {:.0} ns/event {:.1} B/row commit {:.1} ms",
                    rows_t.as_nanos() as f64 / per as f64,
                    enc.as_nanos() as f64 / per as f64,
                    f[0].size() as f64 / per as f64,
                    t.elapsed().as_secs_f64() * 1e3
                );
            }
            let t = Instant::now();
            let mut s = lake.scan_events_after(&Offsets::default()).await.unwrap();
            let mut k = 0;
            let mut dec = Duration::ZERO;
            while let Some(b) = s.try_next().await.unwrap() {
                let u = Instant::now();
                k += decode_events(&b).unwrap().len();
                dec += u.elapsed();
            }
            println!("scan {k} in {:?} of which decode {:?}, rss {:.0}", t.elapsed(), dec, rss());
            let mut o = Offsets::default();
            o.raise(&Topic::new("uses"), KafkaPartition(0), Offset(n - 1000));
            let t = Instant::now();
            let mut s = lake.scan_events_after(&o).await.unwrap();
            let mut k = 0;
            while let Some(b) = s.try_next().await.unwrap() {
                k += b.num_rows();
            }
            println!("scan tail {k} in {:?}", t.elapsed());
        }
        "all" => {
            let mut ev = EventRows::default();
            let mut rj = RejectRows::default();
            let mut de = DeliveryRows::default();
            let mut ed = EdgeRows::default();
            let events: Vec<_> = (0..500)
                .map(|o| {
                    let mut e = event(0, o);
                    if o % 3 == 0 {
                        e.event.labels = vec!["a".into(), "b".into()];
                        e.event.delegation = vec!["p".try_into().unwrap()];
                    }
                    if o % 5 == 0 {
                        e.event.amount = None;
                        e.event.currency = None;
                    }
                    if o % 2 == 0 {
                        e.event.time =
                            Timestamp::from_micros(e.event.time.as_micros() - 40 * 86400_000_000)
                                .unwrap();
                    }
                    e
                })
                .collect();
            for e in &events {
                ev.push(e);
            }
            for e in edges_of(&events, &Offsets::default()) {
                ed.push(&e);
            }
            rj.push(&Reject {
                position: events[0].position.clone(),
                record_time: None,
                rejected_at: now,
                format: Format::Native,
                reason: RejectReason::NotJson,
                detail: "x".into(),
                raw: vec![0, 255],
                raw_bytes: 2,
            });
            let mut fi = FindingRows::default();
            let e = &events[1];
            fi.push(
                &Finding {
                    finding_id: Finding::id_of(
                        DetectorKind::NewAction,
                        &e.event.agent_id,
                        &e.position,
                    ),
                    detector: DetectorKind::NewAction,
                    severity: Severity::Page,
                    time: e.event.time,
                    agent_id: e.event.agent_id.clone(),
                    agent_class: None,
                    credential_id: e.event.credential_id.clone(),
                    sponsor_id: None,
                    trace_status: TraceStatus::Orphaned,
                    event_id: e.event.event_id.clone(),
                    position: e.position.clone(),
                    action: "a".into(),
                    counterparty_id: None,
                    score: 3.5,
                    false_findings_per_agent_day: 0.1,
                    summary: "s".into(),
                    features: vec![],
                    maturity: Maturity { level: MaturityLevel::Cold, events: 3, days: 0.5 },
                    evidence: vec![e.event.event_id.clone()],
                    money_at_risk: e.event.amount,
                    currency: None,
                    tags: vec!["t".into()],
                },
                now,
            );
            de.push(&Delivery {
                sequence: 0,
                time: now,
                finding_id: FindingId::try_from("f").unwrap(),
                endpoint: "soc".into(),
                attempt: 1,
                duration: Duration::from_millis(3),
                outcome: "delivered".into(),
                status: Some(200),
                error: None,
            });
            for (t, b, a) in [
                (Table::Events, ev.finish(), adv(0, 0, 500)),
                (Table::Rejects, rj.finish(), adv(0, 0, 500)),
                (Table::Findings, fi.finish(), adv(0, 0, 500)),
                (Table::CounterpartyEdges, ed.finish(), adv(0, 0, 500)),
                (
                    Table::Deliveries,
                    de.finish(),
                    Advance::of_sequence(SequenceRange { start: 0, end: 1 }),
                ),
            ] {
                let mut h = lake.table(t).await.unwrap();
                println!("{} v{}", t.name(), h.append(vec![b], &a, now).await.unwrap());
            }
            println!("{}", lake.import_registry(&[], now).await.unwrap());
        }
        "race" => {
            // several workers on one partition, many commits: for object stores
            let mut js = tokio::task::JoinSet::new();
            for w in 0..4 {
                let lake = Lake::open(&Location::parse(&args[2]).unwrap(), &opts).unwrap();
                js.spawn(async move {
                    let mut h = lake.table(Table::Events).await.unwrap();
                    let (mut won, mut lost) = (0, 0);
                    let mut times = vec![];
                    for i in 0..20 {
                        h.follow().await.unwrap();
                        let s = h
                            .offsets()
                            .next_of(&Topic::new("uses"), KafkaPartition(0))
                            .map_or(0, |o| o.0);
                        let own = 10 + w;
                        let so = i * 5;
                        let mut r = EventRows::default();
                        for o in s..s + 5 {
                            r.push(&event(0, o));
                        }
                        let t = Instant::now();
                        match h.append(vec![r.finish()], &adv(0, s, s + 5), now).await {
                            Ok(_) => won += 1,
                            Err(CommitError::Superseded { .. }) => lost += 1,
                            Err(e) => panic!("{e:?}"),
                        }
                        let mut r = EventRows::default();
                        for o in so..so + 5 {
                            r.push(&event(own, o));
                        }
                        h.append(vec![r.finish()], &adv(own, so, so + 5), now).await.unwrap();
                        times.push(t.elapsed() / 2);
                    }
                    (won, lost, pct(&mut times, 0.5), pct(&mut times, 1.0))
                });
            }
            println!("{:?}", js.join_all().await);
            let h = lake.table(Table::Events).await.unwrap();
            println!("{:?} v{:?}", h.offsets(), h.version());
            let mut s = lake.scan_events_after(&Offsets::default()).await.unwrap();
            let mut all = vec![];
            while let Some(b) = s.try_next().await.unwrap() {
                all.extend(
                    decode_events(&b)
                        .unwrap()
                        .into_iter()
                        .map(|e| (e.position.partition.0, e.position.offset.0)),
                );
            }
            let n = all.len();
            all.dedup();
            println!("rows {n} distinct {}", all.len());
            let total: i64 = h.offsets().iter().map(|(_, _, o)| o.0).sum();
            println!("sum of offsets {total}");
            h.checkpoint().await.unwrap();
            println!(
                "reopened {:?}",
                lake.table(Table::Events).await.unwrap().offsets() == h.offsets()
            );
        }
        _ => panic!(),
    }
}
