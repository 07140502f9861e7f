// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Picks the SASL mechanism of a connection.

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 17, versions 0-1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SaslHandshakeRequest {
    /// Versions 0-1.
    pub mechanism: Str,
}

impl Message for SaslHandshakeRequest {
    const NAME: &'static str = "SaslHandshakeRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        Ok(Self { mechanism: r.string(false)? })
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.string(&self.mechanism, false)?;
        Ok(())
    }
}

const _: () = assert!(ApiKey::SaslHandshake as i16 == 17);

impl Request for SaslHandshakeRequest {
    const KEY: ApiKey = ApiKey::SaslHandshake;
    type Response = SaslHandshakeResponse;
}

/// API 17, versions 0-1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SaslHandshakeResponse {
    /// Versions 0-1.
    pub error_code: i16,
    /// Versions 0-1.
    pub mechanisms: Vec<Str>,
}

impl Message for SaslHandshakeResponse {
    const NAME: &'static str = "SaslHandshakeResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        Ok(Self { error_code: r.i16()?, mechanisms: r.array(false, 2, |r| r.string(false))? })
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.i16(self.error_code);
        w.array(&self.mechanisms, false, |w, value| w.string(value, false))?;
        Ok(())
    }
}
