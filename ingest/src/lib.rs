//! Kafka and files to events: sources and normalisers.
//!
//! Layout, in the order a newcomer wants it:
//! - [`Source`] (`source.rs`): where records come from; [`KafkaSource`] (`kafka.rs`) and [`Replay`]
//!   (`replay.rs`) are the two there are;
//! - [`Rejected`] (`rejected.rs`): rejects, to be read again;
//! - [`Epochs`] (`epochs.rs`): topics that were made anew, under a name of their own;
//! - [`RawBatch`] (`record.rs`): the records of one micro-batch;
//! - [`Normaliser`] (`format.rs`): one record to one event, or to a reject;
//! - [`Mapping`] (`format/mapped.rs`): a format that the configuration describes;
//! - [`Redactor`] (`redact.rs`): no secret gets further than here;
//! - [`RegistryReader`] (`registry.rs`): registry changes, from their topic and from files;
//! - [`Producer`], [`NoticeBoard`], [`EmbeddedBroker`] (`kafka/`): records into Kafka, a topic read whole, and a Kafka for tests and demo.

mod epochs;
mod format;
mod kafka;
mod record;
mod redact;
mod registry;
mod rejected;
mod replay;
mod source;

pub use epochs::Epochs;
pub use format::{
    AvroSchemaError, AvroSchemas, Expression, ExpressionError, InvalidMapping, MappedField,
    Mapping, MappingCase, Normaliser, NotOne,
};
pub use kafka::{
    EmbeddedBroker, InvalidBoard, KafkaConfig, KafkaSource, NoticeBoard, ProduceError, Producer,
    StartAt, commit_group_offset, create_topic, delete_before, delete_topic, ends_of, record_count,
    send_in_transaction,
};
pub use record::{RawBatch, RawRecord};
pub use redact::Redactor;
pub use registry::{
    BadLine, RegistryFile, RegistryFileError, RegistryFormat, RegistryReader, read_registry_file,
};
pub use rejected::Rejected;
pub use replay::{Replay, content_hash, open_plain_or_gzip};
pub use source::{Poll, Source, SourceError};
