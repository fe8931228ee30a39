//! What the redactor takes for a secret, what it leaves, and what that costs.

use std::sync::LazyLock;

use super::*;

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(b"a key of the test, longer than 32 bytes"));

fn redactor() -> Redactor {
    REDACTOR.clone()
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----";

/// Secrets that are known by their own looks.
fn marked() -> Vec<String> {
    let tail = "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3dEf6h";
    let prefixes = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "xapp-1-",
        "xoxb-",
        "xoxp-",
        "xoxe-",
        "sk-",
        "sk-ant-api03-",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "AIza",
        "ya29.",
        "GOCSPX-",
        "hvs.",
        "hvb.",
        "glpat-",
        "npm_",
        "pypi-",
        "whsec_",
        "sk-proj-",
        "hf_",
        "dop_v1_",
        "shpat_",
        "AGE-SECRET-KEY-1",
    ];
    let mut all: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}{tail}")).collect();
    all.push(format!("SG.{}.{tail}", &tail[..22]));
    all.push(format!("b.AAAA{tail}{tail}"));
    all.push(JWT.to_owned());
    all.push(PEM.to_owned());
    all
}

#[test]
fn a_secret_known_by_its_looks_is_replaced_wherever_it_stands() {
    let redactor = redactor();
    for secret in marked() {
        for text in [
            secret.clone(),
            format!("called with {secret} twice"),
            format!("https://host/path?key={secret}&x=1"),
            format!("line\n{secret}\nline"),
        ] {
            let clean = redactor.text(&text);
            assert!(clean.contains(&redactor.fingerprint(secret.as_bytes())), "{text} -> {clean}");
            assert!(!clean.contains(&secret[secret.len() - 8..]), "{text} -> {clean}");
        }
        assert!(
            !redactor.0.scanner.is_clean(format!("{{\"a\":\"x {secret}\"}}").as_bytes()),
            "{secret}"
        );
    }
}

#[test]
fn a_token_of_vaults_is_known_in_a_path_too() {
    let (redactor, token) = (redactor(), ["s.", "Ab3dEf6hIj9kLm2nOp5qRs8t"].concat());
    for text in [format!("auth/token/lookup/{token}"), format!("called with {token}, twice")] {
        let record = format!("{{\"path\":\"{text}\"}}");
        assert!(!redactor.0.scanner.is_clean(record.as_bytes()), "{text}");
        assert!(redactor.text(&text).contains(&redactor.fingerprint(token.as_bytes())), "{text}");
    }
    let longer = format!("lib/{token}u/index.js");
    assert_eq!(redactor.text(&longer), longer);
}

#[test]
fn a_value_under_a_secret_name_is_replaced_in_every_notation() {
    let redactor = redactor();
    for raw in [
        r#"{"password":"hunter2"}"#,
        r#"{"clientState":"hunter2"}"#,
        r#"{"db_Password" : "hunter2"}"#,
        r#"{"secretAccessKey":"hunter2"}"#,
        r#"{"a":{"x-api-key":["hunter2","b]"]},"b":1}"#,
        r#"{"token":{"value":"hunter2"}}"#,
        r#"{"nested":"{\"password\":\"hunter2\",\"b\":1}"}"#,
        r#"{"nested":"{\\\"client_secret\\\":\\\"hunter2\\\"}"}"#,
        r#"{"m":"login with password=hunter2, failed"}"#,
        r#"{"m":"password: hunter2"}"#,
        r#"{"m":"Authorization: Bearer hunter2"}"#,
        r#"{"m":"Cookie: a=1; session=hunter2"}"#,
        r#"{"m":"bob's pwd: hunter2"}"#,
        r#"{"pwd":"hunter2"}"#,
        "Server=db;Uid=bob;Pwd=hunter2;",
        "AccountName=a;AccountKey=hunter2;EndpointSuffix=core.windows.net",
        "Endpoint=sb://a/;SharedAccessKey=hunter2",
        "https://a.blob.core.windows.net/c?sv=2024-11-04&sig=hunter2&se=2026",
        "https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=hunter2",
        "https://d.cloudfront.net/k?Signature=hunter2&Key-Pair-Id=K1",
        r#"{"q":{"X-Amz-Signature":"hunter2"}}"#,
        r#"{"q":"a?sv=1&sig=hunter2&se=2"}"#,
        r#"{"nested":"{"password":"hunter2"}"}"#,
        r#"{"nested":"{"\u0070assword":"hunter2"}"}"#,
        r#"{"nested":"{"a":"postgres:\/\/bob:hunter2@db"}"}"#,
        r#"{"url":"postgres://bob:hunter2@db/x"}"#,
        r#"{"url":"postgres:\/\/bob:hunter2@db/x"}"#,
        r#"{"\u0070assword":"hunter2"}"#,
        r#"{"password":"hun\u0074er2"}"#,
        r#"{"password":"broken \" quote hunter2"#,
        "{'password': 'hunter2'}",
        "password=hunter2",
        "{\"password\":hunter2",
    ] {
        let clean = redactor.raw(raw.as_bytes());
        let clean = String::from_utf8(clean).unwrap();
        assert!(!clean.contains("hunter2"), "{raw} -> {clean}");
        assert!(clean.contains("fp:"), "{raw} -> {clean}");
    }
}

