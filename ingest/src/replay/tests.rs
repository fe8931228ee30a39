//! Replaying files of every layout, whole and broken.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

const RECORD: &str = r#"{"a":"x, ] } [ { \" \\","b":[1,{"c":2}]}"#;

fn topic() -> Topic {
    Topic::new("file")
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Offsets and payloads up to the end, and the error there, if one.
fn drain(replay: &mut Replay, records_max: usize) -> (Vec<(i64, String)>, Option<SourceError>) {
    let mut found = Vec::new();
    loop {
        match block_on(replay.poll(records_max, Duration::ZERO)) {
            Ok(Poll::Records(batch)) => found.extend(batch.iter().map(|record| {
                (record.offset.0, String::from_utf8_lossy(record.payload.unwrap()).into_owned())
            })),
            Ok(Poll::End) => return (found, None),
            Ok(other @ (Poll::Idle | Poll::Reassigned { .. })) => panic!("{other:?}"),
            Err(error) => return (found, Some(error)),
        }
    }
}

fn read(bytes: &[u8]) -> (Vec<(i64, String)>, Option<SourceError>) {
    let file = file(bytes);
    let mut replay = Replay::open(file.path(), topic()).unwrap();
    replay.seek(&Offsets::default()).unwrap();
    drain(&mut replay, 3)
}

fn payloads(bytes: &[u8]) -> Vec<String> {
    let (records, error) = read(bytes);
    assert!(error.is_none(), "{error:?}");
    records.into_iter().map(|(_, payload)| payload).collect()
}

#[test]
fn all_layouts_give_the_same_records() {
    let wanted = vec![RECORD.to_owned(); 5];
    let lines = format!("{RECORD}\n").repeat(5);
    let array = format!("[{}]", [RECORD; 5].join(" ,\n "));
    let cloudtrail = format!(" {{ \"Records\" : {array}, \"more\": {{\"x\":\"}}\"}} }}\n");

    for text in [&lines, &array, &cloudtrail] {
        assert_eq!(payloads(text.as_bytes()), wanted, "{text}");
        assert_eq!(payloads(&gzip(text.as_bytes())), wanted, "{text}");
    }
    let members = [gzip(lines.as_bytes()), gzip(lines.as_bytes())].concat();
    assert_eq!(payloads(&members).len(), 10);
    assert_eq!(payloads(format!("{cloudtrail}{cloudtrail}{array}").as_bytes()).len(), 15);
}

#[test]
fn offsets_are_the_numbers_of_the_lines() {
    let (records, _) = read(b"first\r\n\n  \nsecond\nlast");

    let records: Vec<_> = records.iter().map(|(at, text)| (*at, text.as_str())).collect();
    assert_eq!(records, [(0, "first"), (3, "second"), (4, "last")]);
}

#[test]
fn empty_files_and_arrays_have_no_records() {
    for bytes in [&b""[..], b" \n", b"[]", b"{\"Records\":[]}", b"[ , ]"] {
        assert_eq!(payloads(bytes), Vec::<String>::new());
    }
}

#[test]
fn what_is_cut_off_is_a_record_of_its_own() {
    assert_eq!(payloads(b"[{\"a\":1},{\"b\":"), ["{\"a\":1}", "{\"b\":"]);
    assert_eq!(payloads(b"{\"a\":1}\n{\"b\":"), ["{\"a\":1}", "{\"b\":"]);
    assert_eq!(payloads(b"[{\"a\":1} garbage, 5]"), ["{\"a\":1} garbage", "5"]);
}

#[test]
fn a_truncated_gzip_is_read_up_to_the_break_and_then_told() {
    let lines = (0..20_000).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>().join("\n");
    let whole = gzip(lines.as_bytes());

    let (records, error) = read(&whole[..whole.len() / 2]);

    assert!(5_000 < records.len(), "{}", records.len());
    for (at, payload) in &records[..records.len() - 1] {
        assert_eq!(*payload, format!("{{\"n\":{at}}}"));
    }
    let Some(SourceError::Io { records: told, .. }) = error else { panic!("{error:?}") };
    assert_eq!(told, records.len() as u64);
}

#[test]
fn a_record_of_any_length_costs_bounded_memory() {
    let long = format!("\"{}\"\nnext", "x".repeat(5_000_000));

    let (records, _) = read(long.as_bytes());

    assert_eq!(records.len(), 2);
    assert_eq!(records[0].1.len(), split::RECORD_BYTES_MAX);
    assert_eq!(records[1].1, "next");
}

#[test]
fn seeking_goes_on_where_the_offsets_say_in_both_directions() {
    let lines = (0..10).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
    let file = file(lines.as_bytes());
    let mut replay = Replay::open(file.path(), topic()).unwrap();
    assert!(matches!(block_on(replay.poll(1, Duration::ZERO)), Ok(Poll::Idle)), "not before seek");
    for start in [4, 9, 0, 10] {
        let mut offsets = Offsets::default();
        offsets.raise(&topic(), KafkaPartition(0), Offset(start));
        replay.seek(&offsets).unwrap();

        let (records, error) = drain(&mut replay, 4);

        assert!(error.is_none());
        let wanted: Vec<_> = (start..10).map(|n| (n, n.to_string())).collect();
        assert_eq!(records, wanted);
    }
}

#[test]
fn a_file_that_is_not_there_is_told_by_its_name() {
    let error = Replay::open(Path::new("no/such/file"), topic()).unwrap_err();

    assert_eq!(error.to_string(), "cannot read no/such/file after record 0");
}

proptest! {
    #[test]
    fn any_bytes_can_be_replayed(bytes: Vec<u8>, layout in 0..4) {
        let start: &[u8] = match layout { 0 => b"", 1 => b"[", 2 => b"{\"Records\":[", _ => b"{" };
        let (records, _) = read(&[start, &bytes].concat());
        prop_assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
