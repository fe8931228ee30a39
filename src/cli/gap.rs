//! The arguments of `surety accept-gap`.

use clap::Args;
use schemas::{KafkaPartition, Offset, OffsetRange, Topic};

use super::{LakeArg, ReportFormat};

/// Go on without records that Kafka deleted before they were read.
///
/// `surety run` stops at such a gap and prints this command with the gap's own numbers; nothing is ever
/// skipped by itself. Asks Kafka whether the records are gone indeed, and exactly these, moves the lake over
/// them in one commit, and leaves a row in `rejects` with the reason `lost`: which offsets, who went on
/// without them, and why. The commit is sealed like any other. Start `surety run` again afterwards.
///
/// Needs the configuration, the key and the state's folder of `surety run`. Done twice, it does nothing the
/// second time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  surety accept-gap credential-uses/3@51200-60844 --by anna --reason 'down for 8 days, Kafka keeps 7'
  surety sql \"SELECT time, detail FROM rejects WHERE reason = 'lost'\"

To keep it from happening: let Kafka keep records for longer than an outage may last (retention.ms).")]
pub(crate) struct AcceptGap {
    /// TOPIC/PARTITION@FROM-TO: from the offset where the lake stands up to the oldest that Kafka still has,
    /// which is not part of it.
    #[arg(value_name = "GAP", value_parser = gap)]
    pub(crate) gap: Gap,
    /// Who goes on without them.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: String,
    /// Why they are missing.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
}

/// Offsets of a partition that nobody has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) topic: Topic,
    pub(crate) partition: KafkaPartition,
    pub(crate) range: OffsetRange,
}

fn gap(text: &str) -> Result<Gap, String> {
    let wanted =
        || "wanted TOPIC/PARTITION@FROM-TO, as in credential-uses/3@51200-60844".to_owned();
    let number = |text: &str| text.parse().ok().filter(|number: &i64| 0 <= *number);
    let parts = || {
        let (place, range) = text.rsplit_once('@')?;
        let (topic, partition) = place.rsplit_once('/')?;
        let (start, end) = range.split_once('-')?;
        let partition = partition.parse().ok().filter(|number: &i32| 0 <= *number)?;
        let range = OffsetRange { start: Offset(number(start)?), end: Offset(number(end)?) };
        Some((topic.to_owned(), KafkaPartition(partition), range))
    };
    let (topic, partition, range) = parts().ok_or_else(wanted)?;
    if range.end <= range.start {
        return Err("wanted a gap that ends after it begins".to_owned());
    }
    Ok(Gap { topic: topic.try_into()?, partition, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_written_as_the_source_tells_it() {
        let read = gap("uses.v1-a/3@50-80").unwrap();

        let range = OffsetRange { start: Offset(50), end: Offset(80) };
        let partition = KafkaPartition(3);
        assert_eq!(read, Gap { topic: Topic::new("uses.v1-a"), partition, range });
        for wrong in [
            "uses/3@80-80",
            "uses/3@80-50",
            "uses/3@50",
            "uses@50-80",
            "/3@5-8",
            "a/-1@5-8",
            "a/1@-5-8",
        ] {
            assert!(gap(wrong).is_err(), "{wrong}");
        }
    }
}
