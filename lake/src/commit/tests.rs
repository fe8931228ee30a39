//! Commits that race, fail, are repeated or meet a foreign table.

use std::fs;
use std::time::Duration;

use deltalake::kernel::EagerSnapshot;
use schemas::{KafkaPartition, Offset, Table};

use crate::encode::Form;
use crate::error::Reason;
use crate::faults::Fate;
use crate::fixtures::{P0, P1, batch, event, faulty, local, now, places, position, rows, topic};
use crate::{
    Advance, CommitError, EncodedFile, Lake, LakeError, Landed, SequenceRange, TableHandle,
};

async fn events_of(lake: &Lake) -> TableHandle {
    lake.table(Table::Events).await.unwrap()
}

async fn append(
    handle: &mut TableHandle,
    partition: KafkaPartition,
    start: i64,
    end: i64,
) -> Result<u64, CommitError> {
    let (rows, advance) = batch(partition, start, end);
    handle.append(vec![rows], &advance, now()).await
}

fn offset_of(handle: &TableHandle, partition: KafkaPartition) -> Option<Offset> {
    handle.offsets().next_of(&topic(), partition)
}

#[tokio::test]
async fn rows_and_offsets_are_found_again_by_us_and_by_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let lake = local(folder.path());
    let mut handle = events_of(&lake).await;
    assert_eq!(handle.version(), None);

    append(&mut handle, P0, 3, 10).await.unwrap();
    append(&mut handle, P1, 0, 4).await.unwrap();
    append(&mut handle, P0, 10, 12).await.unwrap();

    let again = events_of(&lake).await;
    assert_eq!(again.offsets(), handle.offsets());
    assert_eq!(again.version(), Some(3));
    assert_eq!((offset_of(&again, P0), offset_of(&again, P1)), (Some(Offset(12)), Some(Offset(4))));
    let delta = &handle.log.stored().delta;
    let snapshot = EagerSnapshot::try_new(delta, None).await.unwrap();
    assert_eq!(snapshot.transaction_version(delta, "surety/uses/0").await.unwrap(), Some(12));
    assert_eq!(snapshot.transaction_version(delta, "surety/uses/1").await.unwrap(), Some(4));
    let wanted: Vec<_> = (3..12).map(|n| (0, n)).chain((0..4).map(|n| (1, n))).collect();
    assert_eq!(places(&lake).await, wanted);
}

