// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Records of __consumer_offsets: a committed offset. The key's version is its record type, 0 or 1.

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{DecodeError, EncodeError, Message, Reader, Str, Writer};

/// Versions 0-1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitKey {
    /// Versions 0-1.
    pub group: Str,
    /// Versions 0-1.
    pub topic: Str,
    /// Versions 0-1.
    pub partition: i32,
}

impl Message for OffsetCommitKey {
    const NAME: &'static str = "OffsetCommitKey";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        Ok(Self { group: r.string(false)?, topic: r.string(false)?, partition: r.i32()? })
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.string(&self.group, false)?;
        w.string(&self.topic, false)?;
        w.i32(self.partition);
        Ok(())
    }
}

/// Versions 0-4.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitValue {
    /// Versions 0-4.
    pub offset: i64,
    /// Versions 3-4, default -1, dropped in others.
    pub leader_epoch: i32,
    /// Versions 0-4.
    pub metadata: Str,
    /// Versions 0-4.
    pub commit_timestamp: i64,
    /// Version 1, default -1, dropped in others.
    pub expire_timestamp: i64,
    /// Version 4, tag 0, dropped in others.
    pub topic_id: Uuid,
}

impl Default for OffsetCommitValue {
    fn default() -> Self {
        Self {
            offset: 0,
            leader_epoch: -1,
            metadata: Str::default(),
            commit_timestamp: 0,
            expire_timestamp: -1,
            topic_id: Uuid::ZERO,
        }
    }
}

impl Message for OffsetCommitValue {
    const NAME: &'static str = "OffsetCommitValue";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let mut value = Self {
            offset: r.i64()?,
            leader_epoch: if version >= 3 { r.i32()? } else { -1 },
            metadata: r.string(flexible)?,
            commit_timestamp: r.i64()?,
            expire_timestamp: if version == 1 { r.i64()? } else { -1 },
            topic_id: Uuid::ZERO,
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 => value.topic_id = r.uuid()?,
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 4;
        w.i64(self.offset);
        if version >= 3 {
            w.i32(self.leader_epoch);
        }
        w.string(&self.metadata, flexible)?;
        w.i64(self.commit_timestamp);
        if version == 1 {
            w.i64(self.expire_timestamp);
        }
        if flexible {
            let has_topic_id = !self.topic_id.is_zero();
            w.uvarint(u32::from(has_topic_id));
            if has_topic_id {
                w.tagged_field(0, |w| {
                    w.uuid(self.topic_id);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}
