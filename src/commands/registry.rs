//! `surety registry import FILE`: all lines or none.

use super::wiring::{self, Locations};
use crate::cli::{Import, ReportFormat};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::pipeline::of_commit;
use crate::terminal;

/// Imports the file and tells how many changes were new.
///
/// # Errors
///
/// [`Exit::Data`] with every bad line; nothing is imported then.
pub(super) async fn import(args: &Import, config: &Config) -> Result<Exit, Failure> {
    let (file, now) = (args.file.display(), clock::now());
    let locations = Locations::of(&args.lake, config)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    let changes = ingest::read_registry_file(&args.file, &redactor, now).map_err(|errors| {
        Failure::new(Exit::Data, errors).while_doing("nothing was imported".to_owned())
    })?;
    let lake = wiring::open_lake(&locations)?;
    let new = lake.import_registry(&changes, now).await.map_err(of_commit)?;
    let text = match args.format {
        ReportFormat::Table => format!("{file}: {} changes read, {new} of them new", changes.len()),
        ReportFormat::Json => {
            serde_json::json!({"file": args.file, "changes": changes.len(), "new": new}).to_string()
        }
    };
    terminal::answer(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}
