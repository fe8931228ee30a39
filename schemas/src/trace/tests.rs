//! What a trace says of registries and events written by hand.

use super::*;
use crate::{Fact, KafkaPartition, NativeEvent, Offset, Part, Position, RegistryChange, Topic};

const BEFORE: &str = "2026-01-01T00:00:00Z";
const DURING: &str = "2026-03-01T00:00:00Z";
const AFTER: &str = "2026-06-01T00:00:00Z";

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn change(json: &str) -> RegistryChange {
    let schema = r#"{"schema":"surety.registry_change.v1","valid_from":"2026-02-01T00:00:00Z","recorded_at":"2026-02-01T00:00:00Z","#;
    serde_json::from_str(&format!("{schema}{json}}}")).unwrap()
}

fn registry(changes: &[&str]) -> Registry {
    let mut registry = Registry::default();
    for json in changes {
        registry.apply(&change(json)).unwrap();
    }
    registry
}

fn event(agent: &str, at: &str, delegation: &[&str]) -> CredentialEvent {
    let native: NativeEvent = serde_json::from_value(serde_json::json!({
        "schema": "surety.credential_event.v1", "time": at, "agent_id": agent, "agent_class": "buyer",
        "credential_id": "svc-erp", "credential_kind": "service_account_token",
        "action": "order.approve", "outcome": "success", "delegation": delegation,
    }))
    .unwrap();
    let position = Position {
        topic: Topic::new("t"),
        partition: KafkaPartition(0),
        offset: Offset(0),
        part: Part::FIRST,
    };
    native.into_event(&position).unwrap()
}

const ANNA: &str = r#""kind":"sponsor","sponsor_id":"anna","active":true"#;
const BEN: &str = r#""kind":"sponsor","sponsor_id":"ben","active":true"#;
const BUYER: &str = r#""kind":"agent","agent_id":"buyer-1","sponsor_id":"anna""#;
const SELLER: &str = r#""kind":"agent","agent_id":"seller-1","sponsor_id":"ben""#;
const CHILD: &str = r#""kind":"delegation","agent_id":"child","parent_agent_id":"buyer-1""#;

fn trace(registry: &Registry, event: &CredentialEvent) -> Trace {
    Trace::of(event, registry, Timestamp::MAX)
}

#[test]
fn a_registered_agent_leads_to_its_sponsor() {
    let trace = trace(&registry(&[ANNA, BUYER]), &event("buyer-1", DURING, &[]));

    assert_eq!(trace.status, TraceStatus::Traced);
    assert_eq!(trace.sponsor_id.unwrap().as_str(), "anna");
    assert_eq!(trace.hops.len(), 1);
    assert!((trace.confidence - 1.0).abs() < f32::EPSILON);
}

#[test]
fn a_sub_agent_leads_through_its_parent() {
    let trace = trace(&registry(&[ANNA, BUYER, CHILD]), &event("child", DURING, &["someone-else"]));

    assert_eq!(trace.status, TraceStatus::Delegated);
    assert_eq!(trace.sponsor_id.unwrap().as_str(), "anna");
    assert_eq!(trace.hops.len(), 2);
}

#[test]
fn a_claimed_parent_counts_less_than_a_registered_one() {
    let trace = trace(&registry(&[ANNA, BUYER]), &event("child-7", DURING, &["buyer-1"]));

    assert_eq!(trace.status, TraceStatus::Claimed);
    assert_eq!(trace.sponsor_id.unwrap().as_str(), "anna");
    assert!((trace.confidence - 0.6).abs() < 1e-6);
}

fn span(agent: &str, event: &str) -> SpanParent {
    let agent_id = AgentId::try_from(agent).unwrap();
    SpanParent { agent_id, event_id: EventId::try_from(event).unwrap() }
}

