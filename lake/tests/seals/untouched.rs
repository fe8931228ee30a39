//! A lake that nobody touched is clean.

use std::sync::Arc;

use lake::seal::{Inclusion, Scope, SealChain, SealedRecords, leaves};
use schemas::{Offset, Part, Position, Table};

use crate::storage::Storage;
use crate::world::{
    Batch, P0, P1, Worker, flaws, import_registry, open, small_lake, topic, verified,
};

#[tokio::test]
async fn a_lake_that_was_not_touched_is_clean() {
    let store = small_lake().await;

    let verified = verified(&store, &Scope::default()).await;

    assert_eq!(verified.flaws, []);
    assert_eq!((verified.seals, verified.records, verified.unsealed), (3, 25, 0));
}

#[tokio::test]
async fn a_lake_without_records_is_clean() {
    let store = Arc::new(Storage::default());
    assert_eq!(flaws(&store).await, [""; 0]);

    import_registry(&open(&store)).await;

    let verified = verified(&store, &Scope::default()).await;
    assert_eq!((verified.flaws.as_slice(), verified.unsealed), ([].as_slice(), 2));
}

#[tokio::test]
async fn a_lake_that_somebody_writes_to_is_clean_up_to_its_newest_seal() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 3)).await.unwrap();
    let writing = async {
        for at in 1..12 {
            worker.commit(&Batch::of(P0, at * 3, at * 3 + 3)).await.unwrap();
        }
    };
    let verifying = async {
        let mut seals = 0;
        while seals < 12 {
            let found = verified(&store, &Scope::default()).await;
            assert!(found.flaws.iter().all(|flaw| flaw.is_ahead), "{:?}", found.flaws);
            seals = found.seals;
        }
    };

    tokio::join!(writing, verifying);

    assert_eq!(flaws(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_commit_without_rows_is_sealed_and_clean() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 0, 3)).await.unwrap();
    let nothing = Batch { advance: Batch::of(P0, 3, 9).advance, ..Batch::of_nothing() };

    worker.commit(&nothing).await.unwrap();
    worker.commit(&Batch::of(P0, 9, 12)).await.unwrap();

    assert_eq!(flaws(&store).await, [""; 0]);
    assert_eq!(verified(&store, &Scope::default()).await.seals, 3);
}

#[tokio::test]
async fn each_record_is_proven_from_its_stored_row_to_the_newest_head() {
    let store = small_lake().await;
    let lake = open(&store);
    let chain = SealChain::read(&lake).await.unwrap();
    assert_eq!(chain.links().len(), 3);
    let rows = Batch::of(P1, 3, 12);

    let link = chain.seal_of(&position(P1, 3)).unwrap();
    let records = SealedRecords::read(&lake, &link.seal).await.unwrap();

    assert!(records.are_as_sealed(&link.seal));
    assert_eq!(records.len(), 9);
    for (place, leaf) in leaves(Table::Events, &rows.events).unwrap() {
        let offset = place.offset.0;
        let proof = records.prove(&position(P1, offset)).unwrap();
        assert_eq!(proof.leaf, leaf, "{offset}");
        assert!(proof.leads_to(&link.seal), "{offset}");
        assert!(!Inclusion { index: proof.index + 1, ..proof.clone() }.leads_to(&link.seal));
        assert!(!proof.leads_to(&chain.links()[0].seal));
    }
    assert!(records.prove(&position(P1, 4)).unwrap().leads_to(&link.seal), "a reject");
    assert_eq!(records.prove(&position(P1, 12)), None);
    assert_eq!(records.prove(&position(P0, 3)), None);
    assert_eq!(chain.seal_of(&position(P1, 12)), None);
    let way = chain.from(link.seal.sequence);
    assert_eq!(way.len(), 2);
    assert_eq!(way[1].seal.previous, lake::seal::hash_of(&way[0].note));
}

fn position(partition: schemas::KafkaPartition, offset: i64) -> Position {
    Position { topic: topic(), partition, offset: Offset(offset), part: Part::FIRST }
}
