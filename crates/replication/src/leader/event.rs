use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

use crate::Durability;

/// Names one subscription of one follower to one partition. A follower's later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionKey {
    /// Who subscribed.
    pub broker: BrokerId,
    /// In which registration (KIP-903).
    pub broker_epoch: BrokerEpoch,
    /// The number the follower gave its stream; rises with every stream it opens.
    pub stream: u64,
    /// The number the follower gave it, rising on that stream.
    pub subscription: u32,
}

/// One replica as the metadata shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaView {
    /// Whose it is.
    pub broker: BrokerId,
    /// The broker's present epoch; [`BrokerEpoch::NONE`] while it is not registered.
    pub broker_epoch: BrokerEpoch,
    /// Whether it may be in the ISR: registered, not fenced, not shutting down.
    pub eligible: bool,
}

/// What a leader needs of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadershipView {
    /// The epoch it leads in.
    pub leader_epoch: LeaderEpoch,
    /// The epoch of this state of the partition.
    pub partition_epoch: PartitionEpoch,
    /// All replicas, the leader's too.
    pub replicas: Vec<ReplicaView>,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// `min.insync.replicas`; the number of replicas caps it.
    pub min_insync_replicas: usize,
    /// When a record counts on a replica.
    pub durability: Durability,
    /// Whether this leader was elected from outside the ISR and has not said yet that it is done recovering.
    pub recovering: bool,
}

/// A follower's wish to be sent a partition's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// Who asks, and what it will be called.
    pub key: SubscriptionKey,
    /// The leader epoch it follows in (KIP-320).
    pub leader_epoch: LeaderEpoch,
    /// The offset after its last record.
    pub log_end_offset: Offset,
    /// The last epoch its log knows; [`LeaderEpoch::NONE`] for none.
    pub last_epoch: LeaderEpoch,
    /// Everything below is on its disk.
    pub flushed_offset: Offset,
    /// Its first offset, as a crash would leave it.
    pub log_start_offset: Offset,
}

/// What the controller answered to an [`IsrProposal`](super::IsrProposal).
///
/// The new state itself comes with the metadata alone. It was decided under settings that may be newer than those known
/// here: a follower let go under a raised `min.insync.replicas` stays eligible as leader, so under the old minimum
/// nothing may be committed without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsrAnswer {
    /// It stands, or will before long: the metadata will show it.
    Committed,
    /// It certainly has no effect, for this reason (Kafka's code).
    Refused(ErrorCode),
    /// The request reached nobody who could decide it.
    NotTaken,
    /// It may have taken effect, or may yet.
    Unknown,
}

/// What happens to a leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaderEvent {
    /// It has written records.
    Appended {
        /// The offset after the last one.
        log_end_offset: Offset,
    },
    /// Its disk has everything below.
    Flushed {
        /// The flushed offset.
        flushed_offset: Offset,
    },
    /// A follower asks to be sent records.
    Subscribed {
        /// Its request.
        request: SubscribeRequest,
        /// The leader's first offset.
        log_start_offset: Offset,
        /// The largest epoch the leader's log knows that is at most the follower's last one, and that epoch's end.
        epoch_end: Option<(LeaderEpoch, Offset)>,
    },
    /// A follower says how far it is.
    Acked {
        /// In which subscription; any but the follower's present one is ignored.
        key: SubscriptionKey,
        /// Everything below is written.
        written_offset: Offset,
        /// Everything below is on its disk.
        flushed_offset: Offset,
        /// Its first offset, as a crash would leave it.
        log_start_offset: Offset,
    },
    /// Its log begins later than before (DeleteRecords, retention), or that is on its disk now.
    LogStartMoved {
        /// The log's first offset.
        log_start_offset: Offset,
        /// The first offset a crash would leave.
        kept_log_start_offset: Offset,
    },
    /// A follower ended a subscription, or its stream broke.
    Unsubscribed {
        /// Which.
        key: SubscriptionKey,
    },
    /// A follower ended a subscription because its disk is full.
    WithoutRoom {
        /// Which.
        key: SubscriptionKey,
    },
    /// The metadata changed within the same leader epoch.
    ViewChanged(LeadershipView),
    /// The controller answered the change asked for on this partition epoch, or no answer will come.
    IsrAnswered {
        /// The partition epoch of the proposal.
        partition_epoch: PartitionEpoch,
        /// The answer.
        answer: IsrAnswer,
    },
    /// Time passed.
    Tick,
}