#[test]
fn an_unknown_agent_leads_to_the_agent_in_whose_span_it_worked() {
    let spans = [span("planner", "t:1"), span("buyer-1", "t:2"), span("seller-1", "t:3")];
    let registry = registry(&[ANNA, BEN, BUYER, SELLER]);

    let found =
        Trace::within(&event("run-7", DURING, &["seller-1"]), &spans, &registry, Timestamp::MAX);

    assert_eq!(
        found.sponsor_id.unwrap().as_str(),
        "anna",
        "the nearest that is known, not the claim"
    );
    assert_eq!(found.status, TraceStatus::Delegated);
    let hops: Vec<_> = found.hops.iter().map(|hop| (hop.method, hop.evidence.as_str())).collect();
    assert_eq!(
        hops[..2],
        [(HopMethod::ParentSpan, "event t:1"), (HopMethod::ParentSpan, "event t:2")]
    );
    assert!((found.confidence - 0.49).abs() < 1e-6, "{}", found.confidence);
}

#[test]
fn spans_never_stand_above_the_registry_and_never_make_a_gap() {
    let known = registry(&[ANNA, BEN, BUYER, SELLER, CHILD]);
    let within = |registry: &Registry, agent: &str, spans: &[SpanParent]| {
        let event = event(agent, DURING, &["buyer-1"]);
        let found = Trace::within(&event, spans, registry, Timestamp::MAX);
        (found.status, found.sponsor_id.map(|sponsor| sponsor.to_string()))
    };
    let anna = Some("anna".to_owned());

    let seller = [span("seller-1", "t:1")];
    assert_eq!(within(&known, "buyer-1", &seller), (TraceStatus::Traced, anna.clone()));
    assert_eq!(within(&known, "child", &seller), (TraceStatus::Delegated, anna.clone()));
    // Nobody in the spans is known: what the event claims is as good as it was.
    let unknown = [span("planner", "t:1")];
    assert_eq!(within(&known, "run-7", &unknown), (TraceStatus::Claimed, anna));
    // A parent that the registry names leads on through the spans around that parent only.
    let parent = r#""kind":"delegation","agent_id":"child","parent_agent_id":"planner""#;
    let deeper = registry(&[ANNA, BEN, BUYER, SELLER, parent]);
    let spans = [span("other", "t:1"), span("planner", "t:2"), span("seller-1", "t:3")];
    assert_eq!(within(&deeper, "child", &spans), (TraceStatus::Delegated, Some("ben".to_owned())));
    assert_eq!(within(&deeper, "child", &spans[2..]).0, TraceStatus::Unregistered);
}

#[test]
fn spans_that_go_in_a_circle_end() {
    let spans = [span("a", "t:1"), span("b", "t:2"), span("a", "t:3"), span("buyer-1", "t:4")];

    let found = Trace::within(
        &event("run-7", DURING, &[]),
        &spans,
        &registry(&[ANNA, BUYER]),
        Timestamp::MAX,
    );

    assert_eq!(found.status, TraceStatus::Broken);
    assert!(found.gap.unwrap().reason.contains("circle"));
}

#[test]
fn a_claim_about_the_agent_says_nothing_of_its_registered_parent() {
    let parent = r#""kind":"delegation","agent_id":"child","parent_agent_id":"planner""#;
    let registry = registry(&[ANNA, BUYER, parent]);

    for (claims, status, hops) in [
        // The registry's parent is unknown; the event claims another parent of the child.
        (&["buyer-1"][..], TraceStatus::Unregistered, 1),
        (&["someone", "buyer-1"], TraceStatus::Unregistered, 1),
        // The event names the registry's parent, and claims who stands above it.
        (&["planner", "buyer-1"], TraceStatus::Claimed, 2),
        (&["someone", "planner", "buyer-1"], TraceStatus::Claimed, 2),
        (&["planner"], TraceStatus::Unregistered, 1),
    ] {
        let trace = trace(&registry, &event("child", DURING, claims));

        assert_eq!(trace.status, status, "{claims:?}");
        assert_eq!(trace.sponsor_id.is_some(), status == TraceStatus::Claimed, "{claims:?}");
        assert_eq!(trace.hops.iter().filter(|hop| hop.to.starts_with("agent:")).count(), hops);
    }
}

