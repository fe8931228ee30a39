//! From the configuration to the parts that commands are made of.
//!
//! Invariant: whatever is wrong with a part is found here, before anything runs, with the exit code
//! of the configuration.

mod witnesses;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use detect::webhook::{
    Concurrency, Deliverer, Endpoint, Outbox, Reach, Report, Secret, Signing, Target,
};
use ingest::{AvroSchemas, Normaliser, Redactor, RegistryReader, SourceError};
use lake::seal::SealKey;
use lake::{Lake, Location, StoreOptions};
use schemas::Format;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinSet;

use crate::cli::LakeArg;
use crate::clock;
use crate::config::{self, Config, Millis, Webhook};
use crate::exit::{Exit, Failure};
use crate::http::Token;
use crate::pipeline::{Readers, Route, Routes, of_lake, of_source};
pub(crate) use witnesses::witnesses;

/// Bytes of a redaction key that we make. Source: RFC 2104, section 3: as long as the hash.
const KEY_BYTES: usize = 32;
/// Name of the fingerprints' key in the state's folder.
const REDACTION_KEY: &str = "redaction.key";
/// Name of the seals' key in the state's folder.
pub(crate) const SEAL_KEY: &str = "seal.key";

/// Where the lake and the local state are.
#[derive(Debug)]
pub(crate) struct Locations {
    pub(crate) lake: Location,
    pub(crate) options: StoreOptions,
    pub(crate) state: PathBuf,
}

impl Locations {
    /// The lake that was named, else the configuration's; its state beside it.
    ///
    /// # Errors
    ///
    /// [`Exit::Usage`] or [`Exit::Config`], without the text that was found: it may hold a password.
    pub(crate) fn of(argument: &LakeArg, config: &Config) -> Result<Self, Failure> {
        let lake = match &argument.lake {
            Some(text) => Location::parse(text).map_err(|error| {
                Failure::new(Exit::Usage, error).while_doing("read --lake".to_owned())
            })?,
            None => Location::parse(config.lake.url.get_ref()).map_err(|error| {
                Failure::new(Exit::Config, error)
                    .while_doing(config.origin.place(&config.lake.url.span()))
            })?,
        };
        let state = match (config.state.dir.as_os_str().is_empty(), lake.folder()) {
            (true, Some(folder)) => folder.join("state"),
            (true, None) => Path::new("surety-state").join(folder_of(&lake)),
            (false, _) => config.state.dir.join(folder_of(&lake)),
        };
        Ok(Self { lake, options: store_options(&config.lake.options, config), state })
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

/// The name of a lake's folder among those of other lakes: readable, and different for each lake.
///
/// Source: FNV-1a with 64 bits (Fowler, Noll and Vo). It only keeps apart what the person's own lakes
/// are named; nobody gains from two of one name.
fn folder_of(lake: &Location) -> String {
    let url = lake.url().as_str();
    let hash = url.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let path = url.trim_end_matches('/');
    let name: String = path[path.rfind('/').map_or(0, |at| at + 1)..]
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    format!("{name}-{hash:016x}")
}

/// Opens the lake.
pub(crate) fn open_lake(locations: &Locations) -> Result<Lake, Failure> {
    Lake::open(&locations.lake, &locations.options).map_err(of_lake)
}

/// The redactor with the configured key, or with one that is made at the first start.
pub(crate) fn redactor(config: &Config, state: &Path) -> Result<Redactor, Failure> {
    let path = made_key(config.redaction.key_file.get_ref(), state, REDACTION_KEY)?;
    redactor_of(config, &path)
}

fn redactor_of(config: &Config, path: &Path) -> Result<Redactor, Failure> {
    let (key, old) = (read_key(path)?, config.redaction.old_key_file.get_ref());
    if old.as_os_str().is_empty() {
        return Ok(Redactor::new(&key));
    }
    Ok(Redactor::rotated(&key, &read_key(old)?))
}

/// Where a key is: at the configured path, else under this name in the state's folder.
pub(crate) fn key_path(configured: &Path, state: &Path, name: &str) -> PathBuf {
    if configured.as_os_str().is_empty() { state.join(name) } else { configured.to_owned() }
}

/// The path of a key, which is made if it is ours and not there yet.
fn made_key(configured: &Path, state: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = key_path(configured, state, name);
    if configured.as_os_str().is_empty() && !path.exists() {
        make_key(&path).map_err(|error| {
            Failure::new(Exit::Unavailable, error)
                .while_doing(format!("make the key {}", path.display()))
        })?;
    }
    Ok(path)
}

fn read_key(path: &Path) -> Result<Vec<u8>, Failure> {
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
    Ok(key)
}

/// The key of the seals: the configured one, or one that is made at the first start.
pub(crate) fn seal_key(config: &Config, state: &Path) -> Result<Arc<SealKey>, Failure> {
    let path = made_key(config.seal.key_file.get_ref(), state, SEAL_KEY)?;
    read_seal_key(&config.seal.name, &path).map(Arc::new)
}

/// Options of a storage, and what the environment says besides.
pub(crate) fn store_options(options: &BTreeMap<String, String>, config: &Config) -> StoreOptions {
    let options = options.clone().into_iter().collect::<StoreOptions>();
    options.with_environment(config.store_environment.clone())
}

/// Reads 32 bytes as a private key.
pub(crate) fn read_seal_key(name: &str, path: &Path) -> Result<SealKey, Failure> {
    let doing = || format!("read the seal key {}", path.display());
    let seed = std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Config, error).while_doing(doing()))?;
    SealKey::new(name, &seed)
        .map_err(|error| Failure::new(Exit::Config, error).while_doing(doing()))
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

/// A random key, readable by this user alone. It appears whole or not at all, and of several processes
/// that start at once the first one's is everybody's.
fn make_key(path: &Path) -> std::io::Result<()> {
    let unfinished = path.with_extension(random_hex()?);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = file.write_all(&random()?).and_then(|()| file.sync_all());
    let named = written.and_then(|()| match std::fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        named => named,
    });
    std::fs::remove_file(&unfinished)?;
    named
}

