use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

use super::SubscriptionKey;

/// A change of the ISR to ask the controller for (KIP-497).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrProposal {
    /// The epoch the leader leads in.
    pub leader_epoch: LeaderEpoch,
    /// The state it applies to; the controller refuses it on any other.
    pub partition_epoch: PartitionEpoch,
    /// The whole new ISR, each with the broker epoch it was seen in.
    pub new_isr: Vec<(BrokerId, BrokerEpoch)>,
    /// Whether the leader is done recovering from an unclean election.
    pub recovered: bool,
}

/// What the driver of a leader has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaderEffect {
    /// Push records from this offset on under the subscription.
    Accept {
        /// Which subscription.
        key: SubscriptionKey,
        /// The first offset to send.
        from: Offset,
    },
    /// Tell the follower that its log diverges; the subscription is over.
    Diverge {
        /// Which subscription.
        key: SubscriptionKey,
        /// The last epoch both may have.
        epoch: LeaderEpoch,
        /// Where it ends in the leader's log.
        end_offset: Offset,
    },
    /// Tell the follower why it is not served; the subscription is over.
    Refuse {
        /// Which subscription.
        key: SubscriptionKey,
        /// Kafka's code.
        error: ErrorCode,
        /// The leader's first offset, for a follower that has to start there.
        log_start_offset: Offset,
    },
    /// Stop pushing under this subscription: the follower has a newer one.
    Forget {
        /// Which subscription.
        key: SubscriptionKey,
    },
    /// Everything below is committed: answer those who wait for it.
    HighWatermarkAdvanced {
        /// The new high watermark.
        to: Offset,
    },
    /// No live replica has records below this offset any more, over a crash either: answer those who wait for it.
    LowWatermarkMoved {
        /// The new low watermark.
        to: Offset,
    },
    /// The committed ISR fell below what is required: those who wait for a commit are told so.
    TooFewInSync,
    /// Ask the controller. The answer, or that none will come, is due as [`IsrAnswered`](super::LeaderEvent::IsrAnswered).
    AlterPartition(IsrProposal),
}
