use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Uuid;

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The "no id" value.
            pub const ZERO: $name = $name(Uuid::ZERO);
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

macro_rules! integer_newtype {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}
pub(crate) use integer_newtype;

uuid_newtype!(
    /// A topic's id, new for every creation, so that a topic re-created under the same name is another one (KIP-516).
    TopicId
);
uuid_newtype!(
    /// A log directory's id, kept in its `meta.properties` (KIP-858). A wiped disk comes back under a new one.
    DirectoryId
);
uuid_newtype!(
    /// Drawn anew by each start of a broker process, so that two processes under one `node.id` are told apart.
    IncarnationId
);
integer_newtype!(
    /// A broker's `node.id`.
    BrokerId, i32
);
integer_newtype!(
    /// An idempotent or transactional producer's id (KIP-98).
    ProducerId, i64
);

impl BrokerId {
    /// "No broker": what Kafka writes for an absent leader.
    pub const NONE: BrokerId = BrokerId(-1);
}

impl ProducerId {
    /// "No producer id": a batch without idempotence.
    pub const NONE: ProducerId = ProducerId(-1);
}
