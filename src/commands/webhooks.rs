//! `surety webhooks`: what waits for each endpoint, what did not reach it, and sending that again.
//!
//! Invariant: only one process has the outbox open, so these commands and a running service exclude
//! each other; nothing is changed then, and the message says so. No body is shown: a webhook's id is
//! the id of its finding, which the lake has.

use std::fmt::Write as _;

use detect::webhook::{DeadLetter, Outbox, OutboxError, Standing};
use serde_json::{Value, json};

use super::wiring::{self, Locations};
use crate::cli::{ReportFormat, StateArgs, Webhooks, WebhooksDead, WebhooksReplay};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::{clock, terminal};

/// Answers, or sends again.
///
/// # Errors
///
/// [`Exit::Unavailable`] while a service has the outbox; [`Exit::Data`] for an endpoint or a webhook
/// that is not there.
pub(super) fn run(command: &Webhooks, config: &Config) -> Result<Exit, Failure> {
    let (text, exit) = match command {
        Webhooks::List(args) => (list(&open(args, config)?, config, args.format)?, Exit::Ok),
        Webhooks::Dead(args) => (dead(&open(&args.state, config)?, args)?, Exit::Ok),
        Webhooks::Replay(args) => replay(&open(&args.state, config)?, args)?,
        Webhooks::Enable { endpoint, state } => {
            (enable(&open(state, config)?, endpoint, state.format)?, Exit::Ok)
        }
    };
    terminal::answer(&text)?;
    Ok(exit)
}

fn open(args: &StateArgs, config: &Config) -> Result<Outbox, Failure> {
    let path = wiring::outbox_path(&Locations::of(&args.lake, config)?.state);
    if !path.exists() {
        let text = format!("no webhook was ever sent from here: {} is missing", path.display());
        return Err(Failure::told(Exit::Unavailable, text));
    }
    Outbox::open(&path).map_err(|error| match error {
        OutboxError::InUse => {
            let text = "a running service has the webhooks: stop it, ask again, and start it again";
            Failure::told(Exit::Unavailable, format!("{text} ({})", path.display()))
        }
        other @ (OutboxError::Storage(_) | OutboxError::Corrupt(_)) => {
            crate::pipeline::of_outbox(other)
        }
    })
}

/// Each endpoint that is configured, or has messages.
fn list(outbox: &Outbox, config: &Config, format: ReportFormat) -> Result<String, Failure> {
    let mut standings = outbox.standings().map_err(crate::pipeline::of_outbox)?;
    let configured: Vec<&str> =
        config.webhooks.iter().map(|webhook| webhook.get_ref().name.as_str()).collect();
    for name in &configured {
        if standings.iter().all(|one| one.endpoint != *name) {
            let endpoint = (*name).to_owned();
            standings.push(Standing { endpoint, pending: 0, dead: 0, disabled_at: None });
        }
    }
    standings.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
    let mut rows = Vec::new();
    for standing in &standings {
        let oldest =
            outbox.oldest_pending(&standing.endpoint).map_err(crate::pipeline::of_outbox)?;
        rows.push(json!({
            "endpoint": standing.endpoint,
            "configured": configured.contains(&standing.endpoint.as_str()),
            "pending": standing.pending,
            "oldest_pending": oldest,
            "dead": standing.dead,
            "disabled_since": standing.disabled_at,
        }));
    }
    Ok(match format {
        ReportFormat::Json => lines(&json!({ "endpoints": rows })),
        ReportFormat::Table if rows.is_empty() => "no endpoint is configured\n".to_owned(),
        ReportFormat::Table => table(&rows),
    })
}

fn dead(outbox: &Outbox, args: &WebhooksDead) -> Result<String, Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let letters = outbox.dead_letters(args.endpoint.as_deref(), limit);
    let rows: Vec<Value> =
        letters.map_err(crate::pipeline::of_outbox)?.iter().map(of_letter).collect();
    Ok(match args.state.format {
        ReportFormat::Json => lines(&json!({ "dead": rows })),
        ReportFormat::Table if rows.is_empty() => "no dead letters\n".to_owned(),
        ReportFormat::Table => {
            let shown: Vec<Value> = rows.into_iter().map(without_attempts).collect();
            table(&shown)
        }
    })
}

