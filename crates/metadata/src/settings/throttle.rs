use std::collections::BTreeSet;

use raftsman_types::BrokerId;

use super::kind::{ConfigKey, ConfigKind, elements};
use crate::{ConfigResource, MetadataImage};

/// Whose share of replication is throttled (KIP-73).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottledSide {
    /// What leaders send.
    Leader,
    /// What followers take in.
    Follower,
}

/// Which replicas of a topic are throttled: the value of `leader.replication.throttled.replicas` and of
/// `follower.replication.throttled.replicas`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// Each of them (`*`).
    All,
    /// These: partition and broker.
    Listed(BTreeSet<(i32, BrokerId)>),
}

const fn rate(name: &'static str) -> ConfigKey {
    let kind = ConfigKind::Long { min: 0, max: i64::MAX };
    ConfigKey { name, kind, default: "9223372036854775807", synonyms: &[] }
}

/// The settings of brokers that change while they run and are no topic's default.
pub(super) const RATES: &[ConfigKey] =
    &[rate("follower.replication.throttled.rate"), rate("leader.replication.throttled.rate")];

impl ThrottledSide {
    /// The broker setting with the bytes a second.
    pub fn rate_key(self) -> &'static str {
        match self {
            ThrottledSide::Leader => "leader.replication.throttled.rate",
            ThrottledSide::Follower => "follower.replication.throttled.rate",
        }
    }
}

impl ThrottledReplicas {
    /// What a value says that was checked when it was set; what is no pair in it counts for nothing.
    pub fn parse(value: &str) -> ThrottledReplicas {
        if value.trim() == "*" {
            return ThrottledReplicas::All;
        }
        let pair = |element: &str| {
            let (partition, broker) = element.split_once(':')?;
            Some((partition.trim().parse().ok()?, BrokerId(broker.trim().parse().ok()?)))
        };
        ThrottledReplicas::Listed(elements(value).filter_map(pair).collect())
    }

    /// Whether a broker's replica of a partition is among them.
    pub fn contains(&self, partition: i32, broker: BrokerId) -> bool {
        match self {
            ThrottledReplicas::All => true,
            ThrottledReplicas::Listed(listed) => listed.contains(&(partition, broker)),
        }
    }
}

impl Default for ThrottledReplicas {
    /// None.
    fn default() -> ThrottledReplicas {
        ThrottledReplicas::Listed(BTreeSet::new())
    }
}

impl MetadataImage {
    /// How many bytes a second a broker's throttled replicas may catch up by: its own rate, else the one for all brokers, else as
    /// many as can be, as [`i64::MAX`].
    pub fn throttled_rate(&self, side: ThrottledSide, broker: BrokerId) -> i64 {
        let key = side.rate_key();
        self.config(&ConfigResource::broker(broker), key)
            .or_else(|| self.config(&ConfigResource::cluster(), key))
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_replicas_and_a_star_all() {
        let contains =
            |value: &str, partition, broker| ThrottledReplicas::parse(value).contains(partition, BrokerId(broker));
        assert!(contains(" * ", 7, 3));
        assert!(contains("0:1, 2:3", 2, 3) && contains("0:1,2:3", 0, 1));
        assert!(!contains("0:1,2:3", 2, 1) && !contains("0:1,2:3", 1, 0));
        assert!(!contains("", 0, 1));
        assert_eq!(ThrottledReplicas::parse(""), ThrottledReplicas::default());
    }
}
