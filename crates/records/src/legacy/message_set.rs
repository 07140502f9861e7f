use bytes::{Buf, Bytes};

use super::message::LegacyMessage;
use crate::compression::{Compression, decompress_legacy};
use crate::error::{BatchError, InvalidRecords};

/// A produced message set: single messages, or one wrapper around compressed ones.
pub(super) struct MessageSet {
    /// The format of all its messages.
    pub magic: i8,
    /// How the producer compressed it.
    pub compression: Compression,
    /// Bytes of the largest entry, which is what `max.message.bytes` speaks of.
    pub largest_entry_bytes: usize,
    /// The messages, unpacked.
    messages: Bytes,
}

impl MessageSet {
    /// Opens a set, unpacked to at most `max_decompressed_bytes`. A message that is cut off at the end is left out, as
    /// Kafka does.
    pub fn open(bytes: &Bytes, max_decompressed_bytes: usize) -> Result<MessageSet, InvalidRecords> {
        let mut entries = Messages { rest: bytes.clone() };
        let Some(first) = entries.next() else { return Err(InvalidRecords::NoBatch) };
        let (first, size) = first?;
        let codec = first.codec_id();
        // zstd is younger than these formats (KIP-110).
        let compression = Compression::from_id(codec).filter(|codec| *codec != Compression::Zstd);
        let compression = compression.ok_or(BatchError::UnknownCodec(codec))?;
        if compression == Compression::None {
            return MessageSet::of_single_messages(bytes, first.magic);
        }
        if entries.next().transpose()?.is_some() {
            return Err(InvalidRecords::WrapperNotAlone);
        }
        if first.is_log_append_time() {
            return Err(InvalidRecords::LogAppendTime);
        }
        let value = first.value.ok_or(InvalidRecords::EmptyWrapper)?;
        let messages = decompress_legacy(compression, first.magic, &value, max_decompressed_bytes)
            .map_err(|error| InvalidRecords::Batch(error.into()))?;
        Ok(MessageSet { magic: first.magic, compression, largest_entry_bytes: size, messages })
    }

    fn of_single_messages(bytes: &Bytes, magic: i8) -> Result<MessageSet, InvalidRecords> {
        let (mut largest, mut end) = (0, 0);
        for entry in (Messages { rest: bytes.clone() }) {
            let (message, size) = entry?;
            if message.codec_id() != 0 {
                return Err(InvalidRecords::WrapperNotAlone);
            }
            if message.magic != magic {
                return Err(InvalidRecords::MixedMagic { first: magic, other: message.magic });
            }
            largest = largest.max(size);
            end += size;
        }
        let compression = Compression::None;
        Ok(MessageSet { magic, compression, largest_entry_bytes: largest, messages: bytes.slice(..end) })
    }

    /// The messages in order. What is wrong comes as an item, which is the last.
    pub fn messages(&self) -> impl Iterator<Item = Result<LegacyMessage, InvalidRecords>> {
        let (magic, is_unpacked) = (self.magic, self.compression != Compression::None);
        let mut messages = Messages { rest: self.messages.clone() };
        std::iter::from_fn(move || {
            let item = messages.next()?.map_err(InvalidRecords::from).and_then(|(message, _)| {
                if message.magic != magic {
                    return Err(InvalidRecords::MixedMagic { first: magic, other: message.magic });
                }
                if is_unpacked && message.codec_id() != 0 {
                    return Err(InvalidRecords::NestedWrapper);
                }
                Ok(message)
            });
            if item.is_err() {
                messages.rest.clear();
            }
            Some(item)
        })
    }
}

/// Walks the entries of a set, with the bytes of each; one that is cut off ends the walk.
struct Messages {
    rest: Bytes,
}

impl Iterator for Messages {
    type Item = Result<(LegacyMessage, usize), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match LegacyMessage::parse(&self.rest) {
            Ok((message, size)) => {
                self.rest.advance(size);
                Some(Ok((message, size)))
            }
            Err(BatchError::Truncated { .. }) => None,
            Err(error) => {
                self.rest.clear();
                Some(Err(error))
            }
        }
    }
}