#[test]
fn an_authorization_code_is_replaced_and_what_an_error_says_is_kept() {
    let redactor = redactor();
    for text in [
        "/oauth/token/display?code=sha256~Zk3q9abcDEF0123456789",
        "https://app.example/cb?state=x&code=4/0AfJohXnZk3q9abcDEF&scope=a",
        "/login?then=%2Foauth%2Ftoken%2Fdisplay%3Fcode%3Dsha256~Zk3q9abcDEF0123",
        r#"{"uri":"/cb?a=1\u0026code=Zk3q9abcDEF01234"}"#,
        r#"{"query":"code=Zk3q9abcDEF01234&state=x"}"#,
        "https://app.example/cb#code=Zk3q9abcDEF01234",
        "grant_type=authorization_code&code_verifier=Zk3q9abcDEF&client_id=a",
        r#"{"device_code":"Zk3q9abcDEF"}"#,
    ] {
        let clean = String::from_utf8(redactor.raw(text.as_bytes())).unwrap();
        assert!(!clean.contains("Zk3q9abcDEF") && clean.contains("fp:"), "{text} -> {clean}");
    }
    for text in [
        "https://app.example/errors?code=404&next=1",
        "/cb?error=x&code=ENOENT",
        "failed with code=InvalidParameterCombination, giving up",
        "code=ERR_CONNECTION_REFUSED",
        "error validating token: error verifying its signature",
        "password: not accepted",
        "/oauth/authorize?response_type=code&code_challenge=Zk3q9abcDEF0123456789",
    ] {
        assert_eq!(redactor.text(text), text);
    }
}

#[test]
fn json_stays_json_where_an_object_or_a_list_is_the_secret() {
    let redactor = redactor();
    for raw in [
        r#"{"token":{"value":"hunter2"},"n":1}"#,
        r#"{"token" : ["hunter2"],"n":1}"#,
        r#"{"a":{"secret":[{"b":"hunter2"}],"n":1}}"#,
    ] {
        let nested = serde_json::json!({"nested": raw}).to_string();
        let twice = serde_json::json!({"body": nested}).to_string();
        for json in [raw.to_owned(), nested, twice] {
            let mut clean = redactor.text(&json).into_owned();
            assert!(!clean.contains("hunter2") && clean.contains("fp:"), "{json} -> {clean}");
            // Down to the innermost text.
            loop {
                let value: serde_json::Value = serde_json::from_str(&clean)
                    .unwrap_or_else(|error| panic!("{error}: {json} -> {clean}"));
                let inner = ["nested", "body"].iter().find_map(|name| value.get(name));
                let Some(inner) = inner else { break };
                clean = inner.as_str().unwrap().to_owned();
            }
        }
    }
}

