//! Witnesses keep heads, and never forget one.

use std::sync::Arc;

use lake::Location;
use lake::seal::{Kept, Scope, SealChain, Witness, WitnessError};
use object_store::ObjectStore;

use crate::storage::Storage;
use crate::world::{open, small_lake, verified};

fn witness(store: &Arc<Storage>) -> Witness {
    let root: Arc<dyn ObjectStore> = Arc::<Storage>::clone(store);
    Witness::over(&Location::parse("memory:///heads").unwrap(), root)
}

async fn kept(witness: &Witness) -> Scope {
    let notes = witness.heads().await.unwrap();
    Scope { witnesses: vec![Kept { witness: "auditor".to_owned(), notes }], ..Scope::default() }
}

#[tokio::test]
async fn a_head_is_kept_once_and_never_written_over() {
    let store = Arc::new(Storage::default());
    let witness = witness(&store);
    let chain = SealChain::read(&open(&small_lake().await)).await.unwrap();
    let note = &chain.links()[1].note;
    witness.keep(note).await.unwrap();
    witness.keep(note).await.unwrap();
    assert_eq!(witness.heads().await.unwrap(), std::slice::from_ref(note));

    let rewritten = note.replace("\nrejects 2\n", "\nrejects 1\n");
    let error = witness.keep(&rewritten).await.unwrap_err();

    assert!(matches!(error, WitnessError::Differs { sequence: 1, .. }), "{error}");
    assert_eq!(witness.heads().await.unwrap(), std::slice::from_ref(note));
}

#[tokio::test]
async fn what_a_witness_keeps_must_be_in_the_chain() {
    let store = small_lake().await;
    let other = SealChain::read(&open(&small_lake().await)).await.unwrap();
    let chain = SealChain::read(&open(&store)).await.unwrap();
    let place = Arc::new(Storage::default());
    let witness = witness(&place);

    // It keeps another lake's heads only, then one of this lake.
    witness.keep(&other.links()[0].note).await.unwrap();
    let none = verified(&store, &kept(&witness).await).await.flaws;
    assert_eq!(none.len(), 1, "{none:?}");
    assert!(none[0].what.contains("auditor keeps no head of this lake"), "{none:?}");
    witness.keep(&chain.links()[2].note).await.unwrap();
    assert_eq!(verified(&store, &kept(&witness).await).await.flaws, []);

    // A head that was forged in its place, and one of a history that is gone.
    let forged = chain.links()[0].note.replace("\nversion 1\n", "\nversion 2\n");
    witness.keep(&forged).await.unwrap();
    let found = verified(&store, &kept(&witness).await).await.flaws;
    assert_eq!((found.len(), found[0].seal), (1, Some(0)), "{found:?}");
    assert!(found[0].what.contains("auditor keeps: its signature is wrong"), "{found:?}");
}