fn of_letter(letter: &DeadLetter) -> Value {
    let tried = |attempt: &detect::webhook::Attempt| {
        json!({
            "at": attempt.at,
            "attempt": attempt.attempt_number,
            "status": attempt.status,
            "failure": attempt.failure.map(detect::webhook::Failure::as_str),
            "duration_ms": attempt.duration.as_secs_f64() * 1e3,
        })
    };
    let last = letter.attempts.last();
    json!({
        "endpoint": letter.message.endpoint(),
        "webhook_id": letter.message.webhook_id(),
        "created": letter.message.time(),
        "died": letter.died_at,
        "tries": letter.attempts.len(),
        "reason": last.map(reason),
        "attempts": letter.attempts.iter().map(tried).collect::<Vec<_>>(),
    })
}

/// Why the last try was the last.
fn reason(last: &detect::webhook::Attempt) -> String {
    match (last.failure, last.status) {
        (Some(failure), _) => failure.as_str().to_owned(),
        (None, Some(status)) => format!("status {status}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn without_attempts(mut row: Value) -> Value {
    if let Some(row) = row.as_object_mut() {
        row.remove("attempts");
    }
    row
}

/// Makes dead letters pending. Those of a disabled endpoint would only die again.
fn replay(outbox: &Outbox, args: &WebhooksReplay) -> Result<(String, Exit), Failure> {
    let standings = outbox.standings().map_err(crate::pipeline::of_outbox)?;
    let is_disabled = |endpoint: &str| {
        standings.iter().any(|one| one.endpoint == endpoint && one.disabled_at.is_some())
    };
    let is_named = |endpoint: &str, id: &str| {
        args.endpoint.as_deref().is_none_or(|wanted| wanted == endpoint)
            && (args.ids.is_empty() || args.ids.iter().any(|wanted| wanted == id))
    };
    if let Some(endpoint) = args.endpoint.as_deref().filter(|name| is_disabled(name)) {
        let text = format!("{endpoint} is disabled: `surety webhooks enable {endpoint}` first");
        return Err(Failure::told(Exit::Data, text));
    }
    let replayed = outbox
        .replay(|endpoint, id| is_named(endpoint, id) && !is_disabled(endpoint), clock::now())
        .map_err(crate::pipeline::of_outbox)?;
    let missing: Vec<&String> =
        args.ids.iter().filter(|id| replayed.iter().all(|(_, done)| done != *id)).collect();
    let exit = if missing.is_empty() { Exit::Ok } else { Exit::Data };
    let text = match args.state.format {
        ReportFormat::Json => {
            let row =
                |(endpoint, id): &(String, String)| json!({"endpoint": endpoint, "webhook_id": id});
            let replayed: Vec<Value> = replayed.iter().map(row).collect();
            lines(&json!({ "replayed": replayed, "not_replayed": missing }))
        }
        ReportFormat::Table => {
            let mut text = format!(
                "{} webhooks are pending again; `surety run` delivers them\n",
                replayed.len()
            );
            for id in missing {
                writeln!(text, "{id}: no dead letter of an endpoint that is enabled")
                    .expect("writing to a string");
            }
            text
        }
    };
    Ok((text, exit))
}

fn enable(outbox: &Outbox, endpoint: &str, format: ReportFormat) -> Result<String, Failure> {
    if !outbox.enable(endpoint).map_err(crate::pipeline::of_outbox)? {
        let text = format!("{endpoint}: no endpoint of this name is disabled");
        return Err(Failure::told(Exit::Data, text));
    }
    let standings = outbox.standings().map_err(crate::pipeline::of_outbox)?;
    let dead = standings.iter().find(|one| one.endpoint == endpoint).map_or(0, |one| one.dead);
    Ok(match format {
        ReportFormat::Json => lines(&json!({"enabled": endpoint, "dead": dead})),
        ReportFormat::Table => format!(
            "{endpoint} is enabled; {dead} dead letters are left to `surety webhooks replay --endpoint {endpoint}`\n"
        ),
    })
}

fn lines(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Rows with the same keys, in columns as wide as their widest value.
fn table(rows: &[Value]) -> String {
    let keys = ["endpoint", "webhook_id", "configured", "created", "died", "tries", "reason"];
    let keys = keys.into_iter().chain(["pending", "oldest_pending", "dead", "disabled_since"]);
    let keys: Vec<&str> = keys.filter(|key| rows[0].get(key).is_some()).collect();
    let cell = |row: &Value, key: &str| match &row[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        other @ (Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    };
    let heads = keys.iter().map(|key| (*key).to_owned()).collect();
    let cells = rows.iter().map(|row| keys.iter().map(|key| cell(row, key)).collect());
    let all: Vec<Vec<String>> = std::iter::once(heads).chain(cells).collect();
    let mut text = String::new();
    for row in &all {
        for (column, cell) in row.iter().enumerate() {
            let width = all.iter().map(|row| row[column].len()).max().unwrap_or_default();
            let is_last = column + 1 == row.len();
            let width = if is_last { 0 } else { width + 2 };
            write!(text, "{cell:width$}").expect("writing to a string");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use detect::webhook::{Deliverer, Message};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::cli::LakeArg;

    fn state(folder: &Path, format: ReportFormat) -> StateArgs {
        StateArgs { format, lake: LakeArg { lake: Some(folder.display().to_string()) } }
    }

    fn config() -> Config {
        Config::load(None).unwrap_or_else(|failure| panic!("{failure:#}"))
    }

    fn json_of(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// A lake's folder whose outbox holds two dead letters for an endpoint that was taken away.
    async fn folder_with_two_dead_letters() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let path = wiring::outbox_path(&folder.path().join("state"));
        let outbox = Arc::new(Outbox::open(&path).unwrap());
        let message = |id| Message::new(id, "soc", clock::now(), b"canary".to_vec()).unwrap();
        outbox.enqueue(&["f-1", "f-2"].map(message), clock::now()).unwrap();
        let deliverer = Deliverer::new(outbox, BTreeMap::new(), Arc::new(clock::now)).unwrap();
        let stopped = CancellationToken::new();
        stopped.cancel();
        deliverer.run(|_| {}, stopped).await.unwrap();
        folder
    }

    #[tokio::test]
    async fn dead_letters_are_shown_with_their_reason_and_replayed_by_name() {
        let folder = folder_with_two_dead_letters().await;
        let config = config();
        let args = |format| state(folder.path(), format);
        let outbox = open(&args(ReportFormat::Json), &config).unwrap();
        let dead_args = |format| WebhooksDead { endpoint: None, limit: 10, state: args(format) };

        let letters = json_of(&dead(&outbox, &dead_args(ReportFormat::Json)).unwrap());
        let shown = dead(&outbox, &dead_args(ReportFormat::Table)).unwrap();
        let which = WebhooksReplay {
            ids: vec!["f-2".to_owned(), "f-9".to_owned()],
            endpoint: None,
            all: false,
            state: args(ReportFormat::Json),
        };
        let (replayed, exit) = replay(&outbox, &which).unwrap();
        let standings = json_of(&list(&outbox, &config, ReportFormat::Json).unwrap());

        assert_eq!(letters["dead"][0]["webhook_id"], "f-1");
        assert_eq!(letters["dead"][0]["reason"], "endpoint_unknown");
        assert_eq!(letters["dead"][0]["attempts"][0]["attempt"], 1);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("endpoint  webhook_id  created"), "{shown}");
        assert!(lines[2].starts_with("soc       f-2         20"), "{shown}");
        assert!(!format!("{letters} {shown}").contains("canary"));
        assert_eq!(exit, Exit::Data);
        let replayed = json_of(&replayed);
        assert_eq!(replayed["replayed"], json!([{"endpoint": "soc", "webhook_id": "f-2"}]));
        assert_eq!(replayed["not_replayed"], json!(["f-9"]));
        let soc = &standings["endpoints"][0];
        assert_eq!((&soc["pending"], &soc["dead"]), (&json!(1), &json!(1)), "{standings}");
        assert_eq!(soc["configured"], false);
        assert!(enable(&outbox, "soc", ReportFormat::Json).is_err(), "it is not disabled");
    }

    #[tokio::test]
    async fn while_another_process_has_the_webhooks_it_is_said_and_nothing_is_done() {
        let folder = folder_with_two_dead_letters().await;
        let args = state(folder.path(), ReportFormat::Table);
        let _service = open(&args, &config()).unwrap();

        let refused = open(&args, &config()).unwrap_err();

        assert_eq!(refused.exit(), Exit::Unavailable);
        assert!(refused.to_string().starts_with("a running service has the webhooks"), "{refused}");
    }

    #[test]
    fn where_no_webhook_was_ever_sent_no_outbox_is_made() {
        let folder = tempfile::tempdir().unwrap();

        let refused = open(&state(folder.path(), ReportFormat::Table), &config()).unwrap_err();

        assert_eq!(refused.exit(), Exit::Unavailable);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
