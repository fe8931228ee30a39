//! `surety replay FILE`: a file of records through the same loop as Kafka's.
//!
//! Invariant: the name in the lake is made of the file's content, so the lake's offsets tell how much
//! of it was read before, under whatever path it is given.

use std::collections::BTreeMap;
use std::path::Path;

use ingest::{Normaliser, Replay as ReplaySource};
use schemas::Topic;
use tokio_util::sync::CancellationToken;

use super::progress_bar;
use super::wiring::{self, Locations};
use crate::cli::{Replay, ReportFormat};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::http::Health;
use crate::pipeline::{Checkpoints, Parts, Pipeline, Readers, Routes, Summary, of_source};

/// Replays the file and prints what became of its records.
///
/// # Errors
///
/// A [`Failure`] if the file or the lake cannot be read. What could be read is committed.
pub(super) async fn run(
    args: Replay,
    config: &Config,
    shutdown: CancellationToken,
) -> Result<Exit, Failure> {
    let locations = Locations::of(&args.lake, config)?;
    let topic = topic_of(&args.file)?;
    let source = ReplaySource::open(&args.file, topic.clone()).map_err(of_source)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    let normaliser = Normaliser::new(args.format.into(), redactor);
    let parts = Parts {
        source,
        readers: Readers { uses: BTreeMap::from([(topic.clone(), normaliser)]), registry: None },
        lake: wiring::open_lake(&locations)?,
        detect: config.detect.clone(),
        checkpoints: Checkpoints::new(&locations.state)?,
        routes: Routes::default(),
        limits: config.into(),
        health: Health::default(),
    };
    let pipeline = Pipeline::start(parts).await?;
    let progress = pipeline.progress();
    let stop = CancellationToken::new();
    let showing = progress_bar::show(progress, stop.clone());
    let (summary, ()) = tokio::join!(progress_bar::ending(pipeline.run(shutdown), stop), showing);
    print(&args, &topic, &summary?);
    Ok(Exit::Ok)
}

/// `replay.<name>.<first 16 digits of the content's hash>`.
fn topic_of(path: &Path) -> Result<Topic, Failure> {
    let hash = ingest::content_hash(path).map_err(of_source)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    let stem = &stem[..stem.floor_char_boundary(100)];
    Ok(Topic::new(&format!("replay.{stem}.{}", &hash[..16])))
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print(args: &Replay, topic: &Topic, summary: &Summary) {
    let progress = summary.progress;
    let answer = serde_json::json!({
        "file": args.file,
        "topic": topic,
        "records": progress.records,
        "events": progress.events,
        "rejects": progress.rejects,
        "findings": progress.findings,
    });
    match args.output {
        ReportFormat::Json => println!("{answer}"),
        ReportFormat::Table => {
            println!(
                "{}: {} records read, {} events, {} rejects, {} findings",
                args.file.display(),
                progress.records,
                progress.events,
                progress.rejects,
                progress.findings
            );
            if progress.records == 0 {
                println!("every record of this file is in the lake already");
            }
        }
    }
}
