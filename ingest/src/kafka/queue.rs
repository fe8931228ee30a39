//! [`PartitionReader`]: one partition's fetched messages, taken from librdkafka in batches.
//!
//! Invariant: a message taken from librdkafka is handed out once and destroyed once, and its payload is
//! never seen longer than the borrow that [`PartitionReader::head`] gives.
//!
//! This is the crate's one file with `unsafe`. It exists because the wrapper crate offers only the
//! one-message poll, which costs 40 % more per record than the batch call, and because neither the
//! cached high watermark nor the embedded broker's rebalance delay is reachable otherwise.
//!
//! Safety argument, for every block below:
//! - the client (`rd_kafka_t`) lives as long as its consumer, of which each reader's `PartitionQueue`
//!   holds an `Arc`, and Rust drops a struct's fields after `Drop::drop`, so queue and messages go before the client;
//! - a queue pointer comes from `rd_kafka_queue_get_partition`, is checked for null, and is given
//!   back once, in `Drop`;
//! - a message pointer comes from `rd_kafka_consume_batch_queue`, which writes as many valid pointers
//!   as it returns; each is destroyed once, when it is popped or in `Drop`;
//! - `payload` and `len` of a message describe memory that is valid and unchanged until the message is
//!   destroyed, and a null payload is a tombstone;
//! - headers belong to their message, and name and value of each are valid as long; asking for them reads
//!   them off the message, which writes to it, and needs `&mut`;
//! - librdkafka's functions may be called from any thread, and a message is not tied to one; taking and
//!   destroying need `&mut`.

#![expect(unsafe_code, reason = "librdkafka's batch call has no safe wrapper; argued above")]

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka::bindings as native;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::types::RDKafkaRespErr;
use schemas::{Offset, Timestamp};
use tokio::sync::Notify;

use super::context::Context;
use crate::format::event_of_message;

/// Messages taken by one call. Measured: beyond some 256 the cost per message no longer falls.
const BATCH_MESSAGES: usize = 1_024;

/// What stands first in a partition's queue.
#[derive(Debug)]
pub(super) enum Head<'a> {
    Record {
        offset: Offset,
        time: Option<Timestamp>,
        payload: Option<&'a [u8]>,
    },
    /// Everything there is was read.
    End,
    Failed(RDKafkaErrorCode),
}

/// The fetched messages of one partition.
pub(super) struct PartitionReader {
    queue: NonNull<native::rd_kafka_queue_t>,
    messages: VecDeque<NonNull<native::rd_kafka_message_t>>,
    /// Where a call puts its pointers; kept to be used again.
    room: Vec<*mut native::rd_kafka_message_t>,
    /// Keeps the client alive (see the safety argument) and wakes the source.
    _split: PartitionQueue<Context>,
}

// SAFETY: nothing here is tied to a thread, and librdkafka is thread safe.
unsafe impl Send for PartitionReader {}
// SAFETY: through `&self` messages are only read, and nothing writes to them.
unsafe impl Sync for PartitionReader {}

