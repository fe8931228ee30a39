//! `surety registry import FILE`: all lines or none.

use super::wiring::{self, Locations};
use crate::cli::ReportFormat;
use crate::cli::registry::Import;
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
    let format = args.file_format.map(Into::into);
    let read =
        ingest::read_registry_file(&args.file, format, &redactor, now).map_err(|errors| {
            Failure::new(Exit::Data, errors).while_doing("nothing was imported".to_owned())
        })?;
    let (changes, passed_over) = (read.changes, read.passed_over);
    let lake = wiring::open_lake(&locations)?;
    let new = lake.import_registry(&changes, now).await.map_err(of_commit)?;
    let text = match args.format {
        ReportFormat::Table => {
            let others = match passed_over {
                0 => String::new(),
                others => format!("; {others} resources are neither users nor agents"),
            };
            format!("{file}: {} changes read, {new} of them new{others}", changes.len())
        }
        ReportFormat::Json => {
            let (file, read) = (&args.file, changes.len());
            let told = serde_json::json!({
                "file": file, "changes": read, "new": new, "passed_over": passed_over,
            });
            told.to_string()
        }
    };
    terminal::answer(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}
