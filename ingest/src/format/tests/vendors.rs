//! What the formats other than native and CloudTrail have in common: no secret of a record stays,
//! whatever field it stands in; and the vendors' samples are events or say what they miss.

use schemas::{AgentId, Fact, RegistryChange};

use super::*;

/// The formats that this file is about.
fn formats() -> impl Iterator<Item = Format> {
    formats_of_others().filter(|format| *format != Format::CloudTrail)
}

/// A token of a well-known shape, put together here so that no scanner takes this file for a leak.
fn token() -> String {
    ["gh", "p_", "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d"].concat()
}

/// Every text of `json` with its place, as indices on the way down.
fn texts(json: &serde_json::Value, at: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    let children: Vec<&serde_json::Value> = match json {
        serde_json::Value::Array(elements) => elements.iter().collect(),
        serde_json::Value::Object(fields) => fields.values().collect(),
        serde_json::Value::String(_) => {
            found.push(at.clone());
            return;
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
            return;
        }
    };
    for (index, child) in children.into_iter().enumerate() {
        at.push(index);
        texts(child, at, found);
        at.pop();
    }
}

fn text_at<'a>(json: &'a mut serde_json::Value, at: &[usize]) -> &'a mut serde_json::Value {
    at.iter().fold(json, |json, index| {
        if json.is_array() {
            return &mut json[*index];
        }
        json.as_object_mut().unwrap().values_mut().nth(*index).unwrap()
    })
}

#[test]
fn a_secret_in_any_text_of_any_format_is_in_no_event_and_no_reject() {
    let token = token();
    let mut places = 0;
    for format in formats() {
        for line in golden(format).lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let mut found = Vec::new();
            texts(&record, &mut Vec::new(), &mut found);
            for at in found {
                let mut record = record.clone();
                let text = text_at(&mut record, &at);
                *text = format!("{} {token}", text.as_str().unwrap()).into();
                let told_of = |one: Read| match one {
                    Ok(event) => format!("{event:?}"),
                    Err(reject) => reject.detail + &String::from_utf8(reject.raw).unwrap(),
                };
                let all = outcomes(format, record.to_string().as_bytes(), Part::FIRST);
                let told: String = all.into_iter().map(told_of).collect();
                assert!(!told.contains(&token[..8]), "{format} {at:?}: {told}");
                places += 1;
            }
        }
    }
    assert!(500 < places, "{places}");
}

