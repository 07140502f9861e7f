//! Message sets of formats 0 and 1, which clients of before Kafka 0.11 write and read.
//!
//! Nothing of them is ever stored here: a produced set becomes one v2 batch ([`up_convert`]), and for an old fetcher
//! stored batches become messages again ([`DownConverter`]). Both walk the records one by one, so that at no time
//! more than one batch is unpacked. Old Kafkas did store them: [`is_legacy_message`] tells a log's recovery so, and tools
//! read them by [`StoredMessage`].

mod down_convert;
mod message;
mod message_set;
mod stored_message;
mod up_convert;

pub use down_convert::{DownConverter, LegacyFormat};
pub use stored_message::StoredMessage;
pub(crate) use up_convert::up_convert;

/// Whether `bytes` begin with a whole message of format 0 or 1 whose CRC is right: such as Kafka stored before 0.11, and not
/// what a crash or damage left there.
pub fn is_legacy_message(bytes: &bytes::Bytes) -> bool {
    message::LegacyMessage::parse(bytes).is_ok()
}