impl PartitionReader {
    /// Takes the partition's messages out of the consumer's common queue, from now on.
    ///
    /// To be called before the partition is assigned; librdkafka keeps to it in later assignments.
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<Context>>,
        topic: &str,
        partition: i32,
        wake: &Arc<Notify>,
    ) -> Self {
        let every_queue = "librdkafka makes the queues of a consumer on demand";
        let mut split = consumer.split_partition_queue(topic, partition).expect(every_queue);
        let wake = Arc::clone(wake);
        split.set_nonempty_callback(move || wake.notify_one());
        let name = CString::new(topic).expect("a topic's name has no NUL");
        // SAFETY: the client is alive and the name is a C string.
        let queue = unsafe {
            native::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                name.as_ptr(),
                partition,
            )
        };
        Self {
            queue: NonNull::new(queue).expect(every_queue),
            messages: VecDeque::new(),
            room: vec![std::ptr::null_mut(); BATCH_MESSAGES],
            _split: split,
        }
    }

    /// Takes what librdkafka has fetched, if nothing is held, without waiting. Returns whether
    /// something is held.
    pub(super) fn refill(&mut self) -> bool {
        if self.messages.is_empty() {
            // SAFETY: the queue is valid and the room has as many places as are told.
            let taken = unsafe {
                native::rd_kafka_consume_batch_queue(
                    self.queue.as_ptr(),
                    0,
                    self.room.as_mut_ptr(),
                    self.room.len(),
                )
            };
            let taken = usize::try_from(taken).unwrap_or(0);
            self.messages.extend(self.room[..taken].iter().copied().filter_map(NonNull::new));
        }
        !self.messages.is_empty()
    }

    /// The first message held.
    pub(super) fn head(&self) -> Option<Head<'_>> {
        // SAFETY: a held message is valid until it is popped, which needs `&mut self`.
        let message = unsafe { self.messages.front()?.as_ref() };
        if message.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF {
            return Some(Head::End);
        }
        if message.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Some(Head::Failed(message.err.into()));
        }
        let payload = NonNull::new(message.payload.cast::<u8>()).map(|start| {
            // SAFETY: see the argument on `payload` and `len`.
            unsafe { std::slice::from_raw_parts(start.as_ptr().cast_const(), message.len) }
        });
        Some(Head::Record { offset: Offset(message.offset), time: time_of(message), payload })
    }

    /// The first message held, if it is an event in binary mode, in structured mode.
    pub(super) fn event(&mut self) -> Option<Vec<u8>> {
        let message = self.messages.front()?.as_ptr();
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message is valid, nobody else has it, and the pointer is ours.
        let error = unsafe { native::rd_kafka_message_headers(message, &raw mut headers) };
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let headers = (0..).map_while(|at| {
            let (mut name, mut value, mut len) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: the headers are those of a valid message, and the three places are ours.
            let error = unsafe {
                native::rd_kafka_header_get_all(
                    headers,
                    at,
                    &raw mut name,
                    &raw mut value,
                    &raw mut len,
                )
            };
            if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return None;
            }
            let value = NonNull::new(value.cast::<u8>().cast_mut());
            // SAFETY: the name is a C string and the value has this length; both live as long as the message.
            let (name, value) = unsafe {
                let value = value.map(|start| std::slice::from_raw_parts(start.as_ptr(), len));
                (CStr::from_ptr(name), value)
            };
            Some((name.to_str().unwrap_or_default(), value.unwrap_or_default()))
        });
        let Some(Head::Record { payload, .. }) = self.head() else { return None };
        event_of_message(headers, payload)
    }

    /// Drops the first message held.
    pub(super) fn pop(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            // SAFETY: the message was taken out of the list, so it is destroyed once.
            unsafe { native::rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

impl Drop for PartitionReader {
    fn drop(&mut self) {
        while !self.messages.is_empty() {
            self.pop();
        }
        // SAFETY: the queue is given back once.
        unsafe { native::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// The message's time, if its broker keeps times.
fn time_of(message: &native::rd_kafka_message_t) -> Option<Timestamp> {
    // SAFETY: the message is valid, and null says that the kind of time is not asked for.
    let millis = unsafe { native::rd_kafka_message_timestamp(message, std::ptr::null_mut()) };
    // -1 stands for no time, and is out of range.
    Timestamp::from_millis(millis).ok()
}

/// The oldest offset and the end of the partition, as the last fetch told them; `None` before the
/// first one. Asks nobody.
pub(super) fn cached_ends(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partition: i32,
) -> Option<(Offset, Offset)> {
    let name = CString::new(topic).ok()?;
    let (mut low, mut high) = (0, 0);
    // SAFETY: the client is alive, the name is a C string and the two numbers are ours.
    let error = unsafe {
        native::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            name.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    let is_known = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && 0 <= high;
    is_known.then_some((Offset(low.max(0)), Offset(high)))
}

/// Lets groups of the client's embedded broker begin at once, not after the usual three seconds.
pub(super) fn begin_groups_at_once(host: &BaseProducer) {
    // SAFETY: the client is alive.
    let cluster = unsafe { native::rd_kafka_handle_mock_cluster(host.client().native_ptr()) };
    assert!(!cluster.is_null(), "the client was made with an embedded broker");
    // SAFETY: the cluster belongs to the client, which is alive.
    unsafe { native::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0) };
}