#[test]
fn what_a_field_of_a_secrets_name_holds_is_in_no_event() {
    for (format, from, to) in [
        (Format::Mcp, "\"vendor_id\":", "\"password\":\"hunter2\",\"vendor_id\":"),
        (Format::Otel, r#"{\"vendor_id"#, r#"{\"api_key\":\"hunter2\",\"vendor_id"#),
        (Format::GitHub, "\"operation_type\":", "\"old_secret\":\"hunter2\",\"operation_type\":"),
        (Format::GitHub, "\"content_type\":", "\"secret\":\"hunter2\",\"content_type\":"),
        (Format::OpenAi, "\"scopes\":", "\"client_secret\":\"hunter2\",\"scopes\":"),
        (Format::Teleport, "\"vendor_id\":", "\"token\":\"hunter2\",\"vendor_id\":"),
        (Format::CloudEvents, "\"vendor\":", "\"passwd\":\"hunter2\",\"vendor\":"),
        (Format::Anthropic, "\"model\":", "\"session_token\":\"hunter2\",\"model\":"),
    ] {
        let text = golden(format).replace("\": ", "\":");
        let line =
            text.lines().find(|line| line.contains(from)).unwrap_or_else(|| panic!("{from}"));

        let event = read(format, Some(line.replacen(from, to, 1).as_bytes())).unwrap();

        let told = format!("{event:?}");
        assert!(!told.contains("hunter2") && told.contains("fp:"), "{format}: {told}");
    }
}

#[test]
fn bodies_and_raw_tokens_are_not_kept_even_where_nothing_recognises_them() {
    let kubernetes = r#"{"verb":"create","user":{"username":"a"},"objectRef":{"resource":"secrets"},
        "requestReceivedTimestamp":"2026-03-02T10:00:00Z",
        "requestObject":{"data":{"db":"aHVudGVyMg=="}},"responseObject":{"data":{"db":"aHVudGVyMg=="}}}"#;
    let vault = r#"{"time":"2026-03-02T10:00:00Z","auth":{"client_token":"aHVudGVyMg=="},
        "request":{"operation":"read","path":"kv/x","client_token":"aHVudGVyMg==","data":{"db":"aHVudGVyMg=="}},
        "response":{"data":{"db":"aHVudGVyMg=="}}}"#;
    let teleport = r#"{"time":"2026-03-02T10:00:00Z","event":"bot.join","bot_name":"ci","method":"token",
        "token_name":"aHVudGVyMg==","attributes":{"token":"aHVudGVyMg=="},
        "db_query":"ALTER ROLE a IDENTIFIED BY aHVudGVyMg==","body":{"x":"aHVudGVyMg=="},
        "query":"ALTER ROLE a IDENTIFIED BY aHVudGVyMg==","parameters":["aHVudGVyMg=="],
        "function_args":["aHVudGVyMg=="],"payload":"aHVudGVyMg==","headers":{"X":["aHVudGVyMg=="]},
        "children":[{"query":"aHVudGVyMg=="}]}"#;
    let otel = r#"{"startTimeUnixNano":"1772445603000000000","attributes":[
        {"key":"gen_ai.agent.id","value":{"stringValue":"a"}},
        {"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},
        {"key":"gen_ai.input.messages","value":{"stringValue":"aHVudGVyMg=="}},
        {"key":"gen_ai.prompt.0.content","value":{"stringValue":"aHVudGVyMg=="}},
        {"key":"llm.input_messages.0.message.content","value":{"stringValue":"aHVudGVyMg=="}},
        {"key":"input.value","value":{"stringValue":"aHVudGVyMg=="}},
        {"key":"traceloop.entity.input","value":{"stringValue":"aHVudGVyMg=="}},
        {"key":"gen_ai.tool.call.result","value":{"stringValue":"aHVudGVyMg=="}}]}"#;
    let ocsf = r#"{"class_uid":6003,"time":1772445660000,"actor":{"user":{"uid":"a"}},"api":{"operation":"create",
        "request":{"data":"{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"data\":{\"db\":\"aHVudGVyMg==\"}}"}}}"#;
    let openai = r#"{"event_id":"1","type":"CODEX_LOG","timestamp":"2026-07-09T10:12:00Z","actor":{"user_id":"a"},
        "event_type":"X","input":{"q":"aHVudGVyMg=="},"output":["aHVudGVyMg=="],"message":{"content":"aHVudGVyMg=="},
        "event_details":{"prompt_text":"aHVudGVyMg==","response_text":"aHVudGVyMg==","text":"aHVudGVyMg==",
        "result_preview":"aHVudGVyMg==","agent_fields":{"prompt":"aHVudGVyMg=="},"invoker":{"user_message_text":
        "aHVudGVyMg=="},"trigger_fields":"{\"instructions\":\"aHVudGVyMg==\"}"}}"#;
    for (format, json) in [
        (Format::OpenAi, openai),
        (Format::Ocsf, ocsf),
        (Format::Kubernetes, kubernetes),
        (Format::Vault, vault),
        (Format::Teleport, teleport),
        (Format::Otel, otel),
    ] {
        let told = format!("{:?}", read(format, Some(json.as_bytes())).unwrap());
        assert!(!told.contains("aHVudGVyMg"), "{told}");
    }
}

#[test]
fn no_piece_of_a_secret_stays_where_a_text_of_a_vendor_is_cut() {
    let token = token();
    for (format, from, cut) in [
        (Format::Kubernetes, "procure/2.1", 2_048),
        (Format::Gcp, "storage.objects.get\", \"granted", 4_096),
        (Format::Okta, "OAuth2 access token is granted", 4_096),
        (Format::GitHub, "acme/erp", 2_048),
        (Format::CloudEvents, "//cloudaudit.googleapis.com", 4_096),
    ] {
        let text = golden(format);
        let line =
            text.lines().find(|line| line.contains(from)).unwrap_or_else(|| panic!("{from}"));
        let long = format!("{} {token}", "x".repeat(cut - 6));
        let name_end = from.find('"').unwrap_or(from.len());
        let to = format!("{long}{}", &from[name_end..]);

        let event = read(format, Some(line.replacen(from, &to, 1).as_bytes())).unwrap();

        let told = format!("{event:?}");
        assert!(told.contains("xx fp:") && !told.contains("ghp"), "{format}: {told}");
    }
}