#[test]
fn no_word_that_is_too_short_to_be_looked_at_is_a_secret() {
    let redactor = redactor();
    for (mark, _, shape) in marks::MARKS {
        use marks::Shape;
        let more = match shape {
            Shape::Token { chars_min }
            | Shape::TokenAfterBreak { chars_min }
            | Shape::Base64 { chars_min }
            | Shape::Hex { chars_min }
            | Shape::Word { chars_min }
            | Shape::Scheme { chars_min }
            | Shape::Alone { chars: chars_min } => *chars_min,
            Shape::Inside { before, after } => before + after,
            // These need a letter that is none of a word, or 30 of them.
            Shape::KeyId
            | Shape::Bot
            | Shape::Login
            | Shape::Jwt
            | Shape::Block { .. }
            | Shape::Putty
            | Shape::UserInfo => 30,
        };
        let is_word = mark.bytes().all(scan::is_token);
        assert!(!is_word || SECRET_BYTES_MIN <= mark.len() + more, "{mark}");
    }
    assert_eq!(redactor.text("xoxb-Ab3dEf6hI"), "xoxb-Ab3dEf6hI");
    assert_ne!(redactor.text("xoxb-Ab3dEf6hIj"), "xoxb-Ab3dEf6hIj");
}

fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    });
    encoded.collect()
}

/// Texts that hide `secret`, each with what must not be left of it.
fn hidden(secret: &str, core: &str) -> Vec<(String, String)> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let mut all = vec![
        (percent_encoded(secret), core.to_owned()),
        (percent_encoded(&percent_encoded(secret)), core.to_owned()),
        (hex(secret.as_bytes()), hex(&secret.as_bytes()[secret.len() - 8..])),
        (
            hex(secret.as_bytes()).to_uppercase(),
            hex(&secret.as_bytes()[secret.len() - 8..]).to_uppercase(),
        ),
    ];
    for before in ["", "x", "xy", "user:"] {
        for text in [
            STANDARD.encode(format!("{before} {secret}")),
            URL_SAFE_NO_PAD.encode(format!("{before} {secret} and more of it")),
        ] {
            let piece = text[24..40].to_owned();
            all.push((text, piece));
        }
    }
    all
}

#[test]
fn a_secret_that_an_encoding_hides_is_replaced() {
    let redactor = redactor();
    let of_marks = marked().into_iter().map(|secret| {
        let core = secret[secret.len() - 12..].to_owned();
        (secret, core)
    });
    let named = [
        ("Authorization: Bearer Ab3dEf6hIj9kLm2nOp5qRs8t", "Ab3dEf6hIj9k"),
        ("postgres://bob:hunter2hunter2hunter2@db.example/x", "hunter2hunter2"),
        ("https://a.example/c?sig=Ab3dEf6hIj9kLm2nOp5qRs8t", "Ab3dEf6hIj9k"),
        ("password=hunter2hunter2hunter2hunter2", "hunter2hunter2"),
    ];
    let named = named.map(|(secret, core)| (secret.to_owned(), core.to_owned()));
    let mut count = 0;
    for (secret, core) in of_marks.chain(named) {
        for (text, piece) in hidden(&secret, &core) {
            for place in
                [text.clone(), format!("see {text}, please"), format!("{{\"a\":\"{text}\"}}")]
            {
                let clean = redactor.text(&place);
                assert!(
                    !clean.contains(&piece) && clean.contains("fp:"),
                    "{secret}: {place} -> {clean}"
                );
                count += 1;
            }
            let record = format!("{{\"a\":\"{text}\"}}");
            assert!(!redactor.0.scanner.is_clean(record.as_bytes()), "{record}");
        }
    }
    assert!(1_000 < count, "{count}");
}

