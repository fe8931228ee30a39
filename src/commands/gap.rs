//! `surety accept-gap`: the lake goes on behind records that Kafka deleted before they were read.
//!
//! Invariant (E1): only what Kafka does not have any more is passed over, from exactly where the lake
//! stands to exactly where Kafka begins, and a row of `rejects` in the same commit says so.

use schemas::{Format, Offset, OffsetRange, Part, Position, Reject, RejectReason};
use serde_json::json;

use super::run;
use super::wiring::{self, Locations};
use crate::cli::ReportFormat;
use crate::cli::gap::{AcceptGap, Gap};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::pipeline::{Lost, accept_lost, of_source};
use crate::terminal;

/// Moves the lake over the gap.
///
/// # Errors
///
/// [`Exit::Usage`] if this is not the gap that there is: nothing is changed then.
pub(super) async fn accept(args: AcceptGap, config: &Config) -> Result<Exit, Failure> {
    let AcceptGap { gap, by, reason, format, lake } = args;
    let topic = config.kafka.topics.iter().find(|topic| *topic.name.get_ref() == gap.topic);
    let registry = config.kafka.registry_topic.as_ref();
    let is_registry = registry.is_some_and(|topic| *topic.get_ref() == gap.topic);
    let (in_lake, of_topic) = match topic {
        Some(topic) => (topic.in_lake(), *topic.format.get_ref()),
        None if is_registry => (gap.topic.clone(), Format::Native),
        None => {
            let text = format!("wanted a topic of the configuration, found {}", gap.topic);
            return Err(Failure::told(Exit::Usage, text));
        }
    };
    let kafka = run::kafka(config);
    let ends = ingest::ends_of(kafka, gap.topic.clone(), gap.partition).await.map_err(of_source)?;
    check_with_kafka(&gap, ends)?;

    let locations = Locations::of(&lake, config)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    let key = wiring::seal_key(config, &locations.state)?;
    let Gap { partition, range, .. } = gap;
    let OffsetRange { start, end } = range;
    let text = format!(
        "offsets {} to {} were deleted from Kafka before they were read; {by} went on without them: {reason}",
        start.0,
        end.0 - 1
    );
    let reject = Reject {
        position: Position { topic: in_lake, partition, offset: start, part: Part::FIRST },
        record_time: None,
        rejected_at: clock::now(),
        format: of_topic,
        reason: RejectReason::Lost,
        detail: redactor.shown(text.as_bytes()),
        raw: Vec::new(),
        raw_bytes: 0,
    };
    let lost = Lost { reject, range, is_registry };
    let is_new = accept_lost(&wiring::open_lake(&locations)?, key, &lost).await?;
    let place = &lost.reject.position;
    let text = match (format, is_new) {
        (ReportFormat::Json, _) => {
            let answer = json!({
                "topic": place.topic, "partition": place.partition.0, "from": start.0, "to": end.0, "is_new": is_new,
            });
            format!("{answer}\n")
        }
        (ReportFormat::Table, true) => format!(
            "the lake goes on with offset {} of {}/{}: start `surety run` again\n",
            end.0, place.topic, place.partition.0
        ),
        (ReportFormat::Table, false) => "the lake is behind this gap already\n".to_owned(),
    };
    terminal::answer(&text)?;
    Ok(Exit::Ok)
}

/// What Kafka still has is never passed over.
fn check_with_kafka(gap: &Gap, (oldest, end): (Offset, Offset)) -> Result<(), Failure> {
    if gap.range.end == oldest {
        return Ok(());
    }
    let text = format!(
        "wanted a gap that ends where Kafka begins: of {}/{} it has the offsets from {} to {}, found {}-{}",
        gap.topic, gap.partition.0, oldest.0, end.0, gap.range.start.0, gap.range.end.0
    );
    Err(Failure::told(Exit::Usage, text))
}
