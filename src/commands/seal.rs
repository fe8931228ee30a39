//! `surety verify` and `surety seal`: the evidence that no record was changed.
//!
//! Invariant: verification writes nothing, and a flaw is an answer (exit 1), not an error.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ingest::NoticeBoard;
use lake::Location;
use lake::seal::{Flaw, Kept, PublicKey, Scope, Sealer, Verified, Witness};
use serde_json::json;

use super::report;
use super::wiring::{self, Locations};
use crate::cli::{LakeArg, ReportFormat, Seal, Verify};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::pipeline::{of_commit, of_lake};
use crate::terminal::{self, counted};
use crate::witness::{self, Place};

/// How often a lake is verified again that grows meanwhile, and how long a commit may wait for its seal.
const TRIES_MAX: u32 = 3;
const SEALING_MAX: Duration = Duration::from_secs(2);

/// Verifies a lake and prints what is wrong with it.
///
/// # Errors
///
/// [`Exit::Usage`] without a public key; [`Exit::Unavailable`] if the storage does not answer.
pub(super) async fn verify(args: Verify, config: &Config) -> Result<Exit, Failure> {
    if let Some(pack) = report::pack_of(&args) {
        return report::verify(pack, &args);
    }
    let locations = Locations::of(&LakeArg { lake: args.lake.clone() }, config)?;
    let key = public_key(args.key.as_deref(), config, &locations)?;
    let head = args.head.as_deref().map(read_head).transpose()?;
    let lake = wiring::open_lake(&locations)?;
    let mut witnesses = Vec::new();
    for named in &args.witness {
        witnesses.push(kept_by(named, config, &locations).await?);
    }
    let bar = bar();
    let scope = Scope { seals: args.seals.clone(), heads: head.into_iter().collect(), witnesses };
    let show = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let mut verified = lake::seal::verify(&lake, &key, &scope, show).await.map_err(of_lake)?;
    for _ in 0..TRIES_MAX {
        // Of a lake that somebody writes to, the newest commit may be seen before its seal.
        if verified.flaws.is_empty() || !verified.flaws.iter().all(|flaw| flaw.is_ahead) {
            break;
        }
        tokio::time::sleep(SEALING_MAX).await;
        let newest = lake.newest_seal().await.map_err(of_lake)?.map(|newest| newest.note);
        if newest == verified.head {
            break;
        }
        verified = lake::seal::verify(&lake, &key, &scope, show).await.map_err(of_lake)?;
    }
    bar.finish_and_clear();
    let text = match args.format {
        ReportFormat::Json => format!("{:#}\n", as_json(&verified, &key)),
        ReportFormat::Table => as_text(&verified, &key),
    };
    terminal::answer(&text)?;
    Ok(if verified.flaws.is_empty() { Exit::Ok } else { Exit::Found })
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("verifying: {wide_bar} {human_pos}/{human_len} seals");
    ProgressBar::new(0).with_style(style.expect("a valid template"))
}

/// The key that was named, else that of this machine's state.
pub(super) fn public_key(
    named: Option<&str>,
    config: &Config,
    locations: &Locations,
) -> Result<PublicKey, Failure> {
    if let Some(text) = named {
        return PublicKey::parse(text).map_err(|error| {
            Failure::new(Exit::Usage, error).while_doing("read --key".to_owned())
        });
    }
    let path = wiring::key_path(config.seal.key_file.get_ref(), &locations.state, wiring::SEAL_KEY);
    if !path.exists() {
        let text = format!(
            "wanted --key with the lake's public key, since there is no private one at {}",
            path.display()
        );
        return Err(Failure::told(Exit::Usage, text));
    }
    Ok(wiring::read_seal_key(&config.seal.name, &path)?.public().clone())
}

pub(super) fn read_head(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Data, error).while_doing(format!("read {}", path.display()))
    })
}

/// What a witness keeps that is named as in the configuration, or by its place.
async fn kept_by(named: &str, config: &Config, locations: &Locations) -> Result<Kept, Failure> {
    let configured = wiring::witnesses(config, &locations.lake)?;
    let place = match configured.into_iter().find(|one| one.name == named) {
        Some(found) => found.place,
        None => place_of(named, config)
            .map_err(|failure| failure.while_doing("read --witness".to_owned()))?,
    };
    let notes = match place {
        Place::Files(witness) => {
            witness.heads().await.map_err(|error| Failure::new(Exit::Unavailable, error))?
        }
        Place::Topic(board) => {
            let notes = witness::read(&board).await;
            notes.map_err(|error| Failure::new(Exit::Unavailable, error))?
        }
        Place::Endpoint(_) => {
            let text =
                format!("the witness {named} keeps heads for itself: ask it, and use --head");
            return Err(Failure::told(Exit::Usage, text));
        }
    };
    Ok(Kept { witness: named.to_owned(), notes })
}

