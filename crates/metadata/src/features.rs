//! The features (KIP-584) this version knows. One is finalized only when it works.

/// The feature that says which records may be written.
pub const METADATA_VERSION: &str = "metadata.version";

/// The feature of eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";

/// The features that this version supports: name, lowest and highest level. `metadata.version` 30 is Kafka's `4.3-IV0`.
/// `group.version` and `transaction.version` are not here before the new group protocol and transactions are.
pub const SUPPORTED: &[(&str, i16, i16)] = &[(METADATA_VERSION, 30, 30), (ELIGIBLE_LEADER_REPLICAS_VERSION, 0, 1)];

/// The levels that a new cluster starts with.
pub const FINALIZED_AT_FORMATION: &[(&str, i16)] = &[(METADATA_VERSION, 30), (ELIGIBLE_LEADER_REPLICAS_VERSION, 1)];

/// Kafka's name of a `metadata.version` level, as its tools print it.
pub fn metadata_version_name(level: i16) -> Option<&'static str> {
    (level == 30).then_some("4.3-IV0")
}
