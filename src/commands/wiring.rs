//! From the configuration to the parts that commands are made of.
//!
//! Invariant: whatever is wrong with a part is found here, before anything runs, with the exit code
//! of the configuration.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use detect::webhook::{
    Attempt, Concurrency, Deliverer, Endpoint, Outbox, Reach, Schedule, Secret, Signing, Target,
};
use ingest::{Normaliser, Redactor, RegistryReader};
use lake::{Lake, Location, StoreOptions};
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use crate::cli::LakeArg;
use crate::clock;
use crate::config::{Config, Webhook};
use crate::exit::{Exit, Failure};
use crate::pipeline::{Readers, Route, Routes, of_lake};

/// Bytes of a redaction key that we make. Source: RFC 2104, section 3: as long as the hash.
const KEY_BYTES: usize = 32;

/// Where the lake and the local state are.
#[derive(Debug)]
pub(crate) struct Locations {
    pub(crate) lake: Location,
    pub(crate) options: StoreOptions,
    pub(crate) state: PathBuf,
}

impl Locations {
    /// The lake that was named, else the configuration's; the state beside it.
    pub(crate) fn of(argument: &LakeArg, config: &Config) -> Result<Self, Failure> {
        let text = argument.lake.as_deref().unwrap_or(&config.lake.url);
        let exit = if argument.lake.is_some() { Exit::Usage } else { Exit::Config };
        let lake = Location::parse(text).map_err(|error| {
            Failure::new(exit, error).while_doing(format!("find the lake `{text}`"))
        })?;
        let state = match (config.state.dir.as_os_str().is_empty(), lake.folder()) {
            (false, _) => config.state.dir.clone(),
            (true, Some(folder)) => folder.join("state"),
            (true, None) => PathBuf::from("surety-state"),
        };
        Ok(Self { lake, options: config.lake.options.clone().into_iter().collect(), state })
    }

    /// Makes the state's folder, readable by this user alone.
    pub(crate) fn make_state_folder(&self) -> Result<(), Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.state).map_err(|error| {
            Failure::new(Exit::Unavailable, error)
                .while_doing(format!("make the folder {}", self.state.display()))
        })
    }
}

/// Opens the lake.
pub(crate) fn open_lake(locations: &Locations) -> Result<Lake, Failure> {
    Lake::open(&locations.lake, &locations.options).map_err(of_lake)
}

/// The redactor with the configured key, or with one that is made at the first start.
pub(crate) fn redactor(config: &Config, state: &Path) -> Result<Redactor, Failure> {
    let configured = &config.redaction.key_file;
    if configured.as_os_str().is_empty() {
        let path = state.join("redaction.key");
        if !path.exists() {
            make_key(&path).map_err(|error| {
                Failure::new(Exit::Unavailable, error)
                    .while_doing(format!("make the key {}", path.display()))
            })?;
        }
        return read_key(&path);
    }
    read_key(configured)
}

fn read_key(path: &Path) -> Result<Redactor, Failure> {
    let key = std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Config, error)
            .while_doing(format!("read the redaction key {}", path.display()))
    })?;
    if key.len() < KEY_BYTES {
        let text = format!(
            "{}: wanted a key of at least {KEY_BYTES} bytes, found {}",
            path.display(),
            key.len()
        );
        return Err(Failure::told(Exit::Config, text));
    }
    Ok(Redactor::new(&key))
}

/// Bytes from the system's random source.
fn random() -> std::io::Result<[u8; KEY_BYTES]> {
    use std::io::Read as _;
    let mut key = [0; KEY_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

/// [`KEY_BYTES`] random bytes as hexadecimal digits.
pub(crate) fn random_hex() -> std::io::Result<String> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in random()? {
        write!(text, "{byte:02x}").expect("writing to a string");
    }
    Ok(text)
}

/// A random key, readable by this user alone.
fn make_key(path: &Path) -> std::io::Result<()> {
    let key = random()?;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&key)?;
    file.sync_all()
}

/// A normaliser for each configured topic, and the reader of the registry's topic.
pub(crate) fn readers(config: &Config, redactor: &Redactor) -> Result<Readers, Failure> {
    let mut uses = BTreeMap::new();
    for topic in &config.kafka.topics {
        uses.insert(topic.name.clone(), Normaliser::new(topic.format, redactor.clone()));
    }
    let registry =
        registry_topic(config)?.map(|topic| (topic, RegistryReader::new(redactor.clone())));
    Ok(Readers { uses, registry })
}

