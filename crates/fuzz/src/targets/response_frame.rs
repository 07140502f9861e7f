//! A response as a client reads it: which request it answers, then the frame.

use bytes::Bytes;
use raftsman_protocol::messages::*;
use raftsman_protocol::{Message, Request, decode_response, encode_response};

use super::message::{BESIDE, check_comes_back, for_each_request};
use crate::input::Input;
use crate::memory::bounded;

struct Api {
    versions: std::ops::RangeInclusive<i16>,
    decode: fn(Bytes, i16),
    default: fn(i16) -> Option<Vec<u8>>,
}

macro_rules! apis {
    (() $($module:ident::$request:ident,)*) => {
        const APIS: &[Api] = &[$(Api {
            versions: <$module::$request as Request>::Response::VERSIONS,
            decode: decode::<$module::$request>,
            default: default_frame::<<$module::$request as Request>::Response, $module::$request>,
        }),*];
    };
}
for_each_request!(apis!());

fn decode<R: Request>(frame: Bytes, version: i16) {
    let length = frame.len();
    if let Ok((_, response)) = bounded(length, BESIDE, || decode_response::<R>(frame, version)) {
        check_comes_back(&response, version);
    }
}

fn default_frame<M: Message + Default, R: Request>(version: i16) -> Option<Vec<u8>> {
    let frame = encode_response(R::KEY, version, 7, &M::default()).ok()?;
    Some(frame.into_contiguous().slice(4..).to_vec())
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let api = &APIS[input.below(APIS.len())];
    let version = api.versions.start() + input.below((api.versions.end() - api.versions.start() + 1) as usize) as i16;
    (api.decode)(Bytes::copy_from_slice(input.all()), version);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (number, api) in APIS.iter().enumerate() {
        for version in api.versions.clone() {
            let Some(frame) = (api.default)(version) else { continue };
            all.push([&[number as u8, (version - api.versions.start()) as u8][..], &frame].concat());
        }
    }
    all
}
