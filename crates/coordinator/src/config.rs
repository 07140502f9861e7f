use std::time::Duration;

/// What an operator may choose for groups. Each field names its key in `server.properties`; the defaults are Kafka's.
#[derive(Debug, Clone, PartialEq)]
pub struct CoordinatorConfig {
    /// `group.initial.rebalance.delay.ms`: how long the first members of an empty group wait for more (KIP-134).
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`, in milliseconds.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`, in milliseconds.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`: members in one group (KIP-389).
    pub max_size: usize,
    /// `offset.metadata.max.bytes`: bytes of text stored with one offset.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds: how long offsets outlive the last need for them (KIP-211).
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: how often expired offsets are looked for.
    pub offsets_retention_check_interval: Duration,
    /// The largest group record that the offsets topic takes, in bytes: its `max.message.bytes` less the batch's own.
    pub max_record_bytes: usize,
}

impl Default for CoordinatorConfig {
    fn default() -> CoordinatorConfig {
        CoordinatorConfig {
            initial_rebalance_delay: Duration::from_secs(3),
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval: Duration::from_secs(600),
            max_record_bytes: 1_000_000,
        }
    }
}