#[tokio::test]
async fn of_two_workers_on_one_partition_one_wins() {
    let (lake, _) = faulty();
    let (mut first, mut second) = (events_of(&lake).await, events_of(&lake).await);
    append(&mut first, P0, 0, 5).await.unwrap();

    let error = append(&mut second, P0, 0, 3).await.unwrap_err();

    let CommitError::Superseded { offsets } = error else { panic!("{error}") };
    assert_eq!(offsets.next_of(&topic(), P0), Some(Offset(5)));
    append(&mut second, P0, 5, 8).await.unwrap();
    assert!(matches!(append(&mut first, P0, 5, 7).await, Err(CommitError::Superseded { .. })));
    assert_eq!(places(&lake).await, (0..8).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_two_workers_with_the_same_range_one_wins_and_the_other_is_told() {
    let (lake, _) = faulty();
    let (mut first, mut second) = (events_of(&lake).await, events_of(&lake).await);
    append(&mut first, P0, 0, 5).await.unwrap();

    let mut late = event(P0, 0);
    late.ingested_at = crate::fixtures::at("2026-03-05T12:00:01Z");
    let (_, advance) = batch(P0, 0, 5);
    let error = second.append(vec![rows(&[late])], &advance, now()).await.unwrap_err();

    let CommitError::Superseded { offsets } = error else { panic!("{error}") };
    assert_eq!(offsets.next_of(&topic(), P0), Some(Offset(5)));
    assert_eq!(places(&lake).await.len(), 5);
}

#[tokio::test]
async fn workers_that_commit_at_the_same_moment_never_both_win_a_range() {
    let (lake, _) = faulty();
    append(&mut events_of(&lake).await, P0, 0, 1).await.unwrap();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let worker = schemas::Timestamp::from_millis(worker).unwrap();
        let mut handle = events_of(&lake).await;
        workers.spawn(async move {
            let mut won = 0;
            for _ in 0..10 {
                handle.follow().await.unwrap();
                let start = offset_of(&handle, P0).unwrap().0;
                let (_, advance) = batch(P0, start, start + 2);
                let mut events = [event(P0, start), event(P0, start + 1)];
                for event in &mut events {
                    event.ingested_at = worker;
                }
                match handle.append(vec![rows(&events)], &advance, now()).await {
                    Ok(_) => won += 1,
                    Err(CommitError::Superseded { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            won
        });
    }
    let won: usize = workers.join_all().await.into_iter().sum();

    let found = places(&lake).await;
    assert_eq!(found.len(), 1 + 2 * won, "every win is two rows");
    assert_eq!(found, (0..i64::try_from(found.len()).unwrap()).map(|n| (0, n)).collect::<Vec<_>>());
    assert_eq!(offset_of(&events_of(&lake).await, P0).unwrap().0, found.last().unwrap().1 + 1);
}

#[tokio::test]
async fn workers_on_different_partitions_both_land() {
    let (lake, _) = faulty();
    let (mut first, mut second) = (events_of(&lake).await, events_of(&lake).await);

    append(&mut first, P0, 0, 2).await.unwrap();
    append(&mut second, P1, 7, 9).await.unwrap();
    append(&mut first, P0, 2, 3).await.unwrap();

    assert_eq!(places(&lake).await, [(0, 0), (0, 1), (0, 2), (1, 7), (1, 8)]);
    assert_eq!(first.version(), Some(3));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_to_have_landed() {
    let (lake, store) = faulty();
    let mut handle = events_of(&lake).await;
    append(&mut handle, P0, 0, 2).await.unwrap();
    store.plan([Fate::AnswerLost]);

    append(&mut handle, P0, 2, 5).await.unwrap();
    append(&mut handle, P0, 5, 6).await.unwrap();

    assert_eq!(store.planned(), 0);
    assert_eq!(handle.version(), Some(3));
    assert_eq!(places(&lake).await, (0..6).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_commit_that_failed_is_tried_again_with_the_same_files() {
    let (lake, store) = faulty();
    let mut handle = events_of(&lake).await;
    append(&mut handle, P0, 0, 2).await.unwrap();
    store.plan([Fate::Failed, Fate::Failed, Fate::AnswerLost]);

    append(&mut handle, P0, 2, 5).await.unwrap();

    assert_eq!((store.planned(), handle.version()), (0, Some(2)));
    assert_eq!(places(&lake).await, (0..5).map(|n| (0, n)).collect::<Vec<_>>());
    let files = handle.log.stored().delta.object_store(None);
    let files: Vec<_> = futures::TryStreamExt::try_collect(files.list(None)).await.unwrap();
    let data = files.iter().filter(|file| file.location.extension() == Some("parquet"));
    assert_eq!(data.count(), 2, "no orphan");
}

#[tokio::test]
async fn a_storage_that_stays_broken_leaves_the_table_as_it_was() {
    let (lake, store) = faulty();
    let mut handle = events_of(&lake).await;
    append(&mut handle, P0, 0, 2).await.unwrap();
    store.plan([Fate::Failed; 4]);

    let error = append(&mut handle, P0, 2, 5).await.unwrap_err();

    assert!(matches!(error, CommitError::Unavailable { table: Table::Events, .. }), "{error}");
    assert_eq!(places(&lake).await, [(0, 0), (0, 1)]);
    append(&mut handle, P0, 2, 5).await.unwrap();
    assert_eq!(places(&lake).await.len(), 5);
}

#[tokio::test]
async fn a_commit_again_of_the_same_range_changes_nothing() {
    let (lake, _) = faulty();
    let mut handle = events_of(&lake).await;
    append(&mut handle, P0, 0, 2).await.unwrap();

    let version = append(&mut handle, P0, 0, 2).await.unwrap();

    assert_eq!(version, 1);
    assert_eq!(places(&lake).await.len(), 2);
}

#[tokio::test]
async fn a_table_that_is_ahead_takes_only_what_it_does_not_have() {
    let (lake, _) = faulty();
    let mut handle = events_of(&lake).await;
    append(&mut handle, P0, 0, 5).await.unwrap();

    let (known, known_range) = batch(P0, 2, 5);
    let (some, some_range) = batch(P0, 3, 8);
    let nothing = handle.append_rest(vec![known], &known_range, now()).await.unwrap();
    let rest = handle.append_rest(vec![some], &some_range, now()).await.unwrap();

    assert_eq!((nothing, rest), (None, Some(2)));
    assert_eq!(places(&lake).await, (0..8).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn rows_beside_their_offsets_are_a_bug_and_never_dropped() {
    let (lake, _) = faulty();
    let mut handle = events_of(&lake).await;
    let (rows, _) = batch(P0, 0, 5);
    let mut task = tokio::task::JoinSet::new();

    task.spawn(
        async move { handle.append_rest(vec![rows], &Advance::default(), now()).await.unwrap() },
    );

    assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
}

#[tokio::test]
async fn edges_that_are_committed_again_count_each_event_once() {
    let (lake, _) = faulty();
    let mut handle = lake.table(Table::CounterpartyEdges).await.unwrap();
    let (first, first_advance) = batch(P0, 0, 5);
    append_edges(&mut handle, first, &first_advance).await;

    let (more, more_advance) = batch(P0, 0, 8);
    append_edges(&mut handle, more.clone(), &more_advance).await;
    let nothing = append_edges(&mut handle, more, &more_advance).await;

    assert_eq!(nothing, None);
    assert_eq!(edges(&lake).await.iter().map(|edge| edge.events).sum::<u64>(), 8);
}

async fn append_edges(
    handle: &mut TableHandle,
    events: arrow::array::RecordBatch,
    advance: &Advance,
) -> Option<u64> {
    let (_, edges) = Form::Parquet.encode_events(std::slice::from_ref(&events), advance).unwrap();
    handle.append_edges(&edges, &[events], advance, now()).await.unwrap()
}

async fn edges(lake: &Lake) -> Vec<crate::Edge> {
    let session = datafusion::prelude::SessionContext::new();
    let provider = lake.provider(Table::CounterpartyEdges).await.unwrap().unwrap();
    let batches = session.read_table(provider).unwrap().collect().await.unwrap();
    batches.iter().flat_map(|batch| crate::decode_edges(batch).unwrap()).collect()
}

#[tokio::test]
async fn a_landed_commit_is_told_so_even_if_another_worker_went_on_from_it() {
    let (lake, _) = faulty();
    append(&mut events_of(&lake).await, P0, 0, 2).await.unwrap();
    let (mut unaware, mut landed) = (events_of(&lake).await, events_of(&lake).await);
    append(&mut landed, P0, 2, 5).await.unwrap();
    append(&mut events_of(&lake).await, P0, 5, 9).await.unwrap();

    append(&mut unaware, P0, 2, 5).await.unwrap();

    assert_eq!(offset_of(&unaware, P0), Some(Offset(9)));
    assert_eq!(places(&lake).await, (0..9).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_table_has_an_id_of_its_own_that_stays() {
    let (lake, _) = faulty();
    let mut handle = events_of(&lake).await;
    assert_eq!(handle.id(), None);

    append(&mut handle, P0, 0, 1).await.unwrap();

    let id = handle.id().unwrap().to_owned();
    assert_eq!(events_of(&lake).await.id(), Some(id.as_str()));
    let (other, _) = faulty();
    let mut other = events_of(&other).await;
    append(&mut other, P0, 0, 1).await.unwrap();
    assert_ne!(other.id(), Some(id.as_str()));
}

#[tokio::test]
async fn a_log_that_became_long_is_checkpointed_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let lake = local(folder.path());
    let last = folder.path().join("events/_delta_log/_last_checkpoint");
    let mut handle = events_of(&lake).await;
    for n in 0..30 {
        append(&mut handle, P0, n, n + 1).await.unwrap();
        handle.keep_log_short().await.unwrap();
    }
    assert!(!last.exists());

    let mut handle = events_of(&lake).await;
    for n in 30..60 {
        append(&mut handle, P0, n, n + 1).await.unwrap();
        handle.keep_log_short().await.unwrap();
    }

    assert!(last.exists());
    assert_eq!(events_of(&lake).await.offsets(), handle.offsets());
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_stops_no_commit() {
    use crate::faults::{Kind, Memory, Operation};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let (memory, is_broken) = (Memory::default(), Arc::new(AtomicBool::new(true)));
    let broken = Arc::clone(&is_broken);
    let lake = memory.lake(Arc::new(move |operation: Operation<'_>| {
        let writes = matches!(operation.kind, Kind::Write | Kind::Create);
        let fails =
            writes && operation.path.contains("checkpoint") && broken.load(Ordering::Relaxed);
        (Duration::ZERO, if fails { Fate::Failed } else { Fate::Done })
    }));
    let mut handle = events_of(&lake).await;
    let mut failures = 0;

    for n in 0..220 {
        append(&mut handle, P0, n, n + 1).await.unwrap();
        failures += u64::from(handle.keep_log_short().await.is_err());
        if n == 119 {
            assert!(1 < failures, "{failures}");
            assert_eq!(events_of(&lake).await.offsets(), handle.offsets());
            is_broken.store(false, Ordering::Relaxed);
            failures = 0;
        }
    }

    assert_eq!(failures, 0);
    assert_eq!(events_of(&lake).await.offsets(), handle.offsets());
    assert_eq!(places(&lake).await, (0..220).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn offsets_move_without_rows() {
    let (lake, _) = faulty();
    let mut handle = events_of(&lake).await;
    let (_, advance) = batch(P0, 0, 9);

    handle.append(Vec::new(), &advance, now()).await.unwrap();

    assert_eq!(offset_of(&events_of(&lake).await, P0), Some(Offset(9)));
    assert!(places(&lake).await.is_empty());
}

#[tokio::test]
async fn a_batch_of_two_months_is_one_commit_with_a_file_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let lake = local(folder.path());
    let mut events = [event(P0, 0), event(P0, 1), event(P0, 2)];
    events[1].event.time = crate::fixtures::at("2026-04-01T00:00:00Z");
    let (_, advance) = batch(P0, 0, 3);

    let mut handle = events_of(&lake).await;
    handle.append(vec![rows(&events)], &advance, now()).await.unwrap();

    for month in ["month=2026-03", "month=2026-04"] {
        assert_eq!(fs::read_dir(folder.path().join("events").join(month)).unwrap().count(), 1);
    }
    assert_eq!((handle.version(), places(&lake).await.len()), (Some(1), 3));
}

#[tokio::test]
async fn offsets_survive_a_checkpoint_and_the_clean_up_of_older_entries() {
    let folder = tempfile::tempdir().unwrap();
    let lake = local(folder.path());
    let mut handle = events_of(&lake).await;
    let mut idle = {
        append(&mut handle, P0, 0, 1).await.unwrap();
        events_of(&lake).await
    };
    for n in 1..5 {
        append(&mut handle, P0, n, n + 1).await.unwrap();
    }
    handle.checkpoint().await.unwrap();
    for version in 0..5 {
        let name = format!("events/_delta_log/{version:020}.json");
        fs::remove_file(folder.path().join(name)).unwrap();
    }

    assert_eq!(events_of(&lake).await.offsets(), handle.offsets());
    append(&mut idle, P0, 5, 6).await.unwrap();
    append(&mut handle, P0, 6, 7).await.unwrap();
    assert_eq!(places(&lake).await, (0..7).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_deleted_table_is_an_error_and_never_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let lake = local(folder.path());
    let mut handle = events_of(&lake).await;
    append(&mut handle, P0, 0, 1).await.unwrap();
    assert_eq!(places(&lake).await.len(), 1);
    fs::remove_dir_all(folder.path().join("events")).unwrap();

    let error = append(&mut handle, P0, 1, 2).await.unwrap_err();

    assert!(matches!(error, CommitError::Table(LakeError::Gone { .. })), "{error}");
    assert!(matches!(lake.provider(Table::Events).await, Err(LakeError::Gone { .. })));
    assert!(!folder.path().join("events").exists());
}

#[tokio::test]
async fn a_table_with_other_columns_is_refused_with_the_column_named() {
    let folder = tempfile::tempdir().unwrap();
    let lake = local(folder.path());
    append(&mut events_of(&lake).await, P0, 0, 1).await.unwrap();
    let path = folder.path().join("events/_delta_log/00000000000000000000.json");
    let entry = fs::read_to_string(&path).unwrap();
    let changed = entry.replace("decimal(18,2)", "decimal(18,3)");
    assert_ne!(changed, entry);
    fs::write(&path, changed).unwrap();

    let error = lake.table(Table::Events).await.unwrap_err();

    let text = error.to_string();
    assert!(matches!(error, LakeError::Schema { .. }), "{text}");
    assert!(
        text.contains("column amount") && text.contains("18, 2") && text.contains("18, 3"),
        "{text}"
    );
}

#[tokio::test]
async fn a_table_that_would_forget_its_offsets_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lake = local(folder.path());
    append(&mut events_of(&lake).await, P0, 0, 1).await.unwrap();
    let path = folder.path().join("events/_delta_log/00000000000000000000.json");
    let entry = fs::read_to_string(&path).unwrap();
    let changed =
        entry.replace("delta.checkpointInterval", "delta.setTransactionRetentionDuration");
    fs::write(&path, changed).unwrap();

    let error = lake.table(Table::Events).await.unwrap_err();

    assert!(matches!(error, LakeError::OffsetsExpire { .. }), "{error}");
}

#[tokio::test]
async fn a_table_without_kafka_offsets_counts_by_itself() {
    let (lake, _) = faulty();
    let mut handle = lake.table(Table::Deliveries).await.unwrap();
    assert_eq!(handle.sequence(), 0);
    let advance = Advance::of_sequence(SequenceRange { start: 0, end: 3 });

    handle.append(Vec::new(), &advance, now()).await.unwrap();

    assert_eq!(lake.table(Table::Deliveries).await.unwrap().sequence(), 3);
    let gap = Advance::of_sequence(SequenceRange { start: 4, end: 5 });
    let error = handle.append(Vec::new(), &gap, now()).await.unwrap_err();
    assert!(matches!(error, CommitError::Superseded { .. }), "{error}");
}

#[tokio::test]
async fn equal_rows_of_two_commits_are_both_kept() {
    let (lake, _) = faulty();
    let mut handle = lake.table(Table::CounterpartyEdges).await.unwrap();
    for start in 0..2 {
        let mut same = event(P0, 1);
        same.position = position(P0, start);
        let (_, advance) = batch(P0, start, start + 1);
        append_edges(&mut handle, rows(&[same]), &advance).await;
    }

    let snapshot = lake.newest(Table::CounterpartyEdges).await.unwrap().unwrap();

    assert_eq!(snapshot.log_data().num_files(), 2);
}

/// The files of a batch, and its advance.
fn encoded(partition: KafkaPartition, start: i64, end: i64) -> (Vec<EncodedFile>, Advance) {
    let (rows, advance) = batch(partition, start, end);
    (Form::Parquet.encode(Table::Events, &[rows], &advance).unwrap(), advance)
}

#[tokio::test]
async fn an_entry_is_written_when_others_are_done_and_not_at_all_if_they_fail() {
    let (lake, store) = faulty();
    let mut handle = events_of(&lake).await;
    append(&mut handle, P0, 0, 2).await.unwrap();
    let (files, advance) = encoded(P0, 2, 5);

    let no_room = || CommitError::unavailable(Table::Rejects, Reason("no room".to_owned()));
    let failing = async { Err(no_room()) };
    let error = handle.commit_after(failing, &files, &advance, now()).await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable { table: Table::Rejects, .. }), "{error}");
    assert_eq!(places(&lake).await, [(0, 0), (0, 1)]);

    let others = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(events_of(&lake).await.version(), Some(1), "not before they are done");
        Ok(())
    };
    let landed = handle.commit_after(others, &files, &advance, now()).await.unwrap();
    assert_eq!(landed, Landed { version: 2, is_told: true });
    store.plan([Fate::AnswerLost]);
    let (files, advance) = encoded(P0, 5, 6);
    let found = handle.commit(&files, &advance, now()).await.unwrap();
    assert_eq!(found, Landed { version: 3, is_told: false });
    assert_eq!(places(&lake).await, (0..6).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_was_quicker_while_others_were_done_is_seen_before_the_entry_is_written() {
    let (lake, _) = faulty();
    let (mut slow, mut quick) = (events_of(&lake).await, events_of(&lake).await);
    append(&mut slow, P0, 0, 2).await.unwrap();

    // On another partition: both land.
    let (files, advance) = encoded(P0, 2, 5);
    let others = async { append(&mut quick, P1, 0, 1).await.map(|_| ()) };
    let landed = slow.commit_after(others, &files, &advance, now()).await.unwrap();
    assert_eq!(landed.version, 3);

    // On the same: one wins.
    let (files, advance) = encoded(P0, 5, 9);
    let others = async { append(&mut quick, P0, 5, 7).await.map(|_| ()) };
    let error = slow.commit_after(others, &files, &advance, now()).await.unwrap_err();
    let CommitError::Superseded { offsets } = error else { panic!("{error}") };
    assert_eq!(offsets.next_of(&topic(), P0), Some(Offset(7)));
    let wanted: Vec<_> = (0..7).map(|n| (0, n)).chain([(1, 0)]).collect();
    assert_eq!(places(&lake).await, wanted);
}