#[test]
fn a_class_that_only_the_event_names_is_a_claim() {
    let class = r#""kind":"agent_class","agent_class":"buyer","sponsor_id":"anna""#;

    let trace = trace(&registry(&[ANNA, class]), &event("run-7", DURING, &[]));

    let steps: Vec<_> =
        trace.hops.iter().map(|hop| (hop.from.as_str(), hop.to.as_str(), hop.method)).collect();
    assert_eq!(
        steps,
        [
            ("agent:run-7", "class:buyer", HopMethod::Claimed),
            ("class:buyer", "sponsor:anna", HopMethod::RegistryClass),
        ]
    );
    assert_eq!(trace.status, TraceStatus::Claimed);
    assert!((trace.confidence - 0.54).abs() < 1e-6, "{}", trace.confidence);
}

#[test]
fn what_is_not_known_is_a_gap_and_never_a_sponsor() {
    let registry = registry(&[ANNA, BUYER]);
    for (event, status) in [
        (event("nobody", DURING, &[]), TraceStatus::Unregistered),
        (event("nobody", DURING, &["nobody-either"]), TraceStatus::Unregistered),
        (event("buyer-1", BEFORE, &[]), TraceStatus::Unregistered),
    ] {
        let trace = trace(&registry, &event);

        assert_eq!(trace.status, status);
        assert_eq!(trace.sponsor_id, None);
        assert!(trace.confidence.abs() < f32::EPSILON);
        assert!(trace.gap.is_some());
    }
}

#[test]
fn a_circle_of_parents_is_a_gap() {
    let registry = registry(&[
        r#""kind":"delegation","agent_id":"a","parent_agent_id":"b""#,
        r#""kind":"delegation","agent_id":"b","parent_agent_id":"a""#,
    ]);

    assert_eq!(trace(&registry, &event("a", DURING, &[])).status, TraceStatus::Broken);
}

