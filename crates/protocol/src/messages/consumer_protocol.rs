// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! What classic consumers put into a group's opaque bytes: subscription and assignment.

use bytes::Bytes;

use crate::message::{check_decode_version, check_encode_version};
use crate::{DecodeError, EncodeError, Message, Reader, Str, Writer};

/// Versions 0-3.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerProtocolSubscription {
    /// Versions 0-3.
    pub topics: Vec<Str>,
    /// Versions 0-3, nullable, default null.
    pub user_data: Option<Bytes>,
    /// Versions 1-3, dropped in others.
    pub owned_partitions: Vec<TopicPartition>,
    /// Versions 2-3, default -1, dropped in others.
    pub generation_id: i32,
    /// Version 3, nullable, default null, dropped in others.
    pub rack_id: Option<Str>,
}

impl Default for ConsumerProtocolSubscription {
    fn default() -> Self {
        Self { topics: Vec::new(), user_data: None, owned_partitions: Vec::new(), generation_id: -1, rack_id: None }
    }
}

impl Message for ConsumerProtocolSubscription {
    const NAME: &'static str = "ConsumerProtocolSubscription";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        Ok(Self {
            topics: r.array(false, 2, |r| r.string(false))?,
            user_data: r.nullable_bytes(false)?,
            owned_partitions: if version >= 1 {
                r.array(false, 6, |r| TopicPartition::decode(r, version))?
            } else {
                Vec::new()
            },
            generation_id: if version >= 2 { r.i32()? } else { -1 },
            rack_id: if version >= 3 { r.nullable_string(false)? } else { None },
        })
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.array(&self.topics, false, |w, value| w.string(value, false))?;
        w.nullable_bytes(self.user_data.as_ref(), false)?;
        if version >= 1 {
            w.array(&self.owned_partitions, false, |w, value| value.encode(w, version))?;
        }
        if version >= 2 {
            w.i32(self.generation_id);
        }
        if version >= 3 {
            w.nullable_string(self.rack_id.as_ref(), false)?;
        }
        Ok(())
    }
}

/// Part of `ConsumerProtocolSubscription`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicPartition {
    /// Versions 1-3.
    pub topic: Str,
    /// Versions 1-3.
    pub partitions: Vec<i32>,
}

impl TopicPartition {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self { topic: r.string(false)?, partitions: r.array(false, 4, Reader::i32)? })
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic, false)?;
        w.array(&self.partitions, false, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        Ok(())
    }
}

/// Versions 0-3.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConsumerProtocolAssignment {
    /// Versions 0-3.
    pub assigned_partitions: Vec<TopicPartition>,
    /// Versions 0-3, nullable, default null.
    pub user_data: Option<Bytes>,
}

impl Message for ConsumerProtocolAssignment {
    const NAME: &'static str = "ConsumerProtocolAssignment";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        Ok(Self {
            assigned_partitions: r.array(false, 6, |r| TopicPartition::decode(r, version))?,
            user_data: r.nullable_bytes(false)?,
        })
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.array(&self.assigned_partitions, false, |w, value| value.encode(w, version))?;
        w.nullable_bytes(self.user_data.as_ref(), false)?;
        Ok(())
    }
}