#[test]
fn a_record_without_a_time_has_that_of_its_kafka_record_or_is_refused() {
    let json = r#"{"verb":"get","user":{"username":"a"},"objectRef":{"resource":"pods"}}"#;
    let topic = Topic::new("audit");
    let record_time = Some(Timestamp::from_millis(1_772_445_600_000).unwrap());
    let payload = Some(json.as_bytes());
    let (partition, offset) = (KafkaPartition(0), Offset(0));
    let record =
        RawRecord { topic: &topic, partition, offset, part: Part::FIRST, record_time, payload };

    let event = normaliser(Format::Kubernetes).normalise_one(&record, Timestamp::EPOCH).unwrap();
    let reject = read(Format::Kubernetes, payload).unwrap_err();

    assert_eq!(Some(event.time), record_time);
    assert_eq!(event.attributes.get("time_from"), Some("kafka"));
    assert_eq!(reject.detail, "wanted field `requestReceivedTimestamp`, found none");
}

#[test]
fn a_line_of_a_servers_log_of_git_tells_who_ran_what_where() {
    let line = r#"Oct 26 02:19:31 github-ent github_audit: {"pid":22860,"program":"receive-pack",
        "real_ip":"192.0.2.51","user_agent":"git/1.7.10.4","repo_id":1,"repo_name":"acme/erp",
        "user_login":"octocat","user_id":2,"status":"post_receive_hook"}"#;
    let topic = Topic::new("audit");
    let record_time = Some(Timestamp::from_millis(1_772_445_600_000).unwrap());
    let record = RawRecord { record_time, ..record(&topic, Some(line.as_bytes())) };

    let event = normaliser(Format::GitHub).normalise_one(&record, Timestamp::EPOCH).unwrap();

    assert_eq!((event.agent_id.as_str(), event.action.as_str()), ("octocat", "receive-pack"));
    assert_eq!(event.resource.as_deref(), Some("acme/erp"));
    assert_eq!(event.source_ip.map(|ip| ip.to_string()).as_deref(), Some("192.0.2.51"));
}

#[test]
fn json_inside_a_text_is_not_read_deeper_than_a_record() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    let envelope = serde_json::json!({
        "specversion": "1.0", "id": "1", "source": "okta", "type": "okta", "data": deep,
    });
    let reject = read(Format::CloudEvents, Some(envelope.to_string().as_bytes())).unwrap_err();
    assert_eq!(reject.reason, RejectReason::TooDeep);

    let call = serde_json::json!({
        "time": "2026-03-02T10:00:00Z", "jwt.sub": "a", "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "x", "arguments": deep,
    });
    let event = read(Format::Mcp, Some(call.to_string().as_bytes())).unwrap();
    assert_eq!(event.amount, None);
}

#[test]
fn an_id_that_does_not_fit_is_an_attribute_where_it_is_optional_and_a_fault_where_it_is_not() {
    let long = "x".repeat(600);
    let json = format!(
        r#"{{"@timestamp":1772445600000,"action":"a","actor":"jo","agent_session_id":"{long}"}}"#
    );
    let event = read(Format::GitHub, Some(json.as_bytes())).unwrap();
    assert_eq!(event.session_id, None);
    assert_eq!(event.attributes.get("session_id"), Some(long.as_str()));

    let json = json.replace("\"jo\"", &format!("\"{long}\""));
    let reject = read(Format::GitHub, Some(json.as_bytes())).unwrap_err();
    assert_eq!(reject.detail, "`actor`: wanted 1 to 512 bytes, found 600");
}

#[test]
fn an_unreadable_time_counts_only_where_no_other_is_readable() {
    let json = r#"{"published":"x","uuid":"1","eventType":"a","actor":{"id":"jo"}}"#;
    assert_eq!(
        read(Format::Okta, Some(json.as_bytes())).unwrap_err().reason,
        RejectReason::BadField
    );
    let json = r#"{"requestReceivedTimestamp":"x","stageTimestamp":"2026-03-02T10:00:00Z","verb":"get",
        "user":{"username":"a"}}"#;
    let event = read(Format::Kubernetes, Some(json.as_bytes())).unwrap();
    assert_eq!(event.time.to_string(), "2026-03-02T10:00:00.000000Z");
}

