//! What the loop takes into the registry: from its topic, from other processes, and from the events.

use super::*;

/// Tells the lake, as another process does, that this sponsor answers for this agent.
pub(super) async fn import(folder: &Path, sponsor: &str, agent: &str) {
    let changes: Vec<schemas::RegistryChange> = serde_json::from_value(serde_json::json!([
        {
            "schema": "surety.registry_change.v1", "kind": "sponsor", "active": true,
            "sponsor_id": sponsor, "valid_from": "2026-01-01T00:00:00Z",
        },
        {
            "schema": "surety.registry_change.v1", "kind": "agent", "agent_id": agent,
            "sponsor_id": sponsor, "valid_from": "2026-01-01T00:00:00Z",
        },
    ]))
    .unwrap();
    lake_in(folder).import_registry(&changes, clock::now()).await.unwrap();
}

#[tokio::test]
async fn an_import_by_another_process_is_seen_while_the_loop_runs() {
    let folder = TempDir::new().unwrap();
    let mut pipeline = started(folder.path(), Log::of(&[("uses", uses(10))])).await;
    import(folder.path(), "ann@example.com", "agent-0").await;

    pipeline.watched.look_now();
    let found = pipeline.watched.next(&pipeline.parts.lake).await;
    pipeline.learn(found);
    take(&mut pipeline).await;
    pipeline.commit(false).unwrap();
    assert_eq!(settled(&mut pipeline).await, Settled::Landed);

    let sql = "SELECT count(sponsor_id) AS n FROM events";
    assert_eq!(rows(folder.path(), sql).await[0]["n"], 4, "every third use is agent-0's");
    // Nothing new is no news.
    pipeline.watched.look_now();
    let found = pipeline.watched.next(&pipeline.parts.lake).await.unwrap();
    assert_eq!(found.1, []);
}

