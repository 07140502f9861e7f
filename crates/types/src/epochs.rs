use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::integer_newtype;

integer_newtype!(
    /// Rises by one with every new leader of a partition (KIP-101); stands in each record batch.
    LeaderEpoch, i32
);
integer_newtype!(
    /// Rises by one with every change of a partition's record; what AlterPartition compares (KIP-497).
    PartitionEpoch, i32
);
integer_newtype!(
    /// The metadata version of a broker's registration (KIP-631). A restarted broker gets a higher one.
    BrokerEpoch, i64
);
integer_newtype!(
    /// Fences earlier instances of one producer (KIP-98).
    ProducerEpoch, i16
);

impl LeaderEpoch {
    /// "Unknown": what clients send when they do not check the epoch.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);

    /// The epoch of the next leader.
    pub fn next(self) -> LeaderEpoch {
        LeaderEpoch(self.0 + 1)
    }
}

impl PartitionEpoch {
    /// The epoch after one more change.
    pub fn next(self) -> PartitionEpoch {
        PartitionEpoch(self.0 + 1)
    }
}

impl BrokerEpoch {
    /// "Unknown": the sender does not know its epoch yet.
    pub const NONE: BrokerEpoch = BrokerEpoch(-1);
}

impl ProducerEpoch {
    /// "No epoch": a batch without idempotence.
    pub const NONE: ProducerEpoch = ProducerEpoch(-1);
}