#[test]
fn a_record_full_of_spans_is_read_in_time_and_space_that_its_length_bounds() {
    let attribute = |n: usize| format!(r#"{{"key":"k{n}","value":{{"intValue":{n}}}}}"#);
    let resource: Vec<String> = (0..2_000).map(attribute).collect();
    let circle = |n: usize| format!(r#"{{"spanId":"{n}","parentSpanId":"{}"}}"#, (n + 1) % 2_000);
    let circle: Vec<String> = (0..2_000).map(circle).collect();
    let call = r#"{"spanId":"call","parentSpanId":"0","startTimeUnixNano":"1772445603000000000",
        "attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"execute_tool"}}]}"#;
    let json = |resource: &[String], more: usize| {
        format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{}]}},"scopeSpans":[{{"spans":[{call},{}{}]}}]}}]}}"#,
            resource.join(","),
            circle.join(","),
            ",{}".repeat(more),
        )
    };
    let all = |json: &str| outcomes(Format::Otel, json.as_bytes(), Part::FIRST);

    let parts = all(&json(&[], 1_000));

    assert_eq!(parts.len(), 3_001);
    let no_agent = |one: &Read| one.as_ref().is_err_and(|one| one.reason == RejectReason::NoAgent);
    assert!(parts.iter().all(no_agent));
    for (json, reason) in [
        (json(&[], 10_000), RejectReason::SeveralRecords),
        // The resource would be repeated with each of them.
        (json(&resource, 0), RejectReason::TooLarge),
    ] {
        let [Err(reject)] = &all(&json)[..] else { panic!("it is one") };
        assert_eq!(reject.reason, reason, "{}", reject.detail);
    }
}

#[test]
fn a_kind_is_written_in_small_letters_with_dashes() {
    for (name, wanted) in [
        ("PublicClientApp", "public-client-app"),
        ("AIAgent", "ai-agent"),
        ("URL Pattern", "url-pattern"),
        ("scim_directory_sync", "scim-directory-sync"),
        ("User", "user"),
        ("", ""),
    ] {
        assert_eq!(kebab(name), wanted);
    }
}

#[test]
fn the_vendors_samples_are_events_or_say_what_they_miss() {
    for (file, format, wanted) in [
        (
            "kubernetes-audit",
            Format::Kubernetes,
            &[
                ("wanted an agent in `user.username`, found none", 18),
                ("wanted field `requestReceivedTimestamp`, found none", 63),
                ("wanted field `verb`, found none", 6),
            ][..],
        ),
        (
            "gcp-audit",
            Format::Gcp,
            &[
                ("wanted an agent in `protoPayload.authenticationInfo`, found none", 15),
                ("`receiveTimestamp`: wanted an RFC 3339 time such as 2026-03-01T09:30:00Z", 1),
                ("wanted field `timestamp`, found none", 18),
            ][..],
        ),
        (
            "okta-system-log",
            Format::Okta,
            &[
                ("`published`: wanted an RFC 3339 time such as 2026-03-01T09:30:00Z", 2),
                ("wanted an agent in `actor`, found none", 3),
                ("wanted field `published`, found none", 5),
            ][..],
        ),
        (
            "github-audit",
            Format::GitHub,
            &[
                ("`created_at`: wanted an RFC 3339 time such as 2026-03-01T09:30:00Z", 2),
                ("wanted an agent in `actor`, found none", 1),
                ("wanted field `@timestamp`, found none", 16),
            ][..],
        ),
        ("entra-audit", Format::Entra, &[][..]),
        ("teleport-audit", Format::Teleport, &[][..]),
        ("anthropic-activity", Format::Anthropic, &[][..]),
        ("openai-audit", Format::OpenAi, &[][..]),
    ] {
        let Some(path) = sample(&format!("audit-samples/{file}.jsonl"), "the vendor's samples")
        else {
            continue;
        };

        let (events, rejects) = normalise_file(format, &path);

        let records = std::fs::read_to_string(&path).unwrap().lines().count();
        assert_eq!(events.len() + rejects.len(), records, "{file}");
        for event in &events {
            assert_eq!(event.format, format);
            assert!(!event.action.is_empty(), "{event:?}");
            assert!(!format!("{event:?}").contains("fp:"), "nothing is a secret: {event:?}");
        }
        let mut reasons = BTreeMap::new();
        for reject in &rejects {
            *reasons.entry(reject.detail.as_str()).or_insert(0) += 1;
        }
        assert_eq!(reasons, wanted.iter().copied().collect(), "{file}");
    }
}

