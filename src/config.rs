//! The configuration: one file, over it the environment, under both the defaults.
//!
//! Invariant: the defaults are the checked-in `surety.toml`, compiled in, and nothing else. A value
//! that is wrong is reported as `path:line:column: what was wanted`, or with the name of the
//! environment variable it came from. Values are never repeated in an error: one could be a secret.
//! This file is the only one that reads the environment.

mod formats;
mod overlay;
mod place;
mod topics;
mod upkeep;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use crate::exit::{Exit, Failure};
pub(crate) use formats::{Mappings, unknown as unknown_format};
pub(crate) use place::Origin;
pub(crate) use topics::KafkaTopic;
pub(crate) use upkeep::{HorizonHours, Retention, Upkeep};

const DEFAULTS: &str = include_str!("../surety.toml");
const ENVIRONMENT_PREFIX: &str = "SURETY__";
/// How the variables begin that object stores are told by.
const STORE_PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(crate) lake: Lake,
    pub(crate) state: State,
    pub(crate) kafka: Kafka,
    pub(crate) batch: Batch,
    pub(crate) http: Http,
    pub(crate) query: Query,
    pub(crate) log: Log,
    pub(crate) redaction: Redaction,
    pub(crate) seal: Seal,
    pub(crate) detect: detect::Config,
    #[serde(default)]
    pub(crate) webhooks: Vec<Spanned<Webhook>>,
    #[serde(default)]
    formats: Vec<Spanned<formats::FormatCase>>,
    /// `formats`, ready to read records.
    #[serde(skip)]
    pub(crate) mappings: Mappings,
    /// What the environment says about object stores, by name.
    #[serde(skip)]
    pub(crate) store_environment: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Lake {
    pub(crate) url: Spanned<String>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) upkeep: Upkeep,
    pub(crate) retention: Retention,
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
    #[serde(deserialize_with = "topic_or_empty")]
    pub(crate) registry_topic: Option<Spanned<schemas::Topic>>,
    pub(crate) properties: BTreeMap<String, Spanned<String>>,
    /// Folder of Avro schemas, each named by its id; empty: none.
    pub(crate) avro_schemas: Spanned<PathBuf>,
}