/// The redactor as it would be, for a command that writes nothing: where no key was made yet, its
/// fingerprints are those of a key that is then forgotten.
pub(crate) fn passing_redactor(config: &Config, state: &Path) -> Result<Redactor, Failure> {
    let configured = config.redaction.key_file.get_ref();
    let path = key_path(configured, state, REDACTION_KEY);
    if configured.as_os_str().is_empty() && !path.exists() {
        return Ok(Redactor::new(&random()?));
    }
    redactor_of(config, &path)
}

/// What reads records of this format: a built-in one, or a mapping of the configuration.
///
/// # Errors
///
/// [`Exit::Usage`] if the configuration has no such format.
pub(crate) fn normaliser(
    config: &Config,
    format: Format,
    redactor: &Redactor,
) -> Result<Normaliser, Failure> {
    normaliser_with(config, format, redactor, avro_schemas(config)?)
}

fn normaliser_with(
    config: &Config,
    format: Format,
    redactor: &Redactor,
    avro: Arc<AvroSchemas>,
) -> Result<Normaliser, Failure> {
    let Format::Mapped(name) = format else {
        return Ok(Normaliser::new(format, redactor.clone()).with_avro(avro));
    };
    match config.mappings.get(&name) {
        Some(mapping) => {
            Ok(Normaliser::mapped(Arc::clone(mapping), redactor.clone()).with_avro(avro))
        }
        None => Err(Failure::told(Exit::Usage, config::unknown_format(&config.mappings))
            .while_doing(format!("find the format `{name}`"))),
    }
}

/// The configured Avro schemas.
///
/// # Errors
///
/// [`Exit::Config`] with the place of the setting, and the file.
fn avro_schemas(config: &Config) -> Result<Arc<AvroSchemas>, Failure> {
    let folder = &config.kafka.avro_schemas;
    if folder.get_ref().as_os_str().is_empty() {
        return Ok(Arc::default());
    }
    let schemas = AvroSchemas::read(folder.get_ref()).map_err(|error| {
        let place = config.origin.place(&folder.span());
        Failure::new(Exit::Config, error).while_doing(place)
    })?;
    Ok(Arc::new(schemas))
}

