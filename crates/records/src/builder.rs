use bytes::{BufMut, Bytes, BytesMut};
use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use crate::compression::{Compression, compress};
use crate::header::{
    BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, BatchHeader, MAGIC_V2, NO_SEQUENCE, NO_TIMESTAMP, compute_crc,
};
use crate::record::Record;
use crate::varint::{put_varint, put_varlong, varlong_length};

/// Builds one v2 batch, as a producer does.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    compression: Compression,
    level: Option<i32>,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    records: BytesMut,
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch, without idempotence.
    pub fn new(compression: Compression) -> BatchBuilder {
        BatchBuilder {
            compression,
            level: None,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            records: BytesMut::new(),
            record_count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// How hard to compress, in the codec's own scale (KIP-390); `None` is the codec's default.
    pub fn level(mut self, level: Option<i32>) -> BatchBuilder {
        self.level = level;
        self
    }

    /// Makes the batch an idempotent producer's; `base_sequence` numbers its first record.
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> BatchBuilder {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Whether the batch is part of a transaction.
    pub fn transactional(mut self, transactional: bool) -> BatchBuilder {
        self.transactional = transactional;
        self
    }

    pub(crate) fn control(mut self) -> BatchBuilder {
        self.control = true;
        self
    }

    /// Adds a record behind the others; the first one's timestamp becomes the batch's base.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> &mut BatchBuilder {
        self.append_fields(timestamp_ms, key, value, headers.iter().map(|(key, value)| (key.as_bytes(), *value)))
    }

    /// Adds a record of another batch behind the others: its content, its timestamp, not its offset.
    pub fn append_record(&mut self, record: &Record) -> &mut BatchBuilder {
        let headers = record.headers.iter().map(|header| (&header.key[..], header.value.as_deref()));
        self.append_fields(record.timestamp, record.key.as_deref(), record.value.as_deref(), headers)
    }

    fn append_fields<'a>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone,
    ) -> &mut BatchBuilder {
        if self.record_count == 0 {
            self.base_timestamp = timestamp_ms;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        let deltas = (timestamp_ms.wrapping_sub(self.base_timestamp), self.record_count);
        put_record(&mut self.records, deltas, key, value, headers);
        self.record_count += 1;
        self
    }

    /// Records so far.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Whether no record was added.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes the batch would have without compression.
    pub fn uncompressed_size(&self) -> usize {
        BATCH_HEADER_BYTES + self.records.len()
    }

    /// The finished batch. Without records there is no batch: the result is empty.
    pub fn build(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> Bytes {
        if self.record_count == 0 {
            return Bytes::new();
        }
        let compressed;
        let body: &[u8] = match self.compression {
            Compression::None => &self.records,
            codec => {
                compressed = compress(codec, self.level, &self.records);
                &compressed
            }
        };
        let header = BatchHeader {
            base_offset,
            batch_length: 0,
            partition_leader_epoch: leader_epoch,
            magic: MAGIC_V2,
            crc: 0,
            attributes: BatchHeader::attributes_of(self.compression, self.transactional, self.control),
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.record_count,
        };
        seal_batch(header, body)
    }
}

/// Writes one record; `deltas` are those of its timestamp and offset.
pub(crate) fn put_record<'a>(
    out: &mut BytesMut,
    deltas: (i64, i32),
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone,
) {
    let (timestamp_delta, offset_delta) = deltas;
    let header_count = headers.len() as i64;
    let mut length = 1 + varlong_length(timestamp_delta) + varlong_length(i64::from(offset_delta));
    length += nullable_length(key) + nullable_length(value) + varlong_length(header_count);
    length += headers.clone().map(|(k, v)| nullable_length(Some(k)) + nullable_length(v)).sum::<usize>();

    out.reserve(length + varlong_length(length as i64));
    put_varlong(out, length as i64);
    out.put_u8(0);
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_nullable(out, key);
    put_nullable(out, value);
    put_varlong(out, header_count);
    for (key, value) in headers {
        put_nullable(out, Some(key));
        put_nullable(out, value);
    }
}

/// A whole batch of this header and body, whose length and CRC are set here.
pub(crate) fn seal_batch(mut header: BatchHeader, body: &[u8]) -> Bytes {
    header.batch_length = (BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES + body.len()) as i32;
    let mut batch = BytesMut::with_capacity(BATCH_HEADER_BYTES + body.len());
    batch.put_slice(&header.to_bytes());
    batch.put_slice(body);
    let crc = compute_crc(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}

fn nullable_length(bytes: Option<&[u8]>) -> usize {
    match bytes {
        Some(bytes) => varlong_length(bytes.len() as i64) + bytes.len(),
        None => varlong_length(-1),
    }
}

fn put_nullable(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
        None => put_varlong(out, -1),
    }
}
