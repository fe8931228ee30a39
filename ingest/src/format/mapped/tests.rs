//! Expressions and mappings: what they give, what they refuse, and any text and record at all.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use schemas::{Format, Reject, RejectReason, Timestamp, Topic};

use super::*;
use crate::format::tests::record;
use crate::{Normaliser, Redactor};

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(b"a key of the test, longer than 32 bytes"));

const RECORD: &str = r#"{"kind":"tool_call","ts":"01/Mar/2026:10:30:00 +0100","Actor":{"Name":"Buyer-7","via":["planner","jo@corp"]},
    "status":403,"tool":{"name":"pay","arguments":{"vendor_id":"V-1","total":12.5,"currency":"EUR"}},
    "a b":"blank","empty":"","body":"{\"user\":{\"id\":\"u1\"},\"list\":[1,2]}","url":"https://h.example/a/b","list":["x","y"],"no":null}"#;

fn value(expression: &str) -> Option<String> {
    let json = Json::parse(RECORD).unwrap();
    let expression =
        Expression::parse(expression).unwrap_or_else(|e| panic!("{expression}: {e:?}"));
    expression.value(&json).and_then(Value::told).map(Cow::into_owned)
}

#[test]
fn an_expression_gives_what_the_record_holds() {
    for (expression, wanted) in [
        (".kind", Some("tool_call")),
        (".actor.name", Some("Buyer-7")),
        (".\"a b\"", Some("blank")),
        (".list[1]", Some("y")),
        (".list[2]", None),
        (".list", Some("[\"x\",\"y\"]")),
        (".no", None),
        (".no ?? .empty ?? 'else'", Some("else")),
        ("coalesce(.no, .kind)", Some("tool_call")),
        ("lower(.Actor.Name)", Some("buyer-7")),
        ("upper('x')", Some("X")),
        ("trim(' x ')", Some("x")),
        ("prefix('tool:', .tool.name)", Some("tool:pay")),
        ("prefix('tool:', .no)", None),
        ("suffix(.tool.name, '!')", Some("pay!")),
        ("join(':', .kind, .no, .tool.name)", Some("tool_call:pay")),
        ("join('', .no)", None),
        ("split(.url, '/', 2)", Some("h.example")),
        ("split(.url, '/', -1)", Some("b")),
        ("split(.url, '/', 9)", None),
        ("time(.ts, '%d/%b/%Y:%H:%M:%S %z')", Some("2026-03-01T09:30:00.000000Z")),
        ("json(.body).user.id", Some("u1")),
        ("json(.body).list[1]", Some("2")),
        ("json(.kind)", None),
        ("map(.status, 200 => 'success', 403 => 'denied', _ => 'error')", Some("denied")),
        ("map(.kind, 'x' => 'y')", None),
        ("map(.kind, 'x' => 'y', _ => .tool.name)", Some("pay")),
        ("if(.status >= 400, 'bad', 'good')", Some("bad")),
        ("if(.status < 400, 'good')", None),
        (".kind == 'tool_call' and not exists(.no)", Some("true")),
        (".kind != 'tool_call' or .status == 403", Some("true")),
        (".kind > 3", Some("false")),
        (
            "starts_with(.url, 'https:') and ends_with(.url, '/b') and contains(.url, 'h.ex')",
            Some("true"),
        ),
        ("contains(.no, '')", Some("false")),
        ("(.no ?? .kind) == 'tool_call'", Some("true")),
        (r#""it's \"so\" \\""#, Some(r#"it's "so" \"#)),
        (".tool.arguments", Some(r#"{"vendor_id":"V-1","total":12.5,"currency":"EUR"}"#)),
        ("true", Some("true")),
        ("-1.5", Some("-1.5")),
    ] {
        assert_eq!(value(expression).as_deref(), wanted, "{expression}");
    }
    assert!(value(".").unwrap().starts_with('{'));
}

#[test]
fn an_expression_that_is_none_says_where_and_what_was_wanted() {
    let deep = "(".repeat(40);
    let chain = vec![".a"; 60].join(" or ");
    let long = "x".repeat(5_000);
    for (expression, at, wanted) in [
        ("", 0, "wanted a path such as .a.b, a text, a number or a function, found the end"),
        (".a.", 3, "wanted the name of a field, in quotes if it has blanks or dots"),
        (".a..b", 3, "wanted the name of a field"),
        (".a[x]", 3, "wanted the number of an element, from 0, found a name"),
        (".a b", 3, "wanted the end, an operator or ??, found a name"),
        ("lowr(.a)", 0, "wanted a function (lower, upper"),
        ("lower .a", 6, "wanted an opening ( after the function, found a path"),
        ("lower(.a, .b)", 0, "wanted 1 arguments of lower, found 2"),
        ("join('x')", 0, "wanted 2 to 32 arguments of join, found 1"),
        ("lower(.a", 8, "wanted a , or a closing ), found the end"),
        ("\"abc", 0, "wanted a closing quote of this text, found the end"),
        ("map(.a, .b => 'x')", 8, "wanted a text or a number before =>"),
        ("map(.a, 'b' 'x')", 12, "wanted a =>, found a text"),
        ("1.2.3", 0, "wanted a number such as 200 or -1"),
        (&deep, 32, "wanted at most 32 levels"),
        (&chain, 0, "wanted at most 32 conditions in a row"),
        (&long, 4_096, "wanted at most 4096 bytes, found 5000"),
    ] {
        let error = Expression::parse(expression).unwrap_err();
        assert!(error.wanted.starts_with(wanted), "{expression}: {error:?}");
        if expression != chain {
            assert_eq!(error.at, at, "{expression}: {error:?}");
        }
    }
}

fn case(fields: &[(MappedField, &str)]) -> MappingCase {
    let parsed = fields.iter().map(|(field, text)| (*field, Expression::parse(text).unwrap()));
    MappingCase { fields: parsed.collect(), ..MappingCase::default() }
}

fn name() -> MappingName {
    MappingName::new("acme").unwrap()
}

const FIELDS: &[(MappedField, &str)] = &[
    (MappedField::Time, "time(.ts, '%d/%b/%Y:%H:%M:%S %z')"),
    (MappedField::AgentId, "lower(.actor.name)"),
    (MappedField::Action, "join(':', .kind, .tool.name)"),
    (MappedField::Outcome, "map(.status, 200 => 'success', 403 => 'denied', _ => 'error')"),
    (MappedField::CredentialId, "prefix('key:', .actor.name)"),
    (MappedField::CredentialKind, "'static_key'"),
    (MappedField::Arguments, ".tool.arguments"),
];

fn read(case: MappingCase, json: &str) -> Result<CredentialEvent, Reject> {
    let mapping = Mapping::new(name(), vec![case]).unwrap();
    let normaliser = Normaliser::mapped(Arc::new(mapping), REDACTOR.clone());
    let topic = Topic::new("uses");
    normaliser.normalise_one(&record(&topic, Some(json.as_bytes())), Timestamp::EPOCH)
}

#[test]
fn a_mapping_makes_a_whole_event() {
    let mut whole = case(FIELDS);
    whole.delegation = vec![Expression::parse(".actor.via").unwrap()];
    whole.labels =
        vec![Expression::parse("'mapped'").unwrap(), Expression::parse(".list").unwrap()];
    let link = Expression::parse(".url").unwrap();
    whole.attributes = BTreeMap::from([("link".to_owned(), link)]);

    let event = read(whole, RECORD).unwrap();

    assert_eq!(event.format, Format::Mapped(name()));
    assert_eq!(event.time.to_string(), "2026-03-01T09:30:00.000000Z");
    assert_eq!((event.agent_id.as_str(), event.action.as_str()), ("buyer-7", "tool_call:pay"));
    assert_eq!(event.outcome, Outcome::Denied);
    assert_eq!(event.credential_kind, CredentialKind::StaticKey);
    assert_eq!(event.credential_id.as_str(), "key:Buyer-7");
    assert_eq!(event.counterparty_id.unwrap().as_str(), "V-1");
    assert_eq!(event.amount.unwrap().to_string(), "12.50");
    assert_eq!(event.delegation.len(), 2);
    assert_eq!(event.labels, ["mapped", "x", "y"]);
    assert_eq!(event.attributes.get("link"), Some("https://h.example/a/b"));
    assert_eq!(event.attributes.get("kind"), None);
}

#[test]
fn a_record_that_lacks_what_an_event_needs_is_a_reject_with_the_true_reason() {
    for (field, expression, reason, detail) in [
        (
            MappedField::AgentId,
            ".no",
            RejectReason::NoAgent,
            "wanted an agent in `agent_id`, found none",
        ),
        (MappedField::Action, ".no", RejectReason::BadField, "wanted field `action`, found none"),
        (MappedField::Outcome, ".no", RejectReason::BadField, "wanted field `outcome`, found none"),
        (
            MappedField::Outcome,
            ".kind",
            RejectReason::BadField,
            "`outcome`: wanted success, denied or error",
        ),
        (
            MappedField::CredentialKind,
            ".kind",
            RejectReason::BadField,
            "`credential_kind`: wanted one of static_key",
        ),
        (MappedField::Time, ".kind", RejectReason::BadField, "`time`: wanted an RFC 3339 time"),
        (MappedField::Time, ".no", RejectReason::BadField, "wanted field `time`, found none"),
    ] {
        let mut one = case(FIELDS);
        one.fields.insert(field, Expression::parse(expression).unwrap());
        let reject = read(one, RECORD).unwrap_err();

        assert_eq!(reject.reason, reason, "{}", reject.detail);
        assert!(reject.detail.starts_with(detail), "{}", reject.detail);
        assert_eq!(reject.format.as_str(), "acme");
    }
    let mut money = case(FIELDS);
    money.fields.insert(MappedField::Amount, Expression::parse(".kind").unwrap());
    money.fields.insert(MappedField::Currency, Expression::parse("'EUR'").unwrap());
    assert!(read(money, RECORD).unwrap_err().detail.starts_with("`amount`: wanted a decimal"));
}

#[test]
fn the_first_case_that_is_for_a_record_reads_it() {
    let mut one = case(FIELDS);
    one.when = Some(Expression::parse(".kind == 'other'").unwrap());
    assert_eq!(
        read(one, RECORD).unwrap_err().detail,
        "wanted a record that one of the 1 mappings of `acme` is for, found another"
    );

    let mut inner = case(&[
        (MappedField::AgentId, ".user.id"),
        (MappedField::Action, "'read'"),
        (MappedField::Outcome, "'success'"),
        (MappedField::Time, "'2026-03-01T09:30:00Z'"),
    ]);
    inner.record = Some(Expression::parse("json(.body)").unwrap());
    inner.keeps_rest = true;
    let event = read(inner.clone(), RECORD).unwrap();
    assert_eq!(event.agent_id.as_str(), "u1");
    assert_eq!(event.attributes.get("list"), Some("[1,2]"));
    let detail = read(inner, r#"{"body":"no json"}"#).unwrap_err().detail;
    assert!(detail.starts_with("wanted a record with a JSON object at `record`"), "{detail}");
}

#[test]
fn a_mapping_that_no_record_could_pass_is_refused_at_the_start() {
    let without = |field: MappedField| {
        let mut one = case(FIELDS);
        one.fields.remove(&field);
        one.check().unwrap_err().to_string()
    };
    assert!(without(MappedField::AgentId).ends_with("found no `agent_id`"));
    assert!(without(MappedField::Outcome).ends_with("found no `outcome`"));
    assert!(without(MappedField::CredentialId).contains("`credential_id` beside"));
    let with = |field: MappedField, text: &str| {
        let mut one = case(FIELDS);
        one.fields.insert(field, Expression::parse(text).unwrap());
        one.check()
    };
    let odd = "map(.status, 200 => 'ok', _ => 'error')";
    assert_eq!(with(MappedField::Outcome, odd), Err(InvalidMapping::Outcome));
    assert_eq!(with(MappedField::CredentialKind, "'key'"), Err(InvalidMapping::Kind));
    assert_eq!(with(MappedField::Arguments, "lower(.a)"), Err(InvalidMapping::Arguments));
    assert_eq!(with(MappedField::Outcome, "if(.a == 'ok', 'success', 'error')"), Ok(()));
    assert_eq!(Mapping::new(name(), Vec::new()).unwrap_err(), InvalidMapping::Empty);
}

#[test]
fn a_secret_that_a_mapping_puts_together_is_no_secret_any_more() {
    let tail = "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d";
    let mut one = case(FIELDS);
    let made = Expression::parse("join('', 'gh', .rest)").unwrap();
    one.fields.insert(MappedField::CredentialId, made.clone());
    one.attributes = BTreeMap::from([("note".to_owned(), made)]);
    let json = RECORD.replacen('{', &format!("{{\"rest\":\"p_{tail}\","), 1);

    let event = read(one, &json).unwrap();

    assert!(event.credential_id.as_str().starts_with("fp:"), "{event:?}");
    assert!(!format!("{event:?}").contains(tail), "{event:?}");
}

fn any_expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        ".",
        ".a",
        ".a.b",
        ".a[0]",
        "'x'",
        "\"\"",
        "7",
        "-1",
        ".b.\"a b\"",
        "true",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 32, 3, |inner| {
        let one = inner.clone();
        prop_oneof![
            (inner.clone(), one.clone()).prop_map(|(a, b)| format!("({a} ?? {b})")),
            (inner.clone(), one.clone()).prop_map(|(a, b)| format!("({a} == {b} or {b} < {a})")),
            (inner.clone(), one.clone()).prop_map(|(a, b)| format!("join({a}, {b}, {a})")),
            (inner.clone(), one.clone()).prop_map(|(a, b)| format!("split({a}, {b}, -2)")),
            (inner.clone(), one.clone()).prop_map(|(a, b)| format!("time({a}, {b})")),
            (inner.clone(), one.clone()).prop_map(|(a, b)| format!("if({a}, {b}, {a})")),
            (inner.clone(), one).prop_map(|(a, b)| format!("map({a}, 'x' => {b}, _ => {a})")),
            inner.clone().prop_map(|a| format!("json({a}).a")),
            inner.prop_map(|a| format!("lower(not {a})")),
        ]
    })
}

fn any_record() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(vec!["{\"a\":{\"b\":1}}", "true", "%", "x"]).prop_map(Into::into),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_an_error_within_it(text: String, known in any_expression(), at: prop::sample::Index) {
        for text in [text.clone(), { let mut one = known; let at = at.index(one.len() + 1); if one.is_char_boundary(at) { one.insert_str(at, &text); } one }] {
            if let Err(error) = Expression::parse(&text) {
                prop_assert!(error.at <= text.len());
            }
        }
    }

    #[test]
    fn any_mapping_reads_any_record_always_the_same(
        expressions in prop::collection::vec(any_expression(), 6), record in any_record(), rest: bool,
    ) {
        let json = record.to_string();
        let fields = [
            MappedField::AgentId, MappedField::Action, MappedField::Time,
            MappedField::CredentialId, MappedField::Resource,
        ];
        let parsed: Vec<Expression> =
            expressions.iter().map(|text| Expression::parse(text).unwrap()).collect();
        let mut one = case(&[(MappedField::Outcome, "'success'")]);
        one.fields.extend(fields.into_iter().zip(parsed.iter().cloned()));
        one.delegation.clone_from(&parsed);
        one.labels.clone_from(&parsed);
        one.attributes = BTreeMap::from([("x".to_owned(), parsed[5].clone())]);
        one.keeps_rest = rest;
        let once = read(one.clone(), &json);
        prop_assert_eq!(once, read(one, &json));
    }
}