/// A normaliser for each configured topic, and the reader of the registry's topic.
///
/// # Errors
///
/// As [`normaliser`]; a configuration that was read has every format that it names.
pub(crate) fn readers(config: &Config, redactor: &Redactor) -> Result<Readers, Failure> {
    let (mut uses, avro) = (BTreeMap::new(), avro_schemas(config)?);
    for topic in &config.kafka.topics {
        let format = *topic.format.get_ref();
        uses.insert(topic.in_lake(), normaliser_with(config, format, redactor, Arc::clone(&avro))?);
    }
    let registry = config
        .kafka
        .registry_topic
        .as_ref()
        .map(|topic| (topic.get_ref().clone(), RegistryReader::new(redactor.clone())));
    Ok(Readers { uses, registry })
}

/// The outbox's routes and the task that empties it; nothing where no webhook is configured. The
/// names were found to be different by [`check`].
pub(crate) fn routes_and_deliverer(
    webhooks: &[Webhook],
    state: &Path,
) -> Result<(Routes, Option<Deliverer>), Failure> {
    let path = outbox_path(state);
    // Messages of endpoints that were configured before must not wait for ever.
    if webhooks.is_empty() && !path.exists() {
        return Ok((Routes::default(), None));
    }
    let mut endpoints = BTreeMap::new();
    for webhook in webhooks {
        endpoints.insert(webhook.name.clone(), endpoint(webhook)?);
    }
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

/// Where the outbox of a state is.
pub(crate) fn outbox_path(state: &Path) -> PathBuf {
    state.join("outbox.redb")
}

/// An outbox that no endpoint empties: what detection hands over is written, and stays.
pub(crate) fn routes_to_nobody(state: &Path) -> Result<Routes, Failure> {
    let nobody = Webhook::new("nobody", "https://localhost/", &random_hex()?);
    Ok(routes_and_deliverer(&[nobody], state)?.0)
}

/// Publishes what the deliverer tells.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
pub(crate) fn publish_webhooks(report: Report<'_>) {
    match report {
        Report::Attempt(attempt) => {
            metrics::counter!("surety_webhook_attempts_total", "outcome" => attempt.outcome.as_str())
                .increment(1);
        }
        Report::Standing(standing) => {
            let labels = [("endpoint", standing.endpoint.clone())];
            let is_disabled = f64::from(u8::from(standing.disabled_at.is_some()));
            metrics::gauge!("surety_webhook_pending", &labels).set(standing.pending as f64);
            metrics::gauge!("surety_webhook_dead", &labels).set(standing.dead as f64);
            metrics::gauge!("surety_webhook_disabled", &labels).set(is_disabled);
        }
    }
}

fn endpoint(webhook: &Webhook) -> Result<Endpoint, Failure> {
    let reach = if webhook.allow_private { Reach::Private } else { Reach::Public };
    let target =
        Target::parse(&webhook.url, reach).map_err(|error| Failure::new(Exit::Config, error))?;
    let Some(new) = secret(webhook.secret.as_ref(), webhook.secret_file.as_deref())? else {
        let text = "wanted a secret or a secret-file".to_owned();
        return Err(Failure::told(Exit::Config, text));
    };
    let old = secret(webhook.old_secret.as_ref(), webhook.old_secret_file.as_deref())?;
    Ok(Endpoint {
        target,
        signing: match old {
            Some(old) => Signing::Rotating { new, old },
            None => Signing::By(new),
        },
        timeout: webhook.timeout_ms.map_or(Endpoint::TIMEOUT_STANDARD, Millis::get),
        concurrency_max: webhook.concurrency.unwrap_or(Concurrency::STANDARD),
    })
}

/// The secret that stands in the configuration, or in a file.
fn secret(text: Option<&SecretString>, file: Option<&Path>) -> Result<Option<Secret>, Failure> {
    let text = match (text, file) {
        (None, None) => return Ok(None),
        (Some(text), None) => text.expose_secret().to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Config, error)
                .while_doing(format!("read the secret {}", path.display()))
        })?,
        (Some(_), Some(_)) => {
            let text = "wanted a secret or a file of it, found both".to_owned();
            return Err(Failure::told(Exit::Config, text));
        }
    };
    Secret::parse(text.trim()).map(Some).map_err(|error| Failure::new(Exit::Config, error))
}