impl Kafka {
    /// librdkafka's properties.
    pub(crate) fn properties(&self) -> BTreeMap<String, String> {
        let properties = self.properties.iter();
        properties.map(|(name, value)| (name.clone(), value.get_ref().clone())).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Start {
    Earliest,
    Latest,
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

/// The door for questions. Its limits are those of [`query::Limits`].
///
/// Invariant: an address that other machines reach has a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", try_from = "UncheckedQuery")]
pub(crate) struct Query {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) token_file: Option<Spanned<PathBuf>>,
    /// Statements that run at once.
    pub(crate) statements_max: Count,
    pub(crate) rows_max: Count,
    pub(crate) bytes_max: Count,
    pub(crate) memory_bytes_max: Count,
    pub(crate) time_ms_max: Millis,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct UncheckedQuery {
    #[serde(deserialize_with = "address_or_empty")]
    listen: Option<SocketAddr>,
    token_file: Spanned<PathBuf>,
    statements_max: Count,
    rows_max: Count,
    bytes_max: Count,
    memory_bytes_max: Count,
    time_ms_max: Millis,
}

impl TryFrom<UncheckedQuery> for Query {
    type Error = String;

    fn try_from(unchecked: UncheckedQuery) -> Result<Self, String> {
        let listen = unchecked.listen;
        let token_file =
            Some(unchecked.token_file).filter(|path| !path.get_ref().as_os_str().is_empty());
        if listen.is_some_and(|address| !address.ip().is_loopback()) && token_file.is_none() {
            return Err("wanted a token-file for an address that other machines reach".to_owned());
        }
        Ok(Self {
            listen,
            token_file,
            statements_max: unchecked.statements_max,
            rows_max: unchecked.rows_max,
            bytes_max: unchecked.bytes_max,
            memory_bytes_max: unchecked.memory_bytes_max,
            time_ms_max: unchecked.time_ms_max,
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Log {
    pub(crate) level: LogFilter,
    pub(crate) format: LogFormat,
}

/// What is logged.
///
/// Invariant: each part is a level, or is read by [`tracing_subscriber::EnvFilter`] and names one.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct LogFilter(String);

impl LogFilter {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // To the library a single unknown word is a module with everything: a level misspelled.
        let is_level = |part: &str| {
            ["off", "error", "warn", "info", "debug", "trace"]
                .iter()
                .any(|level| part.eq_ignore_ascii_case(level))
        };
        let is_part = |part: &str| part.contains('=') || is_level(part.trim());
        let is_whole = !text.is_empty() && text.split(',').all(is_part);
        if is_whole && tracing_subscriber::EnvFilter::try_new(text).is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err("wanted error, warn, info, debug, trace, or a filter such as info,ingest=debug"
            .to_owned())
    }
}

impl TryFrom<String> for LogFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
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
    pub(crate) key_file: Spanned<PathBuf>,
    pub(crate) old_key_file: Spanned<PathBuf>,
}

/// How commits are sealed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Seal {
    pub(crate) name: String,
    pub(crate) key_file: Spanned<PathBuf>,
    /// Time between two heads that witnesses are told.
    pub(crate) witness_ms: Millis,
    #[serde(default)]
    pub(crate) witnesses: Vec<Spanned<Witness>>,
}

/// One place outside the lake that keeps its heads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Witness {
    pub(crate) name: String,
    pub(crate) url: String,
    /// Of an object store, or librdkafka's.
    #[serde(default)]
    pub(crate) options: BTreeMap<String, String>,
    /// Of an endpoint, as for webhooks.
    #[serde(default)]
    pub(crate) secret: Option<secrecy::SecretString>,
    #[serde(default)]
    pub(crate) secret_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) allow_private: bool,
}

impl Witness {
    /// Whether it is told by a signed request, and not by a file.
    pub(crate) fn is_endpoint(&self) -> bool {
        self.url.starts_with("https://") || self.url.starts_with("http://")
    }

    /// Whether it is a topic of Kafka.
    pub(crate) fn is_topic(&self) -> bool {
        self.url.starts_with(ingest::NoticeBoard::SCHEME)
    }
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
    /// The secret before this one: both sign, until every receiver has the new one.
    #[serde(default)]
    pub(crate) old_secret: Option<secrecy::SecretString>,
    #[serde(default)]
    pub(crate) old_secret_file: Option<PathBuf>,
    #[serde(default = "every_severity")]
    pub(crate) severity: schemas::Severity,
    /// Whether plain http and addresses of this machine or network are allowed.
    #[serde(default)]
    pub(crate) allow_private: bool,
    /// Of one attempt.
    #[serde(default)]
    pub(crate) timeout_ms: Option<Millis>,
    /// Attempts in flight at once.
    #[serde(default)]
    pub(crate) concurrency: Option<detect::webhook::Concurrency>,
}

impl Webhook {
    /// An endpoint of our own that wants every finding. `key` is base64 of 24 to 64 bytes.
    pub(crate) fn new(name: &str, url: &str, key: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            secret: Some(format!("whsec_{key}").into()),
            secret_file: None,
            old_secret: None,
            old_secret_file: None,
            severity: every_severity(),
            allow_private: false,
            timeout_ms: None,
            concurrency: None,
        }
    }
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

fn topic_or_empty<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Spanned<schemas::Topic>>, D::Error> {
    let text = Spanned::<String>::deserialize(from)?;
    if text.get_ref().is_empty() {
        return Ok(None);
    }
    let span = text.span();
    let topic = schemas::Topic::try_from(text.into_inner()).map_err(serde::de::Error::custom)?;
    Ok(Some(Spanned::new(span, topic)))
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
        let name = path.map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
        // Names and values of other programs may be anything.
        let named = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value))
        });
        let environment = named.collect();
        Self::parse(&name, &text, &environment)
            .map_err(|message| Failure::told(Exit::Config, message))
    }

    /// Pure: the configuration of these texts, or a message with the place of the mistake.
    fn parse(
        path: &str,
        text: &str,
        environment: &BTreeMap<String, OsString>,
    ) -> Result<Self, String> {
        let ours = environment.iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        let ours: Vec<(&String, &OsString)> = ours.collect();
        let names = ours.iter().map(|(name, _)| (*name).clone()).collect();
        let origin = Origin::new(path, text, names);
        let defaults = DeTable::parse(DEFAULTS).expect("the checked-in surety.toml is TOML");
        let mut merged =
            overlay::respanned(defaults.into_inner(), &|span| Origin::of_default(&span));
        let file = DeTable::parse(text).map_err(|error| origin.explain(&error))?;
        overlay::merge(&mut merged, file.into_inner());
        for (number, (name, value)) in ours.into_iter().enumerate() {
            let wrong = |message| format!("environment variable {name}: {message}");
            let value = value.to_str().ok_or_else(|| wrong("wanted UTF-8".to_owned()))?;
            let (name, span) = (&name[ENVIRONMENT_PREFIX.len()..], origin.of_variable(number));
            let over = overlay::variable(name, value, &span, &merged).map_err(wrong)?;
            overlay::merge(&mut merged, over);
        }
        let whole = toml::de::Deserializer::from(Spanned::new(0..0, merged));
        let mut config = Self::deserialize(whole).map_err(|error| origin.explain(&error))?;
        config.store_environment = store_environment(environment);
        config.origin = origin;
        topics::check(&config.kafka, &config.origin)?;
        config.mappings = formats::compiled(&config.formats, &config.origin)?;
        formats::check_topics(&config.kafka.topics, &config.mappings, &config.origin)?;
        Ok(config)
    }

    /// The endpoints that findings go to.
    pub(crate) fn endpoints(&self) -> Vec<Webhook> {
        self.webhooks.iter().map(|webhook| webhook.get_ref().clone()).collect()
    }
}

/// What an object store may want to know. A value that is not UTF-8 is no value for one.
fn store_environment(environment: &BTreeMap<String, OsString>) -> BTreeMap<String, String> {
    let of_stores = environment
        .iter()
        .filter(|(name, _)| STORE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
    of_stores.filter_map(|(name, value)| Some((name.clone(), value.to_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests;
