//! `surety registry import FILE`: all lines or none.

use std::path::Path;

use super::wiring::{self, Locations};
use crate::cli::LakeArg;
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::pipeline::of_commit;

/// Imports the file and prints how many changes were new.
///
/// # Errors
///
/// [`Exit::Data`] with every bad line; nothing is imported then.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) async fn import(file: &Path, lake: &LakeArg, config: &Config) -> Result<Exit, Failure> {
    let now = clock::now();
    let locations = Locations::of(lake, config)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    let changes = ingest::read_registry_file(file, &redactor, now).map_err(|errors| {
        Failure::new(Exit::Data, errors).while_doing("nothing was imported".to_owned())
    })?;
    let lake = wiring::open_lake(&locations)?;
    let new = lake.import_registry(&changes, now).await.map_err(of_commit)?;
    println!("{}: {} changes read, {new} of them new", file.display(), changes.len());
    Ok(Exit::Ok)
}