/// Waits until all tasks have ended; the first failure is the answer.
pub(crate) async fn join_all(mut tasks: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Failure::new(Exit::Software, error))??;
    }
    Ok(())
}

/// The token that questions must bear, if one is configured.
///
/// # Errors
///
/// [`Exit::Config`] with the place of the setting.
pub(crate) fn query_token(config: &Config) -> Result<Option<Token>, Failure> {
    let Some(path) = &config.query.token_file else { return Ok(None) };
    let wrong = |failure: Failure| failure.while_doing(config.origin.place(&path.span()));
    let text = std::fs::read_to_string(path.get_ref()).map_err(|error| {
        let doing = format!("read the token {}", path.get_ref().display());
        wrong(Failure::new(Exit::Config, error).while_doing(doing))
    })?;
    Token::parse(text.trim()).map(Some).map_err(|text| wrong(Failure::told(Exit::Config, text)))
}

/// Everything about the configuration that is more than a single value: what `run` would refuse, but
/// for what only Kafka, the storage and the webhooks' hosts can tell.
///
/// # Errors
///
/// A [`Failure`] with the place of the property that librdkafka does not take.
fn check_kafka(config: &Config) -> Result<(), Failure> {
    let Err(error) = super::run::kafka(config).check() else { return Ok(()) };
    let place = if let SourceError::Property { property, .. } = &error {
        let value = config.kafka.properties.get(property);
        value.map(|value| config.origin.place(&value.span()))
    } else {
        None
    };
    let failure = of_source(error);
    Err(match place {
        Some(place) => failure.while_doing(place),
        None => failure,
    })
}

/// # Errors
///
/// A [`Failure`] with the place of the mistake.
pub(crate) fn check(config: &Config) -> Result<(), Failure> {
    let locations = Locations::of(&LakeArg { lake: None }, config)?;
    open_lake(&locations)
        .map_err(|failure| failure.while_doing(config.origin.place(&config.lake.url.span())))?;
    query_token(config)?;
    check_kafka(config)?;
    witnesses(config, &locations.lake)?;
    let mut names = BTreeSet::new();
    for webhook in &config.webhooks {
        let name = &webhook.get_ref().name;
        let wrong = |failure: Failure| {
            let place = config.origin.place(&webhook.span());
            failure.while_doing(format!("webhook `{name}`")).while_doing(place)
        };
        endpoint(webhook.get_ref()).map_err(wrong)?;
        if !names.insert(name) {
            let text = "wanted one endpoint of this name, found two".to_owned();
            return Err(wrong(Failure::told(Exit::Config, text)));
        }
    }
    avro_schemas(config)?;
    for key in [&config.redaction.key_file, &config.redaction.old_key_file] {
        if !key.get_ref().as_os_str().is_empty() {
            let place = || config.origin.place(&key.span());
            read_key(key.get_ref()).map_err(|failure| failure.while_doing(place()))?;
        }
    }
    let key = &config.seal.key_file;
    if !key.get_ref().as_os_str().is_empty() {
        let place = || config.origin.place(&key.span());
        read_seal_key(&config.seal.name, key.get_ref())
            .map_err(|failure| failure.while_doing(place()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn processes_that_start_at_once_have_one_whole_key() {
        let folder = tempfile::TempDir::new().unwrap();
        let ours = || {
            let path = made_key(Path::new(""), folder.path(), SEAL_KEY).unwrap();
            std::fs::read(path).unwrap()
        };
        let keys: BTreeSet<Vec<u8>> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..32).map(|_| scope.spawn(ours)).collect();
            started.into_iter().map(|one| one.join().unwrap()).collect()
        });

        assert_eq!(keys.len(), 1);
        assert_eq!(keys.first().map(Vec::len), Some(KEY_BYTES));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }
}