#[test]
fn a_sponsor_who_left_answers_for_what_was_before_only() {
    let mut registry = registry(&[ANNA, BUYER]);
    let mut left = change(r#""kind":"sponsor","sponsor_id":"anna","active":false"#);
    left.valid_from = time("2026-05-01T00:00:00Z");
    registry.apply(&left).unwrap();

    let before = trace(&registry, &event("buyer-1", DURING, &[]));
    let after = trace(&registry, &event("buyer-1", AFTER, &[]));

    assert_eq!(before.status, TraceStatus::Traced);
    assert_eq!((after.status, after.sponsor_id), (TraceStatus::Orphaned, None));
}

#[test]
fn a_trace_as_known_earlier_uses_only_what_was_told_by_then() {
    let mut registry = registry(&[ANNA, BEN, BUYER]);
    let mut correction = change(r#""kind":"agent","agent_id":"buyer-1","sponsor_id":"ben""#);
    correction.recorded_at = Some(time(AFTER));
    registry.apply(&correction).unwrap();
    let event = event("buyer-1", DURING, &[]);

    let then = Trace::of(&event, &registry, time(DURING));
    let now = Trace::of(&event, &registry, Timestamp::MAX);

    assert_eq!(then.sponsor_id.unwrap().as_str(), "anna");
    assert_eq!(now.sponsor_id.unwrap().as_str(), "ben");
}

#[test]
fn a_shared_credential_names_a_sponsor_only_if_all_its_users_have_the_same() {
    let shared = r#""kind":"credential","credential_id":"svc-erp","credential_kind":"static_key","agent_ids":["buyer-1","seller-1"]"#;
    let one_sponsor = r#""kind":"agent","agent_id":"seller-1","sponsor_id":"anna""#;

    let same = trace(&registry(&[ANNA, BUYER, one_sponsor, shared]), &event("x", DURING, &[]));
    let different = trace(&registry(&[ANNA, BEN, BUYER, SELLER, shared]), &event("x", DURING, &[]));

    assert_eq!((same.status, same.sponsor_id.unwrap().as_str()), (TraceStatus::Shared, "anna"));
    assert_eq!((different.status, &different.sponsor_id), (TraceStatus::Broken, &None));
    let candidates = different.gap.unwrap().candidates;
    let told = candidates.iter().map(|one| {
        (one.agent_id.as_str(), one.sponsor_id.as_ref().map(SponsorId::as_str), one.probability)
    });
    let wanted = [("buyer-1", Some("anna"), 0.5), ("seller-1", Some("ben"), 0.5)];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
}

#[test]
fn applying_changes_in_any_order_gives_the_same_trace() {
    let event = event("child", DURING, &[]);
    let forward = trace(&registry(&[ANNA, BUYER, CHILD, CHILD]), &event);
    let backward = trace(&registry(&[CHILD, BUYER, ANNA]), &event);

    assert_eq!(forward, backward);
}

/// What buyer-1's sponsor is, as told in `tellings` of (sponsor, day of March) about one time.
fn sponsor_told(tellings: &[(&str, u32)], known_day: u32) -> Option<String> {
    let day = |day: u32| time(&format!("2026-03-{day:02}T00:00:00Z"));
    let mut registry = registry(&[ANNA, BEN]);
    for (sponsor, told) in tellings {
        let mut change = change(&BUYER.replace("anna", sponsor));
        change.recorded_at = Some(day(*told));
        registry.apply(&change).unwrap();
    }
    let trace = Trace::of(&event("buyer-1", AFTER, &[]), &registry, day(known_day));
    trace.sponsor_id.map(|sponsor| sponsor.to_string())
}

#[test]
fn a_mistake_is_taken_back_by_telling_again_what_was_told_before_it() {
    let tellings = [("anna", 2), ("ben", 4), ("anna", 6)];

    let known: Vec<_> = [1, 2, 5, 7].map(|day| sponsor_told(&tellings, day)).into();

    let wanted = [None, Some("anna"), Some("ben"), Some("anna")];
    assert_eq!(known, wanted.map(|name| name.map(str::to_owned)));
}

#[test]
fn what_is_told_again_is_news_only_after_something_else() {
    let mut registry = registry(&[ANNA, BEN]);
    let mut is_news = |sponsor: &str, from: &str, told: &str| {
        let mut change = change(&BUYER.replace("anna", sponsor));
        (change.valid_from, change.recorded_at) = (time(from), Some(time(told)));
        registry.apply(&change).unwrap()
    };

    assert!(is_news("anna", BEFORE, BEFORE));
    assert!(!is_news("anna", BEFORE, DURING), "told last");
    assert!(is_news("ben", BEFORE, DURING));
    assert!(is_news("anna", BEFORE, AFTER), "the mistake is taken back");
    assert!(is_news("anna", DURING, AFTER), "of another time");
    assert!(!is_news("anna", BEFORE, AFTER));
}

proptest::proptest! {
    /// Tellings on days 1 to 9, at most one a day: sponsors by day.
    #[test]
    fn what_was_told_last_counts_whatever_the_order_and_the_repetitions(
        days in proptest::collection::vec(0_usize..3, 1..9),
        shuffle in proptest::collection::vec(0_usize..100, 9),
        again in 0_usize..9,
    ) {
        let mut tellings: Vec<_> = (1..).zip(&days).filter(|(_, who)| **who < 2)
            .map(|(day, who)| (["anna", "ben"][*who], day)).collect();
        let in_order = tellings.clone();
        if !tellings.is_empty() {
            tellings.push(tellings[again % tellings.len()]);
        }
        let mut keys = shuffle.iter().cycle();
        tellings.sort_by_cached_key(|_| keys.next());
        for known in 1..10 {
            let wanted = in_order.iter().rfind(|(_, day)| *day <= known).map(|(who, _)| (*who).to_owned());
            proptest::prop_assert_eq!(sponsor_told(&in_order, known), wanted.clone());
            if known == 9 {
                proptest::prop_assert_eq!(sponsor_told(&tellings, known), wanted);
            }
        }
    }
}

#[test]
fn a_fact_is_kept_under_one_id_however_often_it_is_told() {
    let mut later = change(BUYER);
    later.recorded_at = Some(time(AFTER));

    assert_eq!(later.change_id(), change(BUYER).change_id());
    assert_ne!(change(SELLER).change_id(), change(BUYER).change_id());
    assert!(matches!(change(BUYER).fact, Fact::Agent { .. }));
}

#[test]
fn what_is_stamped_is_what_the_trace_says() {
    let left = r#""kind":"sponsor","sponsor_id":"ben","active":false"#;
    let class = r#""kind":"agent_class","agent_class":"buyer","sponsor_id":"anna""#;
    for changes in [&[ANNA, BUYER, CHILD][..], &[left, SELLER], &[ANNA, class], &[]] {
        let registry = registry(changes);
        for (agent, delegation) in
            [("buyer-1", &[][..]), ("child", &[]), ("seller-1", &[]), ("x", &["buyer-1", "y"])]
        {
            let event = event(agent, DURING, delegation);
            let trace = trace(&registry, &event);
            let stamp = Stamp::of(&event, &registry, Timestamp::MAX);
            assert_eq!((stamp.sponsor_id, stamp.status), (trace.sponsor_id, trace.status));
            assert!((stamp.confidence - trace.confidence).abs() < f32::EPSILON);
        }
    }
}

const GONE: &str = r#""kind":"sponsor","sponsor_id":"anna","active":false"#;

/// As [`change`], valid and told from a day on.
fn told(day: &str, json: &str) -> RegistryChange {
    serde_json::from_str(&format!(
        r#"{{"schema":"surety.registry_change.v1","valid_from":"{day}","recorded_at":"{day}",{json}}}"#
    ))
    .unwrap()
}

fn all(changes: &[RegistryChange]) -> Registry {
    let mut registry = Registry::default();
    for change in changes {
        registry.apply(change).unwrap();
    }
    registry
}

#[test]
fn a_sponsor_who_leaves_is_succeeded_from_that_day_on_and_not_before() {
    const LEAVES: &str = "2026-04-01T00:00:00Z";
    let successor = format!(r#"{GONE},"successor_id":"ben","manager_id":"cleo""#);
    let registry = all(&[change(ANNA), change(BEN), change(BUYER), told(LEAVES, &successor)]);

    let before = trace(&registry, &event("buyer-1", DURING, &[]));
    let after = trace(&registry, &event("buyer-1", AFTER, &[]));

    assert_eq!((before.sponsor_id.unwrap().as_str(), before.hops.len()), ("anna", 1));
    assert_eq!((after.status, after.sponsor_id.unwrap().as_str()), (TraceStatus::Traced, "ben"));
    let hop = &after.hops[1];
    assert_eq!((hop.from.as_str(), hop.to.as_str()), ("sponsor:anna", "sponsor:ben"));
    assert_eq!(hop.method, HopMethod::RegistrySuccessor);
    // Nobody knew of it in time: what we would have said then.
    let known = Trace::of(&event("buyer-1", AFTER, &[]), &registry, time(DURING));
    assert_eq!(known.sponsor_id.unwrap().as_str(), "anna");
}

#[test]
fn without_a_successor_the_manager_answers_who_was_told_before() {
    let with_manager = format!(r#"{ANNA},"manager_id":"ben""#);
    let leaves = told("2026-04-01T00:00:00Z", GONE);
    let changes = [change(&with_manager), change(BEN), change(BUYER), leaves];

    let found = trace(&all(&changes), &event("buyer-1", AFTER, &[]));

    assert_eq!(found.sponsor_id.unwrap().as_str(), "ben");
    assert_eq!(found.hops[1].method, HopMethod::RegistryManager);
    assert!((found.confidence - 0.9).abs() < 1e-6);
}

#[test]
fn successors_who_left_too_lead_on_or_to_a_gap() {
    let gone = |who: &str, successor: &str| {
        let json = format!(
            r#""kind":"sponsor","sponsor_id":"{who}","active":false,"successor_id":"{successor}""#
        );
        told("2026-04-01T00:00:00Z", &json)
    };
    let end = |changes: &[RegistryChange]| trace(&all(changes), &event("buyer-1", AFTER, &[]));

    let on = end(&[change(BUYER), gone("anna", "cleo"), gone("cleo", "ben"), change(BEN)]);
    assert_eq!((on.sponsor_id.unwrap().as_str(), on.hops.len()), ("ben", 3));

    let circle = end(&[change(BUYER), gone("anna", "cleo"), gone("cleo", "anna")]);
    assert_eq!((circle.status, circle.sponsor_id), (TraceStatus::Orphaned, None));
    assert!(circle.gap.unwrap().reason.contains("circle"));

    let unknown = end(&[change(BUYER), gone("anna", "nobody")]);
    assert_eq!(unknown.gap.unwrap().at, "sponsor:nobody");

    let many: Vec<RegistryChange> =
        (0..99).map(|n| gone(&format!("s{n}"), &format!("s{}", n + 1))).collect();
    let many = end(&[&[change(BUYER), gone("anna", "s0")], &many[..]].concat());
    assert!(many.gap.unwrap().reason.contains("too many"));
}

/// What an event of `agent` teaches that had `issued` issued while it presented `with`.
fn issue(agent: &str, with: &str, issued: &str) -> RegistryChange {
    let mut event = event(agent, "2026-02-28T23:00:00Z", &[]);
    event.credential_id = CredentialId::try_from(with).unwrap();
    assert!(event.attributes.insert("issued_access_key_id", issued));
    RegistryChange::learned(&event, &Registry::default(), event.time).next().unwrap()
}

#[test]
fn an_issued_credential_leads_to_the_agent_that_had_it_issued() {
    let changes = [
        change(ANNA),
        change(BUYER),
        issue("buyer-1", "key-1", "session-1"),
        issue("role-a", "session-1", "session-2"),
    ];
    let registry = all(&changes);
    let mut event = event("role-b", DURING, &["somebody"]);
    event.credential_id = CredentialId::try_from("session-2").unwrap();

    let found = trace(&registry, &event);

    assert_eq!(
        (found.status, found.sponsor_id.unwrap().as_str()),
        (TraceStatus::Delegated, "anna")
    );
    let methods: Vec<HopMethod> = found.hops.iter().map(|hop| hop.method).collect();
    assert_eq!(methods, [HopMethod::StsKeyJoin, HopMethod::StsKeyJoin, HopMethod::Registry]);
    assert_eq!(found.hops[1].to, "agent:buyer-1");
    assert_eq!(found.hops[1].evidence, "t-0-0", "the event that shows it");
    // Before it was issued, the same key says nothing.
    event.time = time(BEFORE);
    assert_eq!(
        trace(&registry, &event).status,
        TraceStatus::Claimed.max(TraceStatus::Unregistered)
    );
}

#[test]
fn an_agent_that_renews_its_own_credential_is_no_circle() {
    let registry = all(&[change(ANNA), issue("child", "old", "new"), issue("child", "new", "old")]);
    let mut event = event("child", DURING, &[]);
    event.credential_id = CredentialId::try_from("new").unwrap();

    assert_eq!(trace(&registry, &event).status, TraceStatus::Unregistered);
}

#[test]
fn a_refused_issue_teaches_nothing() {
    let mut event = event("buyer-1", DURING, &[]);
    assert!(event.attributes.insert("issued_access_key_id", "session-1"));
    event.outcome = crate::Outcome::Denied;

    assert_eq!(RegistryChange::learned(&event, &Registry::default(), event.time).next(), None);
}
