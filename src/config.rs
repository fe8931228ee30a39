//! The configuration: one file, over it the environment, under both the defaults.
//!
//! Invariant: the defaults are the checked-in `surety.toml`, compiled in, and nothing else. A value
//! that is wrong is reported as `path:line:column: what was wanted`, or with the name of the
//! environment variable it came from. Values are never repeated in an error: one could be a secret.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::exit::{Exit, Failure};

const DEFAULTS: &str = include_str!("../surety.toml");
const ENVIRONMENT_PREFIX: &str = "SURETY__";

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(crate) lake: Lake,
    pub(crate) state: State,
    pub(crate) kafka: Kafka,
    pub(crate) batch: Batch,
    pub(crate) http: Http,
    pub(crate) log: Log,
    pub(crate) redaction: Redaction,
    #[serde(default)]
    pub(crate) detect: detect::Config,
    #[serde(default)]
    pub(crate) webhooks: Vec<Webhook>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Lake {
    pub(crate) url: String,
    pub(crate) options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct State {
    pub(crate) dir: PathBuf,
    pub(crate) checkpoint_ms: Millis,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Kafka {
    pub(crate) bootstrap_servers: String,
    pub(crate) group: String,
    pub(crate) start: Start,
    pub(crate) topics: Vec<KafkaTopic>,
    pub(crate) registry_topic: String,
    pub(crate) properties: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Start {
    Earliest,
    Latest,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KafkaTopic {
    pub(crate) name: schemas::Topic,
    pub(crate) format: schemas::Format,
}

/// When a micro-batch is closed, and when its rows are committed.
#[expect(clippy::struct_field_names, reason = "these are limits, and named as in the file")]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Batch {
    pub(crate) records_max: Count,
    pub(crate) wait_ms_max: Millis,
    pub(crate) rows_max: Count,
    pub(crate) bytes_max: Count,
    /// Age of the oldest row: the upper bound on how stale the lake may be.
    pub(crate) age_ms_max: Millis,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Http {
    #[serde(deserialize_with = "address_or_empty")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Redaction {
    pub(crate) key_file: PathBuf,
}

/// One endpoint that receives findings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Webhook {
    pub(crate) name: String,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) secret: Option<secrecy::SecretString>,
    #[serde(default)]
    pub(crate) secret_file: Option<PathBuf>,
    #[serde(default = "every_severity")]
    pub(crate) severity: schemas::Severity,
    /// Whether plain http and addresses of this machine or network are allowed.
    #[serde(default)]
    pub(crate) allow_private: bool,
}

fn every_severity() -> schemas::Severity {
    schemas::Severity::Review
}

/// A duration written as whole milliseconds, 1 ms to 1 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Millis(Duration);

impl Millis {
    pub(crate) const fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<u64> for Millis {
    type Error = String;

    fn try_from(ms: u64) -> Result<Self, String> {
        match ms {
            1..=3_600_000 => Ok(Self(Duration::from_millis(ms))),
            _ => Err(format!("{ms} ms is outside 1..=3600000")),
        }
    }
}

/// A number of rows, records or bytes, 1 to 2^40. There is no "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Count(usize);

impl Count {
    pub(crate) const fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<u64> for Count {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        match usize::try_from(count) {
            Ok(count @ 1..=0x100_0000_0000) => Ok(Self(count)),
            _ => Err(format!("{count} is outside 1..={}", 0x100_0000_0000_u64)),
        }
    }
}

fn address_or_empty<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    let wanted = "wanted an address with a port such as 127.0.0.1:9464, or an empty text";
    text.parse().map(Some).map_err(|_| serde::de::Error::custom(wanted))
}

impl Config {
    /// Reads the file (or, without one, only the defaults) and the environment.
    ///
    /// # Errors
    ///
    /// A [`Failure`] with [`Exit::Config`] that says where.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let text = match path {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                Failure::new(Exit::Config, error)
                    .while_doing(format!("read the configuration {}", path.display()))
            })?,
            None => String::new(),
        };
        let environment = std::env::vars().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        let name = path.map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
        Self::parse(&name, &text, &environment.collect())
            .map_err(|message| Failure::told(Exit::Config, message))
    }

    /// Pure: the configuration of these texts, or a message with the place of the mistake.
    fn parse(
        path: &str,
        text: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let place = |error: &toml::de::Error| {
            locate(path, text, environment, error.span(), error.message())
        };
        let defaults = DeTable::parse(DEFAULTS).expect("the checked-in surety.toml is TOML");
        let mut merged = defaults.into_inner();
        merge(&mut merged, DeTable::parse(text).map_err(|error| place(&error))?.into_inner());
        for (index, (name, value)) in environment.iter().enumerate() {
            let at = text.len() + 1 + index;
            merge(&mut merged, variable(name, value, at..at));
        }
        let whole = Spanned::new(0..0, merged);
        Self::deserialize(toml::de::Deserializer::from(whole)).map_err(|error| place(&error))
    }
}

