use crate::{ApiKey, DecodeError, EncodeError, Reader, Str, Writer};

/// What goes before every request's body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHeader {
    /// The API's number, known or not.
    pub api_key: i16,
    /// The version of the body, and through it of this header.
    pub api_version: i16,
    /// Chosen by the client, repeated in the response.
    pub correlation_id: i32,
    /// How the client calls itself.
    pub client_id: Option<Str>,
}

impl RequestHeader {
    fn header_version(&self) -> i16 {
        // An unknown key is read as version 1, the shape nearly every header starts with: enough to refuse it by name.
        ApiKey::from_code(self.api_key).map_or(1, |key| key.request_header_version(self.api_version))
    }

    /// Reads a header of version 0, 1 or 2, as key and version ask for.
    pub fn decode(r: &mut Reader) -> Result<RequestHeader, DecodeError> {
        let (api_key, api_version, correlation_id) = (r.i16()?, r.i16()?, r.i32()?);
        let mut header = RequestHeader { api_key, api_version, correlation_id, client_id: None };
        let version = header.header_version();
        if version >= 1 {
            // Not compact even in version 2, so that a broker can read it before it knows the version (KIP-482).
            header.client_id = r.nullable_string(false)?;
        }
        if version >= 2 {
            r.skip_tagged_fields()?;
        }
        Ok(header)
    }

    /// Writes the header in the version that key and version ask for.
    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        let version = self.header_version();
        if version >= 1 {
            w.nullable_string(self.client_id.as_ref(), false)?;
        }
        if version >= 2 {
            w.uvarint(0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(header: &RequestHeader) -> Vec<u8> {
        let mut w = Writer::new();
        header.encode(&mut w).unwrap();
        let bytes = w.into_bytes();
        let mut r = Reader::new(bytes.clone());
        assert_eq!(&RequestHeader::decode(&mut r).unwrap(), header);
        assert_eq!(r.remaining(), 0);
        bytes.to_vec()
    }

    #[test]
    fn each_version_has_its_shape() {
        let header = |api_key, api_version| RequestHeader {
            api_key,
            api_version,
            correlation_id: 7,
            client_id: Some(Str::from("c")),
        };
        assert_eq!(round_trip(&header(18, 2)), [0, 18, 0, 2, 0, 0, 0, 7, 0, 1, b'c']);
        assert_eq!(round_trip(&header(18, 3))[8..], [0, 1, b'c', 0]);
        // A key nobody knows, and a version of ApiVersions from the future.
        assert_eq!(round_trip(&header(9999, 3))[8..], [0, 1, b'c']);
        assert_eq!(round_trip(&header(18, 99))[8..], [0, 1, b'c', 0]);
        // ControlledShutdown 0 is the one request without a client id.
        let bare = RequestHeader { api_key: 7, api_version: 0, correlation_id: 7, client_id: None };
        assert_eq!(round_trip(&bare).len(), 8);
    }
}
