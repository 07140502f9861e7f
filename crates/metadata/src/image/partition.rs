use raftsman_types::{BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch};

/// What an acks=all acknowledgement means for a partition's data on each in-sync replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// In the kernel's page cache: Kafka's way. A power cut of all replicas loses it.
    Written,
    /// On the disk.
    #[default]
    Flushed,
}

/// Whether a leader elected uncleanly still recovers (KIP-704).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RecoveryState {
    /// Nothing to recover.
    #[default]
    Recovered,
    /// The leader was not in the ISR; its ISR is itself until it says it has recovered.
    Recovering,
}

/// A partition as the cluster knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartitionImage {
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The directory of each replica, in the order of `replicas`; zero where it is not known yet.
    pub directories: Vec<DirectoryId>,
    /// Replicas a reassignment is adding.
    pub adding_replicas: Vec<BrokerId>,
    /// Replicas a reassignment is removing.
    pub removing_replicas: Vec<BrokerId>,
    /// In-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas: out of the ISR, but with everything below the high watermark (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Who led last, while nobody leads.
    pub last_known_leader: Option<BrokerId>,
    /// Who leads; nobody while leaderless.
    pub leader: Option<BrokerId>,
    /// Rises with every leader.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader recovers from an unclean election.
    pub recovery_state: RecoveryState,
    /// The weakest durability in force since the replicas registered.
    pub durability: Durability,
}

impl PartitionImage {
    /// The replica that should lead when it can.
    pub fn preferred_replica(&self) -> Option<BrokerId> {
        self.replicas.first().copied()
    }

    /// Whether the broker holds a replica.
    pub fn has_replica(&self, broker: BrokerId) -> bool {
        self.replicas.contains(&broker)
    }
}