#[tokio::test]
async fn of_two_changes_in_one_batch_the_later_one_holds() {
    let folder = TempDir::new().unwrap();
    let told = |kind: &str, rest: &str| {
        let head = r#""schema":"surety.registry_change.v1","valid_from":"2026-01-01T00:00:00Z""#;
        format!("{{{head},\"kind\":\"{kind}\",{rest}}}").into_bytes()
    };
    let answers =
        |sponsor: &str| told("agent", &format!(r#""agent_id":"agent-0","sponsor_id":"{sponsor}""#));
    let active =
        |sponsor: &str| told("sponsor", &format!(r#""active":true,"sponsor_id":"{sponsor}""#));
    let changes = vec![active("zoe"), active("ann"), answers("zoe"), answers("ann")];
    let log = || Log::of(&[("registry", changes.clone()), ("uses", uses(3))]);
    run_to_end(started(folder.path(), log()).await).await.unwrap();

    let sql = "SELECT sponsor_id FROM events WHERE agent_id = 'agent-0'";
    assert_eq!(rows(folder.path(), sql).await[0]["sponsor_id"], "ann");
    // The lake tells it in the same order.
    let stored = lake_in(folder.path()).read_registry().await.unwrap();
    assert_eq!(stored.last().unwrap().fact.subject(), "agent-0");
    assert!(stored[2].recorded_at < stored[3].recorded_at, "{stored:?}");
}

#[tokio::test]
async fn a_change_of_a_cut_that_is_written_again_is_there_once() {
    let folder = TempDir::new().unwrap();
    let change = br#"{"schema":"surety.registry_change.v1","kind":"sponsor","active":true,
        "sponsor_id":"ann@example.com","valid_from":"2026-01-01T00:00:00Z"}"#;
    let log = Log::of(&[("registry", vec![change.to_vec()]), ("uses", uses(3))]);
    let mut pipeline = started(folder.path(), log).await;
    let in_the_way = block(folder.path());
    take(&mut pipeline).await;
    pipeline.commit(false).unwrap();
    assert_eq!(settled(&mut pipeline).await, Settled::Stalled);

    fs::remove_file(&in_the_way).unwrap();
    pipeline.try_again();

    assert_eq!(settled(&mut pipeline).await, Settled::Landed);
    assert_eq!(count(folder.path(), "registry_changes").await, 1);
}

/// A use of `credential` by `agent`, which has `issued` issued if there is one.
pub(super) fn use_of(agent: &str, credential: &str, issued: Option<&str>) -> Value {
    let attributes: BTreeMap<&str, &str> =
        issued.iter().map(|id| ("issued_access_key_id", *id)).collect();
    serde_json::json!({
        "schema": "surety.credential_event.v1", "time": "2026-03-02T10:00:00Z", "agent_id": agent,
        "credential_id": credential, "credential_kind": "temporary_key", "action": "sts:AssumeRole",
        "outcome": "success", "attributes": attributes,
    })
}

/// Sponsors of the role's events by offset, in a lake made with micro-batches and commits of so many
/// records.
async fn sponsors_of_the_role(records_max: usize) -> Value {
    let folder = TempDir::new().unwrap();
    import(folder.path(), "ann", "buyer").await;
    let events = [
        use_of("role", "session-1", None),
        use_of("buyer", "key", Some("session-1")),
        use_of("role", "session-1", None),
        use_of("role", "session-1", Some("session-2")),
        use_of("other-role", "session-2", None),
    ];
    for end in (records_max..events.len()).step_by(records_max).chain([events.len()]) {
        // Each run is a process of its own: what was learned is in the lake.
        let records = events[..end].iter().map(|event| event.to_string().into_bytes());
        let log = Log::of(&[("uses", records.collect())]);
        run_to_end(started(folder.path(), log).await).await.unwrap();
    }
    assert_eq!(count(folder.path(), "registry_changes").await, 4, "each issue is learned once");
    let sql = "SELECT kafka_offset, sponsor_id, trace_status FROM events ORDER BY 1";
    rows(folder.path(), sql).await
}

#[tokio::test]
async fn who_had_a_credential_issued_answers_whatever_the_batches_were() {
    let whole = sponsors_of_the_role(10).await;

    let sponsors: Vec<&Value> =
        whole.as_array().unwrap().iter().map(|row| &row["sponsor_id"]).collect();
    let ann = &Value::from("ann");
    // Before it was issued, nobody could know.
    assert_eq!(sponsors, [&Value::Null, ann, ann, ann, ann], "{whole}");
    assert_eq!(whole[4]["trace_status"], "delegated");
    for records_max in [1, 2, 3] {
        assert_eq!(sponsors_of_the_role(records_max).await, whole, "{records_max} at once");
    }
}

#[tokio::test]
async fn a_disposition_reaches_the_detector_of_a_running_loop_and_of_one_that_starts_again() {
    let folder = TempDir::new().unwrap();
    let mut pipeline = started(folder.path(), Log::of(&[("uses", uses(10))])).await;
    let event: Value = serde_json::from_slice(&uses(1)[0]).unwrap();
    let said: schemas::RegistryChange = serde_json::from_value(serde_json::json!({
        "schema": "surety.registry_change.v1", "kind": "disposition", "finding_id": "fnd_1",
        "verdict": "confirmed", "detector": "new_action", "agent_id": event["agent_id"],
        "action": event["action"], "by": "soc", "valid_from": "2020-01-01T00:00:00Z",
        "recorded_at": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    let told = pipeline.detector.told();
    lake_in(folder.path()).import_registry(&[said], clock::now()).await.unwrap();

    pipeline.watched.look_now();
    let found = pipeline.watched.next(&pipeline.parts.lake).await;
    pipeline.learn(found);

    assert_eq!((told, pipeline.detector.told()), (0, 1));
    drop(pipeline);
    let again = started(folder.path(), Log::of(&[("uses", uses(10))])).await;
    assert_eq!(again.detector.told(), 1);
}
