//! Back to the lake's offsets: the one way to start, and to go on after anything went wrong.
//!
//! Invariant (D1): the state is that of the newest checkpoint not ahead of the lake, with the lake's
//! events after it folded in the order they were read. Their findings are in the lake and in the outbox
//! already (both are written before the events), so they are not handed over again.

use std::sync::Arc;

use futures::TryStreamExt as _;
use ingest::Source;
use lake::LakeError;
use schemas::{Offsets, Registry, Table};

use super::commit::Writer;
use super::micro_batch::{self, Buffer};
use super::registry::RegistryWatch;
use super::{Pipeline, of_lake, of_source};
use crate::clock;
use crate::exit::Failure;

/// Why the state cannot be had from the lake.
pub(super) enum RecallError {
    /// The lake cannot be read, at least not now.
    Lake(LakeError),
    /// Something here is broken.
    Local(Failure),
}

impl From<LakeError> for RecallError {
    fn from(error: LakeError) -> Self {
        Self::Lake(error)
    }
}

impl From<Failure> for RecallError {
    fn from(failure: Failure) -> Self {
        Self::Local(failure)
    }
}

impl From<RecallError> for Failure {
    fn from(error: RecallError) -> Self {
        match error {
            RecallError::Lake(error) => of_lake(error),
            RecallError::Local(failure) => failure,
        }
    }
}

impl<S: Source> Pipeline<S> {
    /// Reads offsets, registry and state anew. Nothing changes before all of it is read.
    pub(super) async fn recall(&mut self) -> Result<(), RecallError> {
        let lake = &self.parts.lake;
        let writer = Writer::open(lake, Arc::clone(&self.parts.seal_key)).await?;
        if self.has_seen_events && writer.lake_id().is_none() {
            return Err(LakeError::Gone { table: Table::Events }.into());
        }
        let mut registry = Registry::default();
        let (version, changes) = lake.read_registry_after(None).await?;
        for (change_id, change) in &changes {
            registry.apply_as(change_id.clone(), change).expect(micro_batch::SAYS_WHEN);
        }
        let config = &self.parts.detect;
        let found = self.parts.checkpoints.newest(writer.lake_id(), writer.uses(), config);
        let (mut detector, folded) =
            found.unwrap_or_else(|| (detect::Detector::new(config.clone()), Offsets::default()));
        // Before the events, each of which is judged by what was recorded before it was read.
        for (_, change) in &changes {
            detector.hear(change);
        }
        self.fold_again(&mut detector, &folded).await?;
        if let Some(since) = self.parts.routes.attempts_since()? {
            self.parts.routes.forget_known(lake.read_deliveries_since(since).await?)?;
        }
        lake::crash_point!("read", "state");
        self.has_seen_events = writer.lake_id().is_some();
        (self.registry, self.watched) = (registry, RegistryWatch::from(version));
        self.detector = detector;
        self.buffer = Buffer::at(writer.uses().clone());
        self.publish_offsets();
        self.writer = Some(Box::new(writer));
        Ok(())
    }

    /// Points the source at the lake's offsets.
    pub(super) fn seek(&mut self) -> Result<(), Failure> {
        let writer = self.writer.as_ref().expect("recalled, and nothing is being committed");
        let mut offsets = writer.uses().clone();
        for (topic, partition, next) in writer.registry().iter() {
            offsets.raise(topic, partition, next);
        }
        self.parts.source.seek(&offsets).map_err(of_source)
    }

    /// Folds the lake's events at and after `offsets`.
    async fn fold_again(
        &self,
        detector: &mut detect::Detector,
        offsets: &Offsets,
    ) -> Result<(), LakeError> {
        let mut batches = self.parts.lake.scan_events_after(offsets).await?;
        let mut events = 0;
        while let Some(rows) = batches.try_next().await? {
            let mut decoded = lake::decode_events(&rows).map_err(|error| {
                LakeError::Unavailable { table: Table::Events, cause: Box::new(error) }
            })?;
            events += decoded.len();
            if let Some(last) = decoded.last() {
                clock::not_before(last.ingested_at);
            }
            detector.recall(&decoded);
            let originals = micro_batch::copies_last(&mut decoded);
            detector.fold(&decoded[..originals]);
        }
        if 0 < events {
            tracing::info!(events, "folded what came after the checkpoint");
        }
        Ok(())
    }
}
