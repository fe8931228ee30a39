//! Back to the lake's offsets: the one way to start, and to go on after anything went wrong.
//!
//! Invariant (D1): the state is that of the newest checkpoint not ahead of the lake, with the lake's
//! events after it folded in the order they were read. Their findings are in the lake and in the outbox
//! already (both are written before the events), so they are not handed over again.

use futures::TryStreamExt as _;
use ingest::Source;
use schemas::{Offsets, Registry};

use super::commit::Writer;
use super::micro_batch::{self, Buffer};
use super::{Pipeline, of_lake, of_source};
use crate::clock;
use crate::exit::{Exit, Failure};

impl<S: Source> Pipeline<S> {
    /// Reads offsets, registry and state anew, and points the source at the offsets.
    pub(super) async fn restore(&mut self) -> Result<(), Failure> {
        let lake = &self.parts.lake;
        let writer = Writer::open(lake).await.map_err(of_lake)?;
        self.registry = Registry::default();
        for change in lake.read_registry().await.map_err(of_lake)? {
            micro_batch::apply(&mut self.registry, &change);
        }
        let config = &self.parts.detect;
        let (detector, folded) = match self.parts.checkpoints.newest(writer.uses(), config)? {
            Some(found) => found,
            None => (detect::Detector::new(config.clone()), Offsets::default()),
        };
        self.detector = detector;
        self.fold_again(&folded).await?;
        self.buffer = Buffer::at(writer.uses().clone());
        self.parts.routes.resume_from(writer.attempts_below());
        let mut offsets = writer.uses().clone();
        for (topic, partition, next) in writer.registry().iter() {
            offsets.raise(topic, partition, next);
        }
        self.publish_offsets();
        self.writer = Some(Box::new(writer));
        self.parts.source.seek(&offsets).map_err(of_source)
    }

    /// Folds the lake's events at and after `offsets`.
    async fn fold_again(&mut self, offsets: &Offsets) -> Result<(), Failure> {
        let mut batches = self.parts.lake.scan_events_after(offsets).await.map_err(of_lake)?;
        let mut events = 0;
        while let Some(rows) = batches.try_next().await.map_err(of_lake)? {
            let decoded = lake::decode_events(&rows);
            let decoded = decoded.map_err(|error| Failure::new(Exit::Data, error))?;
            events += decoded.len();
            if let Some(last) = decoded.last() {
                clock::not_before(last.ingested_at);
            }
            self.detector.fold(&decoded);
        }
        if 0 < events {
            tracing::info!(events, "folded what came after the checkpoint");
        }
        Ok(())
    }
}
