//! Message sets of formats 0 and 1, which clients of before Kafka 0.11 write and read.
//!
//! Nothing of them is ever stored here: a produced set becomes one v2 batch ([`up_convert`]), and for an old fetcher
//! stored batches become messages again ([`DownConverter`]). (Old Kafkas stored them, for which there is [`StoredMessage`].) Both walk the records one by one, so that at no time
//! more than one batch is unpacked.

mod down_convert;
mod message;
mod message_set;
mod stored_message;
mod up_convert;

pub use down_convert::{DownConverter, LegacyFormat};
pub use stored_message::StoredMessage;
pub(crate) use up_convert::up_convert;
