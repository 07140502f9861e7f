use bytes::Bytes;
use raftsman_types::Offset;

use crate::compression::{Compression, decompress};
use crate::error::BatchError;
use crate::header::{BATCH_HEADER_BYTES, BatchHeader};
use crate::varint::VarintReader;

/// One record of a batch. Key, value and headers are slices of the batch's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's offset in the partition.
    pub offset: Offset,
    /// ms since 1970, or -1: the producer's, or the broker's append time.
    pub timestamp: i64,
    /// The key, if any.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone on compacted topics.
    pub value: Option<Bytes>,
    /// Headers in the producer's order; keys may repeat (KIP-82).
    pub headers: Vec<RecordHeader>,
}

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The key, UTF-8 by contract of the producers (not checked here).
    pub key: Bytes,
    /// The value, if any.
    pub value: Option<Bytes>,
}

/// Walks the records of one batch; made by `RecordBatch::records`.
#[derive(Debug)]
pub struct RecordIter {
    header: BatchHeader,
    body: Body,
    position: usize,
    next_index: i32,
    max_record_bytes: usize,
}

#[derive(Debug)]
enum Body {
    /// Not opened yet: the first `next` decompresses.
    Compressed {
        bytes: Bytes,
        max_decompressed_bytes: usize,
    },
    Open(Bytes),
    /// Ended, or an error was given out.
    Done,
}

impl RecordIter {
    pub(crate) fn new(header: &BatchHeader, batch: &Bytes, max_decompressed_bytes: usize) -> RecordIter {
        let bytes = batch.slice(BATCH_HEADER_BYTES..);
        RecordIter {
            header: *header,
            body: Body::Compressed { bytes, max_decompressed_bytes },
            position: 0,
            next_index: 0,
            max_record_bytes: usize::MAX,
        }
    }

    /// The same, of which a record of a compressed batch that is larger than `bytes` is refused.
    pub(crate) fn up_to(self, bytes: usize) -> RecordIter {
        let is_compressed = self.header.compression() != Ok(Compression::None);
        RecordIter { max_record_bytes: if is_compressed { bytes } else { usize::MAX }, ..self }
    }

    fn open(&self, bytes: &Bytes, max_decompressed_bytes: usize) -> Result<Bytes, BatchError> {
        match self.header.compression()? {
            Compression::None => Ok(bytes.clone()),
            codec => Ok(decompress(codec, bytes, max_decompressed_bytes)?),
        }
    }

    fn read_next(&mut self) -> Result<Option<Record>, BatchError> {
        if let Body::Compressed { bytes, max_decompressed_bytes } = &self.body {
            let opened = self.open(bytes, *max_decompressed_bytes)?;
            self.body = Body::Open(opened);
        }
        let Body::Open(body) = &self.body else { return Ok(None) };
        let base_offset = self.header.base_offset;
        if self.next_index >= self.header.record_count {
            if self.position != body.len() {
                let what = "bytes are left over after the last record";
                return Err(BatchError::Inconsistent { base_offset, what });
            }
            return Ok(None);
        }
        let (index, limit) = (self.next_index, self.max_record_bytes);
        if limit < usize::MAX
            && let Some(bytes) = length_at(body, self.position).filter(|bytes| *bytes > limit)
        {
            return Err(BatchError::RecordTooLarge { base_offset, index, bytes, limit });
        }
        let (record, end) = read_record(&self.header, body, self.position)
            .map_err(|what| BatchError::MalformedRecord { base_offset, index, what })?;
        self.position = end;
        self.next_index += 1;
        Ok(Some(record))
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Result<Record, BatchError>> {
        let read = self.read_next().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.body = Body::Done;
        }
        read
    }
}

/// What the length field of the record at `start` says, if it says anything.
fn length_at(body: &Bytes, start: usize) -> Option<usize> {
    VarintReader::new(body, start).varint().and_then(|length| usize::try_from(length).ok())
}

/// Reads the record at `start`; returns it and where it ends.
fn read_record(header: &BatchHeader, body: &Bytes, start: usize) -> Result<(Record, usize), &'static str> {
    let mut reader = VarintReader::new(body, start);
    let length = reader.varint().and_then(|l| usize::try_from(l).ok()).ok_or("bad length")?;
    if length > reader.remaining() {
        return Err("length goes past the batch");
    }
    let end = reader.position() + length;
    let mut reader = VarintReader::new(&body[..end], reader.position());
    reader.byte().ok_or("no attributes")?;
    let timestamp_delta = reader.varlong().ok_or("bad timestamp delta")?;
    let offset_delta = reader.varint().ok_or("bad offset delta")?;
    if offset_delta < 0 || offset_delta > header.last_offset_delta {
        return Err("offset delta outside the batch");
    }
    let key = read_bytes(&mut reader, body).ok_or("bad key")?;
    let value = read_bytes(&mut reader, body).ok_or("bad value")?;
    let headers = read_headers(&mut reader, body)?;
    if reader.position() != end {
        return Err("length does not fit the fields");
    }
    let timestamp = match header.is_log_append_time() {
        true => header.max_timestamp,
        false => header.base_timestamp.saturating_add(timestamp_delta),
    };
    let offset = header.base_offset.saturating_add(i64::from(offset_delta));
    Ok((Record { offset, timestamp, key, value, headers }, end))
}

fn read_headers(reader: &mut VarintReader<'_>, body: &Bytes) -> Result<Vec<RecordHeader>, &'static str> {
    let count = reader.varint().and_then(|c| usize::try_from(c).ok()).ok_or("bad header count")?;
    // Each header takes at least two bytes, so a count past that is a lie and not worth a loop.
    if count > reader.remaining() / 2 {
        return Err("more headers than bytes");
    }
    let mut headers = Vec::new();
    for _ in 0..count {
        let key = read_bytes(reader, body).flatten().ok_or("bad header key")?;
        let value = read_bytes(reader, body).ok_or("bad header value")?;
        headers.push(RecordHeader { key, value });
    }
    Ok(headers)
}

/// A length (-1 is null) and that many bytes. The outer `None` is malformed input.
fn read_bytes(reader: &mut VarintReader<'_>, body: &Bytes) -> Option<Option<Bytes>> {
    let length = reader.varint()?;
    if length < 0 {
        return Some(None);
    }
    let length = length as usize;
    let start = reader.skip(length)?;
    Some(Some(body.slice(start..start + length)))
}
