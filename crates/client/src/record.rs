use std::sync::Arc;

use bytes::Bytes;

/// A record on its way to a topic.
#[derive(Debug, Clone, Default)]
pub struct ProducerRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; `None` lets the key decide, or spreads records without one.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; `None` takes the time of sending.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl ProducerRecord {
    /// What the record takes in a batch, roughly.
    pub(crate) fn size_in_bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + length(value) + 4).sum();
        16 + length(&self.key) + length(&self.value) + headers
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Its position in the partition.
    pub offset: i64,
    /// The epoch of the leader that took it.
    pub leader_epoch: i32,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Whether the timestamp is the broker's (`LogAppendTime`) and not the producer's (`CreateTime`).
    pub is_log_append_time: bool,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}