/// Secrets of many vendors, put together here so that no scanner takes this file for a leak.
fn secrets() -> Vec<String> {
    let tail = "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3dEf6h";
    let parts = [
        ("gh", "p_"),
        ("github_", "pat_"),
        ("xo", "xb-"),
        ("xo", "xp-"),
        ("sk_", "live_"),
        ("rk_", "live_"),
        ("AI", "za"),
        ("ya", "29."),
        ("sk-", "ant-api03-"),
        ("sk-", "proj-"),
        ("np", "m_"),
        ("gl", "pat-"),
        ("hv", "s."),
        ("h", "f_"),
        ("GOC", "SPX-"),
        ("Bea", "rer "),
        ("Ba", "sic "),
        ("https://bob:", ""),
        ("https://a.example/b?si", "g="),
        ("hooks.slack.com/", "services/"),
    ];
    let mut all: Vec<String> =
        parts.iter().map(|(one, other)| format!("{one}{other}{tail}")).collect();
    all[17].push_str("@db.example/x");
    all.push(["eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.Ab3dEf6hIj9kLm2nOp5qRs8t"].concat());
    all.push(
        [
            "-----BEGIN ",
            "PRIVATE KEY-----\nAb3dEf6hIj9kLm2nOp5qRs8tUv1w\n-----END PRIVATE KEY-----",
        ]
        .concat(),
    );
    all
}

#[test]
fn no_vendors_secret_survives_in_a_value_a_key_or_json_in_a_text_of_any_format() {
    use base64::Engine as _;
    let mut count = 0;
    for secret in secrets() {
        let nested = serde_json::json!({"a": [{"b": secret}]}).to_string();
        let escaped = serde_json::json!({"n": nested}).to_string();
        let base64 = base64::engine::general_purpose::STANDARD.encode(format!("x {secret}"));
        for format in Format::ALL {
            let first = if *format == Format::Native {
                NATIVE.to_owned()
            } else {
                golden(*format).lines().next().unwrap().to_owned()
            };
            let mut record: serde_json::Value = serde_json::from_str(&first).unwrap();
            record["zz_note"] = secret.clone().into();
            record["zz_nested"] = nested.clone().into();
            record["zz_deeper"] = escaped.clone().into();
            record["zz_base64"] = base64.clone().into();
            record["zz_list"] = serde_json::json!([{"x": secret}]);
            record[&secret] = "as a key".into();
            let json = record.to_string();
            let told = match read(*format, Some(json.as_bytes())) {
                Ok(event) => format!("{event:?}"),
                Err(reject) => reject.detail + &String::from_utf8_lossy(&reject.raw),
            };
            let broken = read(*format, Some(&json.as_bytes()[..json.len() - 1])).unwrap_err();
            for told in [told, broken.detail + &String::from_utf8_lossy(&broken.raw)] {
                assert!(!told.contains("Ab3dEf6hIj9k"), "{format} {secret}: {told}");
                assert!(!told.contains(&base64[20..36]), "{format} {secret}: {told}");
                count += 1;
            }
        }
    }
    assert!(600 < count, "{count}");
}

#[test]
fn the_actors_of_a_token_are_the_chain_from_the_agent_to_the_subject() {
    let call = serde_json::json!({
        "time": "2026-03-02T10:00:00Z", "mcp.method.name": "tools/call", "gen_ai.tool.name": "x",
        "jwt": {
            "sub": "jo@example.com",
            "act": {"sub": "researcher", "act": {"sub": "planner", "act": {"sub": "front-door"}}},
        },
    });

    let event = read(Format::Mcp, Some(call.to_string().as_bytes())).unwrap();

    assert_eq!(event.agent_id.as_str(), "researcher");
    let chain: Vec<&str> = event.delegation.iter().map(AgentId::as_str).collect();
    assert_eq!(chain, ["planner", "front-door", "jo@example.com"]);
}