#[test]
fn what_is_encoded_and_no_secret_stays() {
    let redactor = redactor();
    for text in [
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQsIGNvbnNlY3RldHVyIGFkaXBpc2NpbmcgZWxpdA",
        "projects/erp-prod/logs/cloudaudit.googleapis.com%2Fdata_access",
        "https://h.example/a%20b?c=%C3%BC&page=2",
        "/api/v1/companies/purchase-orders/approvals/pending/by-region/europe",
        "spiffe://corp/ns/agents/sa/procurement-agent-production-europe-west-1",
    ] {
        assert_eq!(redactor.text(text), text);
    }
}

#[test]
fn after_a_change_of_keys_each_fingerprint_names_the_one_before() {
    let (old, new) =
        (Redactor::new(b"the old key"), Redactor::rotated(b"the new key", b"the old key"));
    let token = ["gh", "p_", "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d"].concat();
    let example = include_str!("../../../schemas/json/credential_event.v1.example.json");
    let json = example.replace("svc-erp-purchasing", &token).replace(
        "\"cost_center\": \"4400\"",
        "\"password\": \"hunter2\", \"note\": \"sig=x1, sig=x2\"",
    );
    let topic = schemas::Topic::new("uses");
    let read = |redactor: &Redactor| {
        let raw = crate::RawRecord {
            topic: &topic,
            partition: schemas::KafkaPartition(0),
            offset: schemas::Offset(0),
            part: schemas::Part::FIRST,
            record_time: None,
            payload: Some(json.as_bytes()),
        };
        let normaliser = crate::Normaliser::new(schemas::Format::Native, redactor.clone());
        normaliser.normalise_one(&raw, schemas::Timestamp::EPOCH).unwrap()
    };

    let (before, after) = (read(&old), read(&new));

    assert_ne!(before.credential_id, after.credential_id);
    for secret in [token.as_str(), "hunter2", "x1", "x2"] {
        let (old, new) = (old.fingerprint(secret.as_bytes()), new.fingerprint(secret.as_bytes()));
        assert_eq!(after.attributes.get(&new), Some(old.as_str()), "{secret}: {after:?}");
        assert_eq!(before.attributes.get(&old), None);
    }
}

#[test]
fn names_are_composed_and_those_that_look_like_others_are_marked() {
    let mut record =
        include_str!("../../../schemas/json/credential_event.v1.example.json").to_owned();
    record = record.replace("procurement-agent-3", "Jose\u{301}-3");
    let topic = schemas::Topic::new("uses");
    let read = |json: &str| {
        let raw = crate::RawRecord {
            topic: &topic,
            partition: schemas::KafkaPartition(0),
            offset: schemas::Offset(0),
            part: schemas::Part::FIRST,
            record_time: None,
            payload: Some(json.as_bytes()),
        };
        let normaliser = crate::Normaliser::new(schemas::Format::Native, redactor());
        normaliser.normalise_one(&raw, schemas::Timestamp::EPOCH).unwrap()
    };

    let event = read(&record);
    assert_eq!(event.agent_id.as_str(), "Jos\u{e9}-3");
    assert!(!event.labels.iter().any(|label| label == "confusable_name"), "{event:?}");
    let escaped = record.replace("Jose\u{301}-3", "Jose\\u0301-3");
    assert_eq!(read(&escaped).agent_id.as_str(), "Jos\u{e9}-3");
    let event = read(&record.replace("Jose\u{301}-3", "\u{440}rocurement-agent-3"));
    assert!(event.labels.iter().any(|label| label == "confusable_name"), "{event:?}");
    let event = read(&record.replace("Jose\u{301}-3", "\\u0440rocurement-agent-3"));
    assert!(event.labels.iter().any(|label| label == "confusable_name"), "{event:?}");
}

