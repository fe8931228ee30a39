//! Files: what they are called, how they are sorted, what their statistics say.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::AsArray as _;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::PageIndexPolicy;
use serde_json::Value;

use super::*;
use crate::fixtures::{P0, P1, at, batch, event, rows};

fn only(files: Vec<EncodedFile>) -> EncodedFile {
    let [file] = <[EncodedFile; 1]>::try_from(files).unwrap();
    file
}

#[test]
fn a_file_has_what_a_look_up_needs() {
    let (rows, advance) = batch(P0, 0, 10_000);

    let file = only(encode(Table::Events, &[rows], &advance).unwrap());

    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.bytes, options).unwrap();
    let metadata = reader.metadata();
    let group = metadata.row_group(0);
    let columns: BTreeMap<String, usize> = group
        .columns()
        .iter()
        .enumerate()
        .map(|(at, column)| (column.column_path().string(), at))
        .collect();
    for (name, at) in &columns {
        let has_bloom = group.column(*at).bloom_filter_offset().is_some();
        assert_eq!(has_bloom, Table::Events.bloom_columns().contains(&name.as_str()), "{name}");
    }
    let sorting: Vec<usize> = group
        .sorting_columns()
        .unwrap()
        .iter()
        .map(|column| usize::try_from(column.column_idx).unwrap())
        .collect();
    let schema = reader.schema();
    let sorted_by: Vec<&str> = sorting.iter().map(|at| schema.field(*at).name().as_str()).collect();
    assert_eq!(sorted_by, Table::Events.sort_columns());
    let pages = metadata.offset_index().unwrap()[0][columns["agent_id"]].page_locations();
    assert!(3 <= pages.len(), "pages of at most 4,096 rows, found {}", pages.len());
    assert!(metadata.column_index().is_some());
    let encodings = |name: &str| group.column(columns[name]).encodings().collect::<Vec<_>>();
    assert!(encodings("event_id").contains(&Encoding::DELTA_BYTE_ARRAY));
    assert!(encodings("time").contains(&Encoding::DELTA_BINARY_PACKED));
    assert!(encodings("agent_id").contains(&Encoding::RLE_DICTIONARY));
    assert!(!columns.contains_key("month"), "the month stands in the folder's name");
}

#[test]
fn rows_are_sorted_and_all_there() {
    let (first, mut advance) = batch(P0, 0, 50);
    let (second, more) = batch(P1, 0, 50);
    for (topic, partition, range) in more.partitions() {
        advance.extend(topic, partition, range);
    }

    let file = only(encode(Table::Events, &[first, second], &advance).unwrap());

    let reader = ParquetRecordBatchReaderBuilder::try_new(file.bytes).unwrap().build().unwrap();
    let mut keys = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let times = batch["time"].as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        let agents = batch["agent_id"].as_string::<i32>();
        keys.extend(
            (0..batch.num_rows()).map(|row| (agents.value(row).to_owned(), times.value(row))),
        );
    }
    assert_eq!((keys.len(), file.rows), (100, 100));
    assert!(keys.is_sorted());
}

/// Agents that differ in their first bytes, far behind them, and not at all.
#[test]
fn the_order_is_that_of_agents_then_times_and_equal_rows_stay_as_they_came() {
    let mut rows = crate::EventRows::with_capacity(0);
    for number in 0..600_u64 {
        let mut one = event(P0, i64::try_from(number).unwrap());
        let (kind, tail) = (number * 7 % 5, number * 11 % 13);
        let text = match kind {
            0 => format!("bot-{tail}"),
            1 => format!("arn:aws:sts::123456789012:assumed-role/nightly-reports/{tail}"),
            2 => {
                "arn:aws:sts::123456789012:assumed-role/nightly-reports/".to_owned()
                    + &"x".repeat(40)
                    + &tail.to_string()
            }
            3 => "arn:aws:sts::123456789012".to_owned(),
            _ => "b".repeat(usize::try_from(1 + tail).unwrap()),
        };
        one.event.agent_id = schemas::AgentId::try_from(text).unwrap();
        one.event.time = at("2026-03-01T00:00:00Z").plus(Duration::from_secs(number % 3));
        rows.push(&one);
    }
    let rows = rows.finish();
    let agents = rows["agent_id"].as_string::<i32>();
    let times = rows["time"].as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    let mut wanted: Vec<u32> = (0..600).collect();
    wanted.sort_by_key(|row| (agents.value(*row as usize), times.value(*row as usize)));

    let halves = [rows.slice(0, 250), rows.slice(250, 350)];

    assert_eq!(sorted(Table::Events, &halves).unwrap(), wanted);
}

#[test]
fn the_same_rows_of_the_same_commit_have_the_same_name_and_no_others_have() {
    let name = |start: i64, advance: &Advance| {
        only(encode(Table::Events, &[batch(P0, start, 9).0], advance).unwrap()).path
    };
    let (advance, other) = (batch(P0, 0, 9).1, batch(P1, 0, 9).1);

    assert_eq!(name(0, &advance), name(0, &advance));
    assert_ne!(name(0, &advance), name(1, &advance));
    assert_ne!(name(0, &advance), name(0, &other));
    assert!(name(0, &advance).starts_with("month=2026-03/part-"));
}

#[test]
fn statistics_enclose_the_rows() {
    let mut events = [event(P0, 5), event(P0, 6)];
    events[0].event.time = at("2026-03-01T00:00:00.000001Z");
    events[1].event.time = at("2026-03-02T00:00:00.999999Z");
    let (_, advance) = batch(P0, 5, 7);

    let file = only(encode(Table::Events, &[rows(&events)], &advance).unwrap());

    let statistics: Value = serde_json::from_str(&file.statistics).unwrap();
    assert_eq!(statistics["numRecords"], 2);
    assert_eq!(statistics["minValues"]["time"], "2026-03-01T00:00:00.000Z");
    assert_eq!(statistics["maxValues"]["time"], "2026-03-02T00:00:01.000Z");
    assert_eq!(statistics["minValues"]["agent_id"], "agent-5");
    assert_eq!(statistics["maxValues"]["kafka_offset"], 6);
    assert_eq!(statistics["nullCount"]["agent_id"], 0);
}

#[test]
fn rows_of_another_table_are_refused() {
    let (rows, advance) = batch(P0, 0, 1);

    assert!(matches!(
        encode(Table::Findings, &[rows], &advance),
        Err(EncodeError::Columns { table: Table::Findings })
    ));
}
