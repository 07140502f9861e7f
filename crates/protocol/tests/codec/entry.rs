use std::fmt::Debug;
use std::ops::RangeInclusive;

use bytes::Bytes;
use raftsman_protocol::{Message, Reader, Writer};

use crate::registry::ENTRIES;

/// One message, with its type taken away.
pub struct Entry {
    pub name: &'static str,
    pub versions: RangeInclusive<i16>,
    /// Decodes a body and encodes it again; fails on bytes left over.
    pub recode: fn(Bytes, i16) -> Result<Bytes, String>,
    /// Encodes the default value, and says whether decoding gives it back.
    pub default_survives: fn(i16) -> Result<bool, String>,
}

impl Entry {
    pub const fn of<M: Message + Default + PartialEq + Debug>() -> Entry {
        Entry { name: M::NAME, versions: M::VERSIONS, recode: recode::<M>, default_survives: default_survives::<M> }
    }

    pub fn find(name: &str) -> &'static Entry {
        ENTRIES.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no message {name}"))
    }
}

fn encode<M: Message>(message: &M, version: i16) -> Result<Bytes, String> {
    let mut w = Writer::new();
    message.encode(&mut w, version).map_err(|e| e.to_string())?;
    Ok(w.into_bytes())
}

fn decode<M: Message>(body: Bytes, version: i16) -> Result<M, String> {
    let mut r = Reader::new(body);
    let message = M::decode(&mut r, version).map_err(|e| e.to_string())?;
    r.expect_end().map_err(|e| e.to_string())?;
    Ok(message)
}

fn recode<M: Message>(body: Bytes, version: i16) -> Result<Bytes, String> {
    encode(&decode::<M>(body, version)?, version)
}

fn default_survives<M: Message + Default + PartialEq>(version: i16) -> Result<bool, String> {
    let body = encode(&M::default(), version)?;
    Ok(decode::<M>(body, version)? == M::default())
}
