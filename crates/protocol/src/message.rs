use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::{ApiKey, DecodeError, EncodeError, Frame, Reader, RequestHeader, Writer};

/// A message with a body schema for each of its versions.
pub trait Message: Sized {
    /// Kafka's name.
    const NAME: &'static str;
    /// Every version that can be read and written; what a broker advertises is its own, smaller, choice.
    const VERSIONS: RangeInclusive<i16>;

    /// Reads the body. Fields that the version lacks get their defaults, unknown tagged fields are dropped, and
    /// bytes behind the body are left in the reader.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes the body. A field that the version lacks is dropped when Kafka calls it ignorable, and an
    /// [`EncodeError::UnsupportedField`] otherwise, unless it has its default.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// A message that asks, and knows what answers it.
pub trait Request: Message {
    /// The API it belongs to.
    const KEY: ApiKey;
    /// What answers it.
    type Response: Message;
}

pub(crate) fn check_decode_version<M: Message>(version: i16) -> Result<(), DecodeError> {
    if M::VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(DecodeError::UnsupportedVersion { message: M::NAME, version })
}

pub(crate) fn check_encode_version<M: Message>(version: i16) -> Result<(), EncodeError> {
    if M::VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(EncodeError::UnsupportedVersion { message: M::NAME, version })
}

/// A frame with header and body, in the version the header names.
pub fn encode_request<R: Request>(header: &RequestHeader, request: &R) -> Result<Frame, EncodeError> {
    let mut w = Writer::new();
    header.encode(&mut w)?;
    request.encode(&mut w, header.api_version)?;
    finish(w)
}

/// A frame with response header and body, in the version of the request it answers.
pub fn encode_response<M: Message>(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    response: &M,
) -> Result<Frame, EncodeError> {
    let mut w = Writer::new();
    w.i32(correlation_id);
    if key.response_header_version(version) > 0 {
        w.uvarint(0);
    }
    response.encode(&mut w, version)?;
    finish(w)
}

/// Reads the answer to `R` in `version` from a frame without its length: the correlation id and the body.
pub fn decode_response<R: Request>(frame: Bytes, version: i16) -> Result<(i32, R::Response), DecodeError> {
    let mut r = Reader::new(frame);
    let correlation_id = r.i32()?;
    if R::KEY.response_header_version(version) > 0 {
        r.skip_tagged_fields()?;
    }
    let response = R::Response::decode(&mut r, version)?;
    r.expect_end()?;
    Ok((correlation_id, response))
}

fn finish(w: Writer) -> Result<Frame, EncodeError> {
    match i32::try_from(w.len()) {
        Ok(_) => Ok(w.finish()),
        Err(_) => Err(EncodeError::TooLong { what: "frame", length: w.len() }),
    }
}