#[test]
fn what_only_sounds_like_a_secret_stays() {
    let redactor = redactor();
    for text in [
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:MyDb-AbCdEf",
        "token.refresh",
        "token:refresh",
        "task-123456789012345678901234567890",
        "service_account_token",
        "risk-assessment-of-the-second-quarter",
        "myxapp-production-frontend-cluster-eu-west-1",
        "task_live_0123456789abcdefghij",
        "design=new, config=old, sigma=3",
        "{\"signature\":\"ok\",\"sig\":\"ok\",\"pwd_age_days\":\"7\"}",
        "AC0123456789abcdef0123456789abcdef",
        "C:\\users\\u0070\\/x",
        "https://host:8080/a@b",
        "spiffe://corp/agent/7",
        "{\"secretId\":\"MyDb\",\"token_count\":\"1200\",\"password\":null}",
        "{\"device_cookie\":null,\"actor_session\":1}",
        "AKIAIOSFODNN7EXAMPLE",
        "Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165",
    ] {
        assert_eq!(redactor.text(text), text);
    }
}

#[test]
fn an_ordinary_record_is_clean_at_the_first_look() {
    let record = include_bytes!("../../../schemas/json/credential_event.v1.example.json");

    assert!(redactor().0.scanner.is_clean(record));
}

#[test]
fn a_fingerprint_is_stable_keyed_and_not_replaced_again() {
    let (one, two) = (redactor(), Redactor::new(b"another key"));
    let clean = one.text("password=hunter2").into_owned();

    assert_eq!(clean, format!("password={}", one.fingerprint(b"hunter2")));
    assert_eq!(one.text(&clean), clean);
    assert_eq!(
        one.fingerprint(b"x"),
        Redactor::new(b"a key of the test, longer than 32 bytes").fingerprint(b"x")
    );
    assert_ne!(one.fingerprint(b"x"), two.fingerprint(b"x"));
    assert_eq!(one.fingerprint(b"x").len(), 3 + 8 + 1 + 32);
}

#[test]
fn a_secret_across_the_cut_of_a_long_record_leaves_no_piece() {
    let redactor = redactor();
    let secret = format!("ghp_{}", "A1b2".repeat(10));
    let mut raw = vec![b' '; Reject::RAW_BYTES_MAX - 10];
    raw.extend_from_slice(secret.as_bytes());

    let clean = redactor.raw(&raw);

    assert_eq!(clean.len(), Reject::RAW_BYTES_MAX);
    assert!(!String::from_utf8(clean).unwrap().contains("ghp_"));
}

/// Texts that hold many beginnings of secrets, as long as a record may be.
fn hostile() -> impl Iterator<Item = Vec<u8>> {
    [
        "password=",
        "-----BEGIN PRIVATE KEY",
        "://a:b",
        "\"token\":\"\\",
        "token:[",
        "\\u00",
        "\\\\/",
        "eyJ",
        "-eyJ",
        "xsk-",
        "sk-x",
        "xnpm_",
        "ghp_x.",
        "Bearer x",
        "xhvs.SG.",
        "sig=",
        "AccountKey",
        "%25",
        "%67%",
        "Ab1+",
        "6768705f",
    ]
    .into_iter()
    .map(|piece| piece.repeat(crate::format::RECORD_BYTES_MAX / piece.len()).into_bytes())
}

#[test]
fn a_hostile_text_costs_linear_time() {
    let redactor = redactor();
    for text in hostile() {
        let mut secrets = redactor.0.scanner.secrets(&text);
        while secrets.next().is_some() {}

        let shown = String::from_utf8_lossy(&text[..12]);
        assert!(secrets.steps() <= 2 * text.len(), "{shown}: {} steps", secrets.steps());
        assert!(redactor.raw(&text).len() <= Reject::RAW_BYTES_MAX);
    }
}

#[test]
fn the_redactor_does_not_print_its_key() {
    assert!(!format!("{:?}", redactor()).contains("longer"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_can_be_redacted(bytes: Vec<u8>, at in 0_usize..64) {
        let mut hostile = bytes;
        let at = at.min(hostile.len());
        hostile.splice(at..at, *b"\"password\":\"");
        let clean = redactor().raw(&hostile);
        proptest::prop_assert!(clean.len() <= Reject::RAW_BYTES_MAX);
    }
}