/// Lays `over` on `under`: tables are merged, everything else is replaced.
fn merge<'a>(under: &mut DeTable<'a>, over: DeTable<'a>) {
    for (key, value) in over {
        if let (Some(DeValue::Table(below)), DeValue::Table(_)) =
            (under.get_mut(&key).map(Spanned::get_mut), value.get_ref())
        {
            let DeValue::Table(above) = value.into_inner() else { continue };
            merge(below, above);
        } else {
            under.remove(&key);
            under.insert(key, value);
        }
    }
}

/// The table that `SURETY__A__B_C=value` stands for: `{a: {b-c: value}}`.
fn variable<'a>(name: &str, value: &'a str, span: Range<usize>) -> DeTable<'a> {
    let parsed = DeValue::parse(value).map(Spanned::into_inner);
    let mut value = parsed.unwrap_or_else(|_| DeValue::String(value.into()));
    let path: Vec<String> = name[ENVIRONMENT_PREFIX.len()..]
        .split("__")
        .map(|part| part.to_lowercase().replace('_', "-"))
        .collect();
    let mut table = DeTable::default();
    for key in path.into_iter().rev() {
        table = DeTable::default();
        table.insert(Spanned::new(span.clone(), key.into()), Spanned::new(span.clone(), value));
        value = DeValue::Table(table.clone());
    }
    table
}

/// `path:line:column: message`, or the name of the environment variable.
fn locate(
    path: &str,
    text: &str,
    environment: &BTreeMap<String, String>,
    span: Option<Range<usize>>,
    message: &str,
) -> String {
    let message = message.trim_end().replace('\n', "; ");
    let Some(span) = span else { return format!("{path}: {message}") };
    if let Some(index) = span.start.checked_sub(text.len() + 1)
        && let Some(name) = environment.keys().nth(index)
    {
        return format!("environment variable {name}: {message}");
    }
    let before = &text[..text.floor_char_boundary(span.start)];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    format!("{path}:{line}:{column}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse("surety.toml", text, &BTreeMap::new())
    }

    #[test]
    fn the_checked_in_file_is_a_whole_configuration() {
        let config = parse("").unwrap();

        assert_eq!(config.kafka.bootstrap_servers, "localhost:9092");
        assert_eq!(config.batch.age_ms_max.get(), Duration::from_secs(5));
        assert!(config.webhooks.is_empty());
    }

    #[test]
    fn a_file_changes_only_what_it_names() {
        let config = parse("[kafka]\ngroup = \"audit\"\n[http]\nlisten = \"\"\n").unwrap();

        assert_eq!(config.kafka.group, "audit");
        assert_eq!(config.kafka.bootstrap_servers, "localhost:9092");
        assert_eq!(config.http.listen, None);
    }

    #[test]
    fn a_mistake_is_named_with_line_and_column() {
        for (text, wanted) in [
            ("[batch]\nage-ms-max = 0\n", "surety.toml:2:14: 0 ms is outside 1..=3600000"),
            ("[batch]\nage-ms-mx = 3\n", "surety.toml:2:1: unknown field `age-ms-mx`"),
            ("[kafka]\n\ntopics = 3\n", "surety.toml:3:10: invalid type"),
            ("[kafka\n", "surety.toml:1:7: "),
            ("[http]\nlisten = \"here\"\n", "surety.toml:2:10: wanted an address"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with(wanted), "{message}");
        }
    }

    #[test]
    fn the_environment_stands_above_the_file_and_is_named_in_its_mistakes() {
        let variable =
            |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let set = variable("SURETY__KAFKA__BOOTSTRAP_SERVERS", "kafka:9092");
        let wrong = variable("SURETY__BATCH__AGE_MS_MAX", "0");

        let config = Config::parse("f", "[kafka]\nbootstrap-servers = \"x:1\"\n", &set).unwrap();
        let message = Config::parse("f", "", &wrong).unwrap_err();

        assert_eq!(config.kafka.bootstrap_servers, "kafka:9092");
        assert!(
            message.starts_with("environment variable SURETY__BATCH__AGE_MS_MAX: 0 ms"),
            "{message}"
        );
    }

    #[test]
    fn a_wrong_secret_is_not_repeated() {
        let message = parse("[[webhooks]]\nname = 1\nsecret = \"whsec_hidden\"\n").unwrap_err();

        assert!(!message.contains("hidden"), "{message}");
    }
}
