//! The configuration of texts: what is taken, and what is said of what is wrong.

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse("surety.toml", text, &BTreeMap::new())
}

fn with_variable(name: &str, value: &str) -> Result<Config, String> {
    Config::parse("surety.toml", "", &BTreeMap::from([(name.to_owned(), value.into())]))
}

#[test]
fn the_checked_in_file_is_a_whole_configuration() {
    let config = parse("").unwrap();

    assert_eq!(config.kafka.bootstrap_servers, "localhost:9092");
    assert_eq!(config.batch.age_ms_max.get(), Duration::from_secs(5));
    assert!(config.webhooks.is_empty());
    assert_eq!(config.query.listen, Some("127.0.0.1:8463".parse().unwrap()));
}

#[test]
fn the_checked_in_file_has_the_defaults_of_the_detector() {
    assert_eq!(parse("").unwrap().detect, detect::Config::default());
}

#[test]
fn a_file_changes_only_what_it_names() {
    let config = parse(
        "[kafka]\ngroup = \"audit\"\n[http]\nlisten = \"\"\n[detect.budgets]\nreview = 0.5\n",
    )
    .unwrap();

    assert_eq!(config.kafka.group, "audit");
    assert_eq!(config.kafka.bootstrap_servers, "localhost:9092");
    assert_eq!(config.http.listen, None);
    assert!((config.detect.budgets().review() - 0.5).abs() < f64::EPSILON);
    assert!((config.detect.budgets().page() - 0.03).abs() < f64::EPSILON);
}

#[test]
fn a_mistake_is_named_with_line_and_column() {
    for (text, wanted) in [
        ("[batch]\nage-ms-max = 0\n", "surety.toml:2:14: 0 ms is outside 1..=3600000"),
        ("[batch]\nage-ms-mx = 3\n", "surety.toml:2:1: unknown field `age-ms-mx`"),
        ("[kafka]\n\ntopics = 3\n", "surety.toml:3:10: invalid type"),
        ("[kafka\n", "surety.toml:1:7: "),
        ("[http]\nlisten = \"here\"\n", "surety.toml:2:10: wanted an address"),
        ("[log]\nlevel = \"inof\"\n", "surety.toml:2:9: wanted error, warn, info"),
        ("\n[query]\nlisten = \"0.0.0.0:1\"\n", "surety.toml:2:1: wanted a token-file"),
        ("[kafka]\nregistry-topic = \"a b\"\n", "surety.toml:2:18: wanted a topic"),
        (
            "[kafka]\nregistry-topic = \"rejects.replay\"\n",
            "surety.toml:2:18: wanted another topic",
        ),
        (
            "[kafka]\nregistry-topic = \"credential-uses\"\n",
            "surety.toml:2:18: wanted each topic once",
        ),
        (
            "[kafka]\ntopics = [{ name = \"a\", format = \"native\" },\n {name = \"a\", format = \"native\" }]\n",
            "surety.toml:3:10: wanted each topic once",
        ),
        (
            "[kafka]\ntopics = [{ name = \"a\", format = \"native\", epoch = 1 }]\n",
            "surety.toml:2:52: 1 is what a topic is",
        ),
        (
            "[kafka]\ntopics = [{ name = \"a\", format = \"native\", epoch = 2 },\n {name = \"a.epoch-2\", format = \"native\" }]\n",
            "surety.toml:3:10: wanted one topic that the lake calls a.epoch-2",
        ),
        ("\n[detect.budgets]\npage = 5\n", "surety.toml:2:1: wanted 0 < block <= page"),
        ("[lake.upkeep]\nhorizon-hours = 23\n", "surety.toml:2:17: wanted a horizon of 24 to"),
        ("[lake.upkeep]\nfile-bytes = 1\n", "surety.toml:2:14: 1 bytes is outside 1048576"),
        ("[lake.upkeep]\nfiles-min = 1\n", "surety.toml:2:13: 1 files is outside 2..=256"),
        ("[lake.retention]\nseals-days = 1\n", "surety.toml:2:1: unknown field `seals-days`"),
        (
            "[lake.retention]\nevents-days = 40000\n",
            "surety.toml:2:15: ... days is outside 1..=36500",
        ),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.starts_with(wanted), "{message}");
    }
}

#[test]
fn every_day_is_kept_unless_a_number_of_days_is_told() {
    let config = parse("").unwrap();
    assert!(config.lake.retention.days().is_empty() && config.lake.upkeep.in_run);

    let config = parse("[lake.retention]\nfindings-days = 90\n").unwrap();

    let days: Vec<_> = config.lake.retention.days().into_iter().collect();
    assert_eq!(days, [(schemas::Table::Findings, lake::upkeep::Days::new(90).unwrap())]);
    let sizes = |table| config.lake.upkeep.sizes(table, &config.lake.retention);
    assert!(sizes(schemas::Table::Findings).is_daily && !sizes(schemas::Table::Events).is_daily);
    let with = with_variable("SURETY__LAKE__RETENTION__EVENTS_DAYS", "400").unwrap();
    assert_eq!(with.lake.retention.days().len(), 1);
}