#[test]
fn a_key_that_a_service_account_makes_is_joined_with_its_uses() {
    let key = "projects/p/serviceAccounts/bot@p.iam.gserviceaccount.com/keys/0123abc";
    let call = |method: &str, authentication: serde_json::Value, response: serde_json::Value| {
        let record = serde_json::json!({
            "insertId": "1", "timestamp": "2026-03-02T10:00:00Z",
            "protoPayload": {
                "serviceName": "iam.googleapis.com", "methodName": method,
                "authenticationInfo": authentication, "response": response,
            },
        });
        read(Format::Gcp, Some(record.to_string().as_bytes())).unwrap()
    };
    let agent = "minter@p.iam.gserviceaccount.com";
    let by = serde_json::json!({"principalEmail": agent});
    let made = call(
        "google.iam.admin.v1.CreateServiceAccountKey",
        by.clone(),
        serde_json::json!({"name": key}),
    );
    let with_key = serde_json::json!({
        "principalEmail": "bot@p.iam.gserviceaccount.com",
        "serviceAccountKeyName": format!("//iam.googleapis.com/{key}"),
    });
    let used = call("storage.objects.get", with_key, serde_json::json!({}));

    let nothing = schemas::Registry::default();
    let learned = RegistryChange::learned(&made, &nothing, made.time).next().unwrap();

    let Fact::Issue { credential_id, agent_id, .. } = learned.fact else { panic!("{learned:?}") };
    assert_eq!((&credential_id, agent_id.as_str()), (&used.credential_id, agent));
    let listed =
        call("google.iam.admin.v1.GetServiceAccountKey", by, serde_json::json!({"name": key}));
    assert_eq!(
        RegistryChange::learned(&listed, &nothing, listed.time).next(),
        None,
        "it was made by somebody else"
    );
}

#[test]
fn data_of_confluent_without_their_envelope_take_the_time_of_kafka() {
    let json = r#"{"serviceName":"crn://mds.example.com/kafka=lkc-1","methodName":"kafka.CreateTopics",
        "resourceName":"crn://mds.example.com/kafka=lkc-1/topic=orders",
        "authenticationInfo":{"principal":"User:jo","metadata":{"mechanism":"SASL_SSL/PLAIN","identifier":"jo"}},
        "authorizationInfo":{"granted":false},"requestMetadata":{"client_address":"broker/203.0.113.9"}}"#;
    let topic = Topic::new("confluent-audit-log-events");
    let time = Timestamp::parse("2026-03-02T10:00:00Z").ok();
    let record = RawRecord { record_time: time, ..record(&topic, Some(json.as_bytes())) };

    let event = normaliser(Format::CloudEvents).normalise_one(&record, Timestamp::EPOCH).unwrap();

    assert_eq!(event.agent_id.as_str(), "jo");
    assert_eq!(event.credential_id.as_str(), "password:jo");
    assert_eq!(event.outcome, Outcome::Denied);
    assert_eq!(event.resource_kind.as_deref(), Some("topic"));
    assert_eq!(event.source_ip.map(|ip| ip.to_string()).as_deref(), Some("203.0.113.9"));
    assert_eq!(event.attributes.get("time_from"), Some("kafka"));
}

#[test]
fn home_grown_gateways_name_who_calls_by_flat_names() {
    for (named, agent, delegation) in [
        (r#""actor_client_id":"bot","actor_user_id":"jo""#, "bot", Some("jo")),
        (r#""actor":"jo","client_id":"cursor""#, "cursor", Some("jo")),
        (r#""actor":{"name":"bot"},"user":{"id":"jo"}"#, "bot", Some("jo")),
        (r#""actor_id":"bot","user_id":"jo""#, "bot", Some("jo")),
        (r#""actor_email":"jo@example.com""#, "jo@example.com", None),
        (r#""sub":"jo","source_agent":"bot""#, "bot", Some("jo")),
        (r#""caller_id":"bot""#, "bot", None),
        (r#""requester":"jo","actor_user_id":"unknown""#, "jo", None),
        (r#""api_key_name":"bot","api_key_id":"k-1""#, "bot", None),
        (r#""api_key_id":"k-1""#, "k-1", None),
        (r#""client_info":{"name":"bot"}"#, "bot", None),
    ] {
        let json = format!(r#"{{"time":"2026-03-02T10:00:00Z","tool_name":"pay",{named}}}"#);
        let event = read(Format::Mcp, Some(json.as_bytes())).unwrap();
        assert_eq!(event.agent_id.as_str(), agent, "{json}");
        assert_eq!(event.delegation.first().map(AgentId::as_str), delegation, "{json}");
    }
    for named in [r#""user_id":"unknown""#, r#""agent":"agent:unknown""#] {
        let unknown = format!(r#"{{"ts_unix_ms":1772445600000,"tool_name":"pay",{named}}}"#);
        let reject = read(Format::Mcp, Some(unknown.as_bytes())).unwrap_err();
        assert_eq!(reject.reason, RejectReason::NoAgent, "{named}");
    }
}
