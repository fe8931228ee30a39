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
    ];
    let mut all: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}{tail}")).collect();
    all.push(format!("SG.{}.{tail}", &tail[..22]));
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
fn a_value_under_a_secret_name_is_replaced_in_every_notation() {
    let redactor = redactor();
    for raw in [
        r#"{"password":"hunter2"}"#,
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