#[test]
fn a_filter_of_the_log_is_a_level_or_names_one() {
    for filter in ["info", "WARN", "info,ingest=debug", "lake::commit=trace,off"] {
        filter.parse::<LogFilter>().unwrap();
    }
    for filter in ["", "inof", "info,", "ingest", "info,ingest=dbg"] {
        filter.parse::<LogFilter>().unwrap_err();
    }
}

#[test]
fn the_environment_stands_above_the_file_and_is_named_in_its_mistakes() {
    let set =
        BTreeMap::from([("SURETY__KAFKA__BOOTSTRAP_SERVERS".to_owned(), "kafka:9092".into())]);

    let config = Config::parse("f", "[kafka]\nbootstrap-servers = \"x:1\"\n", &set).unwrap();

    assert_eq!(config.kafka.bootstrap_servers, "kafka:9092");
    for (name, value, wanted) in [
        ("SURETY__BATCH__AGE_MS_MAX", "0", "0 ms is outside"),
        ("SURETY__BATCH__AGE_MS_MAX", "soon", "wanted a value of type integer"),
        ("SURETY__BATCH__AGE_MX_MAX", "1", "unknown field"),
        ("SURETY__NOTHING", "1", "unknown field"),
        ("SURETY__KAFKA__TOPICS", "uses", "wanted a value of type array"),
        ("SURETY__KAFKA__TOPICS", "[{ name = 3 }]", "invalid type: integer, expected a string"),
        ("SURETY__KAFKA", "3", "invalid type: integer, expected struct Kafka"),
        ("SURETY__WEBHOOKS", "[{\"name\":\"soc\"}]", "wanted a list as in the file"),
        ("SURETY__LOG__FORMAT", "xml", "unknown variant, expected `text` or `json`"),
    ] {
        let message = with_variable(name, value).unwrap_err();
        assert!(
            message.starts_with(&format!("environment variable {name}: {wanted}")),
            "{message}"
        );
    }
}

#[test]
fn any_setting_can_come_from_the_environment_with_the_type_it_has_in_the_file() {
    let config = |name: &str, value: &str| with_variable(name, value).unwrap();

    assert_eq!(config("SURETY__KAFKA__GROUP", "7").kafka.group, "7");
    assert_eq!(config("SURETY__KAFKA__GROUP", "true").kafka.group, "true");
    assert_eq!(config("SURETY__KAFKA__GROUP", "\"a\"").kafka.group, "\"a\"");
    assert_eq!(config("SURETY__BATCH__ROWS_MAX", "9").batch.rows_max.get(), 9);
    assert_eq!(config("SURETY__QUERY__LISTEN", "").query.listen, None);
    let topics = "[{ name = \"a\", format = \"cloudtrail\" }]";
    assert_eq!(
        config("SURETY__KAFKA__TOPICS", topics).kafka.topics[0].name.get_ref().as_str(),
        "a"
    );
    let property = config("SURETY__KAFKA__PROPERTIES__SASL_PASSWORD", "12").kafka.properties;
    assert_eq!(property["sasl.password"].get_ref(), "12");
    let option = config("SURETY__LAKE__OPTIONS__AWS_REGION", "eu-central-1").lake.options;
    assert_eq!(option["aws-region"], "eu-central-1");
    let webhook = "[{ name = \"soc\", url = \"https://x.example\", secret = \"s\" }]";
    assert_eq!(config("SURETY__WEBHOOKS", webhook).webhooks[0].get_ref().name, "soc");
    let review = config("SURETY__DETECT__BUDGETS__REVIEW", "1").detect.budgets().review();
    assert!((review - 1.0).abs() < f64::EPSILON);
}

#[test]
fn variables_that_are_no_text_are_passed_over_or_named() {
    use std::os::unix::ffi::OsStringExt as _;
    let broken = OsString::from_vec(vec![0xff, 0xfe]);
    let variable = |name: &str| BTreeMap::from([(name.to_owned(), broken.clone())]);

    Config::parse("f", "", &variable("PATH")).unwrap();
    Config::parse("f", "", &variable("AWS_REGION")).unwrap();
    let message = Config::parse("f", "", &variable("SURETY__KAFKA__GROUP")).unwrap_err();

    assert_eq!(message, "environment variable SURETY__KAFKA__GROUP: wanted UTF-8");
}

#[test]
fn what_the_environment_says_of_object_stores_is_kept() {
    let config = with_variable("AWS_REGION", "eu-central-1").unwrap();

    assert_eq!(config.store_environment["AWS_REGION"], "eu-central-1");
}

/// A secret that must be in no message, wherever it was put.
const CANARY: &str = "whsec_canary";

