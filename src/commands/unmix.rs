//! `surety unmix CREDENTIAL`: who uses a shared credential.
//!
//! Invariant: it writes nothing.

use query::unmix::UnmixAnswer;

use super::ask::{check_format, engine, format_of, of_query, show_rows};
use crate::cli::{OutputFormat, Unmix};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Splits the credential's uses and shows the users.
///
/// # Errors
///
/// [`Exit::Data`] for a credential without an event, or with too many.
pub(super) async fn run(args: Unmix, config: &Config) -> Result<Exit, Failure> {
    let format = format_of(args.format);
    check_format(format, 1)?;
    let engine = engine(&args.lake, config).await?;
    let answer = engine.unmix(&args.credential, [args.from, args.to]).await.map_err(of_query)?;
    if answer.events == 0 {
        let text = format!("no event of credential {} in that time", args.credential);
        return Err(Failure::told(Exit::Data, text));
    }
    match args.format {
        OutputFormat::Table => terminal::answer(&answer.render_text())?,
        OutputFormat::Json => terminal::answer(&format!("{}\n", as_json(&answer)?))?,
        OutputFormat::Jsonl | OutputFormat::Csv | OutputFormat::Parquet | OutputFormat::Arrow => {
            show_rows(&answer.batch(), format)?;
        }
    }
    Ok(if answer.is_shared { Exit::Found } else { Exit::Ok })
}

fn as_json(answer: &UnmixAnswer) -> Result<String, Failure> {
    serde_json::to_string_pretty(answer).map_err(|error| Failure::new(Exit::Software, error))
}
