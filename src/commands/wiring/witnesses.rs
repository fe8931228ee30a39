//! The witnesses that the configuration names.

use std::collections::BTreeSet;

use detect::webhook::{Endpoint, Reach, Signing, Target, Teller};
use ingest::NoticeBoard;
use lake::Location;
use lake::seal::Witness;

use super::{secret, store_options};
use crate::config::{self, Config};
use crate::exit::{Exit, Failure};
use crate::witness::{Place, Published};

/// The configured witnesses.
///
/// # Errors
///
/// [`Exit::Config`] with the place of the setting, also for one within the lake: it would be no witness.
pub(crate) fn witnesses(config: &Config, lake: &Location) -> Result<Vec<Published>, Failure> {
    let (mut witnesses, mut names) = (Vec::new(), BTreeSet::new());
    for spanned in &config.seal.witnesses {
        let witness = spanned.get_ref();
        let name = &witness.name;
        let wrong = |failure: Failure| {
            let place = config.origin.place(&spanned.span());
            failure.while_doing(format!("witness `{name}`")).while_doing(place)
        };
        if !names.insert(name) {
            let text = "wanted one witness of this name, found two".to_owned();
            return Err(wrong(Failure::told(Exit::Config, text)));
        }
        let place = if witness.is_endpoint() {
            Place::Endpoint(Box::new(teller(witness).map_err(wrong)?))
        } else if witness.is_topic() {
            let board = NoticeBoard::parse(&witness.url, witness.options.clone());
            Place::Topic(board.map_err(|error| wrong(Failure::new(Exit::Config, error)))?)
        } else {
            Place::Files(kept_in_files(witness, config, lake).map_err(wrong)?)
        };
        witnesses.push(Published::nothing(name.clone(), place));
    }
    Ok(witnesses)
}

fn teller(witness: &config::Witness) -> Result<Teller, Failure> {
    let reach = if witness.allow_private { Reach::Private } else { Reach::Public };
    let target =
        Target::parse(&witness.url, reach).map_err(|error| Failure::new(Exit::Config, error))?;
    let Some(secret) = secret(witness.secret.as_ref(), witness.secret_file.as_deref())? else {
        let text = "wanted a secret or a secret-file".to_owned();
        return Err(Failure::told(Exit::Config, text));
    };
    Teller::new(&witness.name, target, Signing::By(secret), Endpoint::TIMEOUT_STANDARD)
        .map_err(|error| Failure::new(Exit::Config, error))
}

fn kept_in_files(
    witness: &config::Witness,
    config: &Config,
    lake: &Location,
) -> Result<Witness, Failure> {
    let location =
        Location::parse(&witness.url).map_err(|error| Failure::new(Exit::Config, error))?;
    if location.url().as_str().starts_with(lake.url().as_str()) {
        let text = "wanted a place outside the lake, found one within".to_owned();
        return Err(Failure::told(Exit::Config, text));
    }
    Witness::open(&location, &store_options(&witness.options, config))
        .map_err(|error| Failure::new(Exit::Config, error))
}
