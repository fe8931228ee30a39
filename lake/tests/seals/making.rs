//! Seals are made once for each commit, in one chain, whatever fails in between.

use std::sync::Arc;

use lake::CommitError;
use lake::seal::Scope;
use schemas::{Table, Timestamp};

use crate::storage::{Fault, Storage};
use crate::world::{Batch, P0, P1, Worker, flaws, now, open, verified};

async fn seals(store: &Arc<Storage>) -> u64 {
    let verified = verified(store, &Scope::default()).await;
    assert_eq!(verified.flaws, []);
    verified.seals
}

#[tokio::test]
async fn a_seal_whose_answer_was_lost_is_found_to_be_there() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 3)).await.unwrap();
    store.plan("seals/", Fault::WrittenThenLost);

    worker.commit(&Batch::of(P0, 3, 6)).await.unwrap();
    worker.commit(&Batch::of(P0, 6, 9)).await.unwrap();

    assert_eq!((store.planned(), seals(&store).await), (0, 3));
}

#[tokio::test]
async fn a_seal_of_which_nobody_knows_whether_it_was_written_is_neither_lost_nor_doubled() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 3)).await.unwrap();
    store.plan("seals/", Fault::WrittenThenDown);

    let error = worker.commit(&Batch::of(P0, 3, 6)).await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable { .. }), "{error}");
    store.answer_again();
    worker.commit(&Batch::of(P0, 6, 9)).await.unwrap();

    assert_eq!(seals(&store).await, 3);
    assert_eq!(worker.sealer.catch_up(now()).await.unwrap(), 0);
    assert_eq!(seals(&store).await, 3);
}

#[tokio::test]
async fn a_seal_that_the_storage_did_not_take_is_made_with_the_next_commit() {
    for restarts in [false, true] {
        let store = Arc::new(Storage::default());
        let mut worker = Worker::start(&store).await;
        worker.commit(&Batch::of(P0, 0, 3)).await.unwrap();
        for _ in 0..4 {
            store.plan("seals/", Fault::NotWritten);
        }

        let error = worker.commit(&Batch::of(P0, 3, 6)).await.unwrap_err();
        assert!(matches!(error, CommitError::Unavailable { .. }), "{error}");
        if restarts {
            worker = Worker::start(&store).await;
        }
        worker.commit(&Batch::of(P0, 6, 9)).await.unwrap();

        assert_eq!((store.planned(), seals(&store).await), (0, 3), "restarts: {restarts}");
    }
}

#[tokio::test]
async fn the_very_first_seal_may_fail_too() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    store.plan("seals/_delta_log/00000000000000000001", Fault::WrittenThenDown);

    worker.commit(&Batch::of(P0, 0, 3)).await.unwrap_err();
    store.answer_again();
    worker.commit(&Batch::of(P0, 3, 6)).await.unwrap();

    assert_eq!(seals(&store).await, 2);
}

#[tokio::test]
async fn commits_before_a_crash_are_sealed_from_the_stored_rows() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    for start in [0, 4, 9] {
        let batch = Batch::of(P0, start, start + 4 + i64::from(start == 4));
        worker.write_rejects(&batch).await.unwrap();
        worker.write_events(&batch).await.unwrap();
    }
    let unsealed = flaws(&store).await;
    assert!(unsealed.iter().any(|flaw| flaw.contains("version 1 has no seal")), "{unsealed:?}");

    let mut worker = Worker::start(&store).await;
    assert_eq!(worker.sealer.catch_up(now()).await.unwrap(), 3);

    assert_eq!(seals(&store).await, 3);
    let table = open(&store).table(Table::Seals).await.unwrap();
    assert_eq!(table.version(), Some(1), "it was made, and got all three at once");
    worker.commit(&Batch::of(P0, 13, 17)).await.unwrap();
    assert_eq!(seals(&store).await, 4);
}

#[tokio::test]
async fn rejects_that_came_to_the_lake_before_a_crash_are_no_flaw_and_are_sealed_later() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 3)).await.unwrap();
    worker.write_rejects(&Batch::of(P0, 3, 12)).await.unwrap();

    let before = verified(&store, &Scope::default()).await;
    assert_eq!(before.flaws, []);
    assert_eq!(before.unsealed, 2);

    // The records are read again, later and in other batches.
    let mut worker = Worker::start(&store).await;
    let later = Timestamp::parse("2026-03-06T00:00:00Z").unwrap();
    for (start, end) in [(3, 7), (7, 14)] {
        let batch = Batch::read_at(P0, start, end, later);
        worker.write_rejects(&batch).await.unwrap();
        worker.write_events(&batch).await.unwrap();
        worker.sealer.catch_up(now()).await.unwrap();
    }

    assert_eq!(seals(&store).await, 3);
}

#[tokio::test]
async fn a_commit_that_landed_before_another_workers_is_sealed_as_what_it_is() {
    let store = Arc::new(Storage::default());
    let mut first = Worker::start(&store).await;
    let mut second = Worker::start(&store).await;
    first.commit(&Batch::of(P0, 0, 3)).await.unwrap();
    second.commit(&Batch::of(P1, 0, 3)).await.unwrap();
    store.plan("events/", Fault::WrittenThenDown);

    // The first worker's commit lands unheard, the second goes on from it.
    let batch = Batch::of(P0, 3, 6);
    first.write_events(&batch).await.unwrap_err();
    store.answer_again();
    second.commit(&Batch::of(P1, 3, 7)).await.unwrap();
    let landed = first.write_events(&batch).await.unwrap();
    first.seal(&batch, landed).await.unwrap();

    assert_eq!(seals(&store).await, 4);
}

#[tokio::test]
async fn workers_that_seal_at_the_same_time_make_one_chain() {
    let store = Arc::new(Storage::default());
    let mut first = Worker::start(&store).await;
    let mut second = Worker::start(&store).await;
    for at in 0..4 {
        let (start, end) = (at * 5, at * 5 + 5);
        let (one, two) = (Batch::of(P0, start, end), Batch::of(P1, start, end));
        let (one, two) = tokio::join!(first.commit(&one), second.commit(&two));
        one.unwrap();
        two.unwrap();
    }

    assert_eq!(seals(&store).await, 8);
}

#[tokio::test]
async fn orphans_of_failed_commits_are_no_flaw() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 3)).await.unwrap();
    for _ in 0..4 {
        store.plan("events/", Fault::NotWritten);
    }

    worker.write_events(&Batch::of(P0, 3, 6)).await.unwrap_err();
    worker.commit(&Batch::of(P0, 3, 7)).await.unwrap();

    assert_eq!(seals(&store).await, 2);
}