/// The registry's topic, if one is configured.
pub(crate) fn registry_topic(config: &Config) -> Result<Option<schemas::Topic>, Failure> {
    if config.kafka.registry_topic.is_empty() {
        return Ok(None);
    }
    let topic = schemas::Topic::try_from(config.kafka.registry_topic.clone());
    topic
        .map(Some)
        .map_err(|text| Failure::told(Exit::Config, format!("kafka.registry-topic: {text}")))
}

/// The outbox's routes and the task that empties it; nothing where no webhook is configured.
pub(crate) fn routes_and_deliverer(
    webhooks: &[Webhook],
    schedule: Schedule,
    state: &Path,
) -> Result<(Routes, Option<Deliverer>), Failure> {
    if webhooks.is_empty() {
        return Ok((Routes::default(), None));
    }
    let endpoints = endpoints(webhooks, schedule)?;
    let path = state.join("outbox.redb");
    let outbox = Outbox::open(&path).map_err(|error| {
        Failure::new(Exit::Unavailable, error)
            .while_doing(format!("open the outbox {}", path.display()))
    })?;
    let outbox = Arc::new(outbox);
    let routes = webhooks
        .iter()
        .map(|webhook| Route { endpoint: webhook.name.clone(), severity_min: webhook.severity })
        .collect();
    let deliverer = Deliverer::new(Arc::clone(&outbox), endpoints, Arc::new(clock::now))
        .map_err(|error| Failure::new(Exit::Config, error))?;
    Ok((Routes::new(outbox, routes), Some(deliverer)))
}

/// An outbox that no endpoint empties: what detection hands over is written, and stays.
pub(crate) fn routes_to_nobody(state: &Path) -> Result<Routes, Failure> {
    let nobody = Webhook {
        name: "nobody".to_owned(),
        url: "https://localhost/".to_owned(),
        secret: Some(format!("whsec_{}", random_hex()?).into()),
        secret_file: None,
        severity: schemas::Severity::Review,
        allow_private: false,
    };
    Ok(routes_and_deliverer(&[nobody], Schedule::STANDARD, state)?.0)
}

/// Counts an attempt at a webhook in the metrics.
pub(crate) fn count_attempt(attempt: &Attempt) {
    metrics::counter!("surety_webhook_attempts_total", "outcome" => attempt.outcome.as_str())
        .increment(1);
}

fn endpoints(
    webhooks: &[Webhook],
    schedule: Schedule,
) -> Result<BTreeMap<String, Endpoint>, Failure> {
    let mut endpoints = BTreeMap::new();
    for webhook in webhooks {
        let wrong = |failure: Failure| failure.while_doing(format!("webhook `{}`", webhook.name));
        let endpoint = endpoint(webhook, schedule).map_err(wrong)?;
        if endpoints.insert(webhook.name.clone(), endpoint).is_some() {
            let text = "wanted one endpoint of this name, found two".to_owned();
            return Err(wrong(Failure::told(Exit::Config, text)));
        }
    }
    Ok(endpoints)
}

fn endpoint(webhook: &Webhook, schedule: Schedule) -> Result<Endpoint, Failure> {
    let reach = if webhook.allow_private { Reach::Private } else { Reach::Public };
    let target =
        Target::parse(&webhook.url, reach).map_err(|error| Failure::new(Exit::Config, error))?;
    let secret = match (&webhook.secret, &webhook.secret_file) {
        (Some(secret), None) => secret.expose_secret().to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Config, error)
                .while_doing(format!("read the secret {}", path.display()))
        })?,
        (None, None) | (Some(_), Some(_)) => {
            let text = "wanted either secret or secret-file".to_owned();
            return Err(Failure::told(Exit::Config, text));
        }
    };
    let secret = Secret::parse(secret.trim()).map_err(|error| Failure::new(Exit::Config, error))?;
    Ok(Endpoint {
        target,
        signing: Signing::By(secret),
        timeout: Duration::from_secs(20),
        concurrency_max: Concurrency::STANDARD,
        schedule,
        is_paused: false,
    })
}

/// Waits until all tasks have ended; the first failure is the answer.
pub(crate) async fn join_all(mut tasks: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Failure::new(Exit::Software, error))??;
    }
    Ok(())
}

/// Everything about the configuration that is more than a single value.
pub(crate) fn check(config: &Config) -> Result<(), Failure> {
    Locations::of(&LakeArg { lake: None }, config)?;
    registry_topic(config)?;
    endpoints(&config.webhooks, Schedule::STANDARD)?;
    if !config.redaction.key_file.as_os_str().is_empty() {
        read_key(&config.redaction.key_file)?;
    }
    Ok(())
}
