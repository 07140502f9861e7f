//! Producer ids in blocks (KIP-730): a block is in the log before anybody hands out an id of it.

use raftsman_metadata::MetadataRecord;
use raftsman_types::ErrorCode;

use super::brokers::refusal;
use super::outcome::{Draft, Outcome, check_sender};
use super::{BrokerReference, ProducerIdBlock, Reply, Situation};

/// How many ids a block has, as in Kafka.
const BLOCK: i32 = 1000;

pub(super) fn allocate(situation: &Situation<'_>, sender: BrokerReference) -> Outcome {
    if let Err(error) = check_sender(situation.image, sender) {
        return Outcome::unchanged(Reply::AllocateProducerIds(Err(error)));
    }
    let first_producer_id = situation.image.next_producer_id;
    let Some(next_producer_id) = first_producer_id.checked_add(i64::from(BLOCK)) else {
        let error = refusal(ErrorCode::UnknownServerError, "all producer ids are taken");
        return Outcome::unchanged(Reply::AllocateProducerIds(Err(error)));
    };
    let mut draft = Draft::new(situation.image);
    draft.push(MetadataRecord::AllocateProducerIds {
        broker: sender.broker,
        broker_epoch: sender.broker_epoch,
        next_producer_id,
    });
    draft.with_reply(Reply::AllocateProducerIds(Ok(ProducerIdBlock { first_producer_id, count: BLOCK })))
}
