//! Records that hold several: each of these is sealed, proven and missed by itself.

use std::sync::Arc;

use futures::TryStreamExt as _;
use lake::seal::{SealChain, SealedRecords, leaves, root_of};
use lake::upkeep::{Sizes, Upkeep};
use lake::{EventRows, RejectRows, decode_events, decode_rejects};
use schemas::{Offset, Offsets, Part, Position, Reject, StampedEvent, Table};

use crate::storage::Storage;
use crate::world::{Batch, P0, Worker, flaws, key, now, open, topic};

fn position(offset: i64, part: u16) -> Position {
    Position { topic: topic(), partition: P0, offset: Offset(offset), part: Part(part) }
}

#[tokio::test]
async fn each_of_several_is_sealed_and_proven_and_found_in_its_order() {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of_several(P0, 0, 5)).await.unwrap();
    worker.commit(&Batch::of_several(P0, 5, 8)).await.unwrap();
    let lake = open(&store);

    assert_eq!(flaws(&store).await, [""; 0]);
    let chain = SealChain::read(&lake).await.unwrap();
    let link = chain.seal_of(&position(2, 1)).unwrap();
    let records = SealedRecords::read(&lake, &link.seal).await.unwrap();
    assert_eq!(records.len(), 15);
    for (index, part) in (6..).zip(0..3) {
        let proof = records.prove(&position(2, part)).unwrap();
        assert!(proof.leads_to(&link.seal));
        assert_eq!(proof.index, index);
    }
    assert_eq!(records.prove(&position(2, 3)), None);

    let stream = lake.scan_events_after(&Offsets::default()).await.unwrap();
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    let events = batches.iter().flat_map(|batch| decode_events(batch).unwrap());
    let places: Vec<_> = events.map(|one| (one.position.offset.0, one.position.part.0)).collect();
    let wanted: Vec<_> = (0..8).flat_map(|offset| [(offset, 0), (offset, 2)]).collect();
    assert_eq!(places, wanted);

    let upkeep = Upkeep::new(&lake, key(7));
    let sizes = Sizes { file_bytes: 128 << 20, files_min: 2, is_daily: false };
    for table in [Table::Events, Table::Rejects] {
        let pace = || Arc::new(|| std::ops::ControlFlow::Continue(()));
        for group in upkeep.plan(table, sizes).await.unwrap() {
            assert!(upkeep.compact(&group, now(), pace()).await.unwrap().is_some());
        }
    }
    assert_eq!(flaws(&store).await, [""; 0]);
}

#[test]
fn one_of_several_that_is_missing_or_stands_elsewhere_gives_another_root() {
    let whole = Batch::of_several(P0, 0, 4);
    let events = decode_events(&whole.events).unwrap();
    let rejects = decode_rejects(&whole.rejects).unwrap();
    let root = |events: &[StampedEvent], rejects: &[Reject]| {
        let (mut rows, mut refused) = (EventRows::with_capacity(0), RejectRows::default());
        for one in events {
            rows.push(one);
        }
        for one in rejects {
            refused.push(one);
        }
        let mut all = leaves(Table::Events, &rows.finish()).unwrap();
        all.extend(leaves(Table::Rejects, &refused.finish()).unwrap());
        all.sort_unstable();
        let hashes: Vec<_> = all.into_iter().map(|(_, hash)| hash).collect();
        root_of(&hashes)
    };
    let wanted = root(&events, &rejects);
    let (mut other, mut refused) = (events.clone(), rejects.clone());
    other.reverse();
    refused.reverse();
    assert_eq!(root(&other, &refused), wanted, "in whatever order the rows are");

    other.pop();
    assert_ne!(root(&other, &rejects), wanted, "one is missing");
    let mut other = events.clone();
    other[2].position.part = Part(7);
    assert_ne!(root(&other, &rejects), wanted, "an event stands elsewhere");
    refused[1].position.part = Part(7);
    assert_ne!(root(&events, &refused), wanted, "a reject stands elsewhere");
}