/// A place that is not in the configuration.
fn place_of(named: &str, config: &Config) -> Result<Place, Failure> {
    if named.starts_with(NoticeBoard::SCHEME) {
        let board = NoticeBoard::parse(named, config.kafka.properties());
        return Ok(Place::Topic(board.map_err(|error| Failure::new(Exit::Usage, error))?));
    }
    let location = Location::parse(named).map_err(|error| Failure::new(Exit::Usage, error))?;
    let options = wiring::store_options(&config.lake.options, config);
    Ok(Place::Files(Witness::open(&location, &options).map_err(of_lake)?))
}

fn as_json(verified: &Verified, key: &PublicKey) -> serde_json::Value {
    let flaw = |flaw: &Flaw| {
        json!({
            "seal": flaw.seal,
            "table": flaw.table.name(),
            "file": flaw.file,
            "record": flaw.record,
            "what": flaw.what,
        })
    };
    json!({
        "is_intact": verified.flaws.is_empty(),
        "seals": verified.seals,
        "records": verified.records,
        "files": verified.files,
        "unsealed": verified.unsealed,
        "rewrites": verified.rewrites,
        "retained": verified.retained,
        "key": key.to_string(),
        "flaws": verified.flaws.iter().map(flaw).collect::<Vec<_>>(),
    })
}

fn as_text(verified: &Verified, key: &PublicKey) -> String {
    let mut text = String::new();
    for flaw in &verified.flaws {
        writeln!(text, "{flaw}").expect("writing to a string");
    }
    let Verified { seals, records, files, flaws, unsealed, rewrites, retained, .. } = verified;
    if 0 < *unsealed {
        writeln!(
            text,
            "{unsealed} entries of the logs are not sealed yet: the next seal names them"
        )
        .expect("writing to a string");
    }
    if 0 < *rewrites {
        writeln!(text, "{rewrites} entries merged files or removed days, each signed")
            .expect("writing to a string");
    }
    if 0 < *retained {
        writeln!(text, "{retained} records were retained away: their days are not kept")
            .expect("writing to a string");
    }
    let verdict = if flaws.is_empty() {
        "intact: every record is as it was sealed".to_owned()
    } else {
        format!("NOT INTACT: {}", counted(flaws.len(), "flaw"))
    };
    let counts = [(*seals, "seal"), (*records, "record"), (*files, "file")];
    let counts = counts.map(|(number, noun)| counted(number, noun)).join(", ");
    writeln!(text, "{counts}, key {key}\n{verdict}").expect("writing to a string");
    text
}

/// Prints what verifiers elsewhere need, or seals what has no seal.
///
/// # Errors
///
/// A [`Failure`] if the key or the lake cannot be read or written.
pub(super) async fn run(command: &Seal, config: &Config) -> Result<Exit, Failure> {
    let (Seal::Key { lake }
    | Seal::Head { lake }
    | Seal::Publish { lake }
    | Seal::CatchUp { lake }) = command;
    let locations = Locations::of(lake, config)?;
    if let Seal::Head { .. } = command {
        let seals = wiring::open_lake(&locations)?.newest_seal().await.map_err(of_lake)?;
        let Some(newest) = seals else {
            return Err(Failure::told(Exit::Data, "the lake has no seal yet".to_owned()));
        };
        terminal::answer(&newest.note)?;
        return Ok(Exit::Ok);
    }
    if let Seal::Publish { .. } = command {
        return publish(config, &locations).await;
    }
    locations.make_state_folder()?;
    let key = wiring::seal_key(config, &locations.state)?;
    let text = if let Seal::Key { .. } = command {
        format!("{}\n", key.public())
    } else {
        let lake = wiring::open_lake(&locations)?;
        let mut sealer = Sealer::open(&lake, key).await.map_err(of_lake)?;
        let made = sealer.catch_up(clock::now()).await.map_err(of_commit)?;
        format!("{made} commits were sealed\n")
    };
    terminal::answer(&text)?;
    Ok(Exit::Ok)
}

/// Sends the newest seal to the witnesses.
async fn publish(config: &Config, locations: &Locations) -> Result<Exit, Failure> {
    let mut witnesses = wiring::witnesses(config, &locations.lake)?;
    if witnesses.is_empty() {
        let text = "wanted a [[seal.witnesses]] in the configuration, found none".to_owned();
        return Err(Failure::told(Exit::Config, text));
    }
    let missing = witness::send(&wiring::open_lake(locations)?, &mut witnesses).await;
    if 0 < missing {
        let text =
            format!("{missing} of {} witnesses do not keep the newest seal", witnesses.len());
        return Err(Failure::told(Exit::Unavailable, text));
    }
    terminal::answer(&format!("{} witnesses keep the newest seal\n", witnesses.len()))?;
    Ok(Exit::Ok)
}
