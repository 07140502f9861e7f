//! The Kafka wire protocol: primitives, headers, API keys and one module per message.
//!
//! Pure. Messages are generated from the compact files in `schema/` by `cargo xtask codegen` and checked in.
//! Two rules hold everywhere: decoding never allocates more than the bytes present can justify and never
//! panics, and string, bytes and record fields are slices of the received frame, not copies.

mod api_key;
mod error;
mod frame;
mod header;
mod message;
pub mod messages;
mod reader;
mod records;
mod str;
mod writer;

pub use api_key::ApiKey;
pub use error::{DecodeError, EncodeError};
pub use frame::Frame;
pub use header::RequestHeader;
pub use message::{Message, Request, decode_response, encode_request, encode_response};
pub use reader::{MAX_ARRAY_ELEMENTS, MAX_TAGGED_FIELDS, Reader};
pub use records::Records;
pub use str::Str;
pub use writer::Writer;
