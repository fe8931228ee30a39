//! The topics that are read, and under which names the lake keeps them.
//!
//! Invariant: each topic is read in one way, and no two of them have one name in the lake.

use std::collections::BTreeSet;

use schemas::{Format, Reject, Topic};
use serde::Deserialize;
use toml::Spanned;

use super::{Kafka, Origin};

/// A topic of credential uses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KafkaTopic {
    pub(crate) name: Spanned<Topic>,
    pub(crate) format: Spanned<Format>,
    pub(crate) epoch: Option<Epoch>,
}

impl KafkaTopic {
    /// Its name in the lake: Kafka's, or that with the epoch.
    pub(crate) fn in_lake(&self) -> Topic {
        let name = self.name.get_ref();
        match self.epoch {
            Some(Epoch(epoch)) => Topic::new(&format!("{name}.epoch-{epoch}")),
            None => name.clone(),
        }
    }
}

/// How often a topic was deleted and made anew under its old name, and one: 2 to 9999.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Epoch(u64);

impl TryFrom<u64> for Epoch {
    type Error = String;

    fn try_from(epoch: u64) -> Result<Self, String> {
        match epoch {
            2..=9_999 => Ok(Self(epoch)),
            1 => Err("1 is what a topic is that was never made anew: leave it out".to_owned()),
            _ => Err(format!("{epoch} is outside 2..=9999")),
        }
    }
}

/// A topic is read in one way.
pub(super) fn check(kafka: &Kafka, origin: &Origin) -> Result<(), String> {
    let uses = kafka.topics.iter();
    let uses = uses.map(|topic| (&topic.name, topic.in_lake(), topic.epoch.is_some()));
    let registry = kafka.registry_topic.iter().map(|name| (name, name.get_ref().clone(), false));
    let (mut seen, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for (name, in_lake, is_anew) in uses.chain(registry) {
        let place = || origin.place(&name.span());
        if name.get_ref().as_str() == Reject::REPLAY_TOPIC {
            return Err(format!("{}: wanted another topic: this name is that of rejects", place()));
        }
        if !seen.insert(name.get_ref()) {
            return Err(format!("{}: wanted each topic once, found it again", place()));
        }
        // What is longer was cut, and the epoch with it.
        if is_anew && Topic::BYTES_MAX <= in_lake.as_str().len() {
            return Err(format!("{}: wanted a shorter name for a topic with an epoch", place()));
        }
        if !kept.insert(in_lake.clone()) {
            return Err(format!("{}: wanted one topic that the lake calls {in_lake}", place()));
        }
    }
    Ok(())
}
