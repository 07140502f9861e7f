//! A request as it comes from a socket: key, version and the rest of the header, then the body.

use std::ops::RangeInclusive;

use bytes::Bytes;
use raftsman_protocol::messages::*;
use raftsman_protocol::{ApiKey, Message, Reader, Request, RequestHeader, Writer, encode_request};

use super::message::{BESIDE, check_body, for_each_request};
use crate::memory::bounded;
use crate::seeds;

/// One request that can be decoded.
pub(super) struct Api {
    pub(super) key: ApiKey,
    pub(super) versions: RangeInclusive<i16>,
    decode: fn(Bytes, i16),
    default: fn(i16) -> Option<Vec<u8>>,
}

macro_rules! apis {
    (() $($module:ident::$request:ident,)*) => {
        /// Every request.
        pub(super) const APIS: &[Api] = &[$(Api {
            key: $module::$request::KEY,
            versions: $module::$request::VERSIONS,
            // Whether it is taken is free: what may not happen is checked inside.
            decode: |body, version| drop(check_body::<$module::$request>(body, version)),
            default: default_frame::<$module::$request>,
        }),*];
    };
}
for_each_request!(apis!());

fn default_frame<R: Request + Default>(api_version: i16) -> Option<Vec<u8>> {
    let header =
        RequestHeader { api_key: R::KEY.code(), api_version, correlation_id: 7, client_id: Some("client".into()) };
    let frame = encode_request(&header, &R::default()).ok()?;
    Some(frame.into_contiguous().slice(4..).to_vec())
}

pub(super) fn run(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let mut r = Reader::new(frame.clone());
    let Ok(header) = bounded(data.len(), BESIDE, || RequestHeader::decode(&mut r)) else { return };
    check_header(&header);
    // A key or version that is not served is refused by its number; here the body is tried as another's.
    let api = APIS.iter().find(|api| api.key.code() == header.api_key);
    let api = api.unwrap_or(&APIS[usize::from(header.api_key.unsigned_abs()) % APIS.len()]);
    let count = api.versions.end() - api.versions.start() + 1;
    let version = match api.versions.contains(&header.api_version) {
        true => header.api_version,
        false => api.versions.start() + header.api_version.rem_euclid(count),
    };
    (api.decode)(frame.slice(r.position()..), version);
}

fn check_header(header: &RequestHeader) {
    let mut w = Writer::new();
    header.encode(&mut w).expect("a header that was decoded can be encoded");
    let again = RequestHeader::decode(&mut Reader::new(w.into_bytes()));
    assert_eq!(again.as_ref(), Ok(header), "a header comes back");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut all = seeds::golden_frames();
    for api in APIS {
        all.extend(api.versions.clone().filter_map(|version| (api.default)(version)));
    }
    all
}