#[test]
fn no_message_repeats_what_was_found() {
    for text in [
        "[[webhooks]]\nname = 1\nsecret = \"CANARY\"\n",
        "[[webhooks]]\nname = \"a\"\nsecret = { CANARY = 1 }\n",
        "webhooks = \"CANARY\"\n",
        "[kafka]\nproperties = \"sasl.password=CANARY\"\n",
        "[kafka]\nproperties = [\"sasl.password=CANARY\"]\n",
        "[kafka]\nstart = \"CANARY\"\n",
        "[kafka]\nregistry-topic = \"a b CANARY\"\n",
        "[kafka]\ntopics = [{ name = \"a\", format = \"CANARY\" }]\n",
        "[lake]\noptions = \"CANARY, expected CANARY\"\n",
        "[lake]\nurl = [\"CANARY\"]\n",
        "[batch]\nrows-max = \"CANARY\"\n",
        "[http]\nlisten = \"CANARY\"\n",
        "[log]\nlevel = \"CANARY\"\n",
        "[log]\nformat = \"CANARY`, expected `CANARY\"\n",
        "[lake]\nurl = CANARY\n",
        "[lake]\nurl = \"CANARY\n",
    ] {
        let message = parse(&text.replace("CANARY", CANARY)).unwrap_err();
        let shown = message.replace("field `whsec_canary`", "");
        assert!(!shown.contains("canary"), "{message}");
    }
    for (name, value) in [
        ("SURETY__WEBHOOKS", "[{\"name\":\"soc\",\"secret\":\"CANARY\"}]"),
        ("SURETY__WEBHOOKS", "CANARY"),
        ("SURETY__WEBHOOKS", "[{ CANARY = 1 }]"),
        ("SURETY__WEBHOOKS", "[\"CANARY\"]"),
        ("SURETY__KAFKA__PROPERTIES", "sasl.password=CANARY"),
        ("SURETY__KAFKA", "CANARY"),
        ("SURETY__LAKE", "CANARY"),
        ("SURETY__LAKE__OPTIONS", "CANARY"),
        ("SURETY__BATCH__ROWS_MAX", "CANARY"),
        ("SURETY__LOG__FORMAT", "CANARY"),
        ("SURETY__KAFKA__REGISTRY_TOPIC", "a b CANARY"),
        ("SURETY__SECRET", "CANARY"),
    ] {
        let message = with_variable(name, &value.replace("CANARY", CANARY)).unwrap_err();
        assert!(!message.contains("canary"), "{message}");
    }
}

const ACME: &str = r#"
[kafka]
topics = [{ name = "gateway", format = "acme" }]

[[formats]]
name = "acme"
when = '.kind == "call"'
delegation = ['.user']
attributes = { url = ".url" }
[formats.fields]
agent_id = 'lower(.agent)'
action = 'prefix("call:", .tool)'
outcome = 'map(.ok, true => "success", _ => "error")'
"#;

#[test]
fn a_format_of_ones_own_is_read_with_the_configuration() {
    let config = parse(ACME).unwrap();

    let name = schemas::MappingName::new("acme").unwrap();
    assert_eq!(config.mappings.keys().collect::<Vec<_>>(), [&name]);
    assert_eq!(*config.kafka.topics[0].format.get_ref(), schemas::Format::Mapped(name));
}

#[test]
fn a_mistake_in_an_expression_is_named_with_its_own_line_and_column() {
    for (from, to, wanted) in [
        ("lower(.agent)", "lowr(.agent)", "surety.toml:11:13: wanted a function (lower, "),
        ("lower(.agent)", "lower(.agent", "surety.toml:11:25: wanted a , or a closing )"),
        ("'lower(.agent)'", "\"lower(.a..b)\"", "surety.toml:11:22: wanted the name of a field"),
        (
            "'lower(.agent)'",
            "\"lower(.a, \\\"\\\")\"",
            "surety.toml:11:12: at byte 0 of the text: wanted 1",
        ),
        ("['.user']", "['.user', '.']", ""),
        ("['.user']", "['.user', '!']", "surety.toml:8:25: wanted a path"),
        ("\".url\"", "\"url\"", "surety.toml:9:23: wanted a function"),
        ("agent_id =", "agent =", "surety.toml:11:1: unknown"),
        ("outcome =", "resource =", "surety.toml:5:1: format `acme`: wanted `agent_id`"),
        ("_ => \"error\"", "_ => \"bad\"", "surety.toml:13:11: format `acme`: wanted success"),
        ("name = \"acme\"", "name = \"Acme\"", "surety.toml:6:8: wanted a name of 1 to 31"),
        ("name = \"acme\"", "name = \"gcp\"", "surety.toml:6:8: wanted a name that no built-in"),
        ("name = \"acme\"", "name = \"other\"", "surety.toml:3:40: wanted one of native, "),
        ("when =", "where =", "surety.toml:7:1: unknown field `where`"),
    ] {
        assert!(ACME.contains(from), "{from}");
        let parsed = parse(&ACME.replacen(from, to, 1)).err().unwrap_or_default();
        assert!(parsed.starts_with(wanted), "{to}: {parsed}");
        assert_eq!(parsed.is_empty(), wanted.is_empty(), "{to}: {parsed}");
    }
}
