use std::time::Duration;

/// How a member takes part. The names in brackets are those of Kafka's own consumer.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// The group (`group.id`).
    pub group_id: String,
    /// A name that outlives restarts (`group.instance.id`, KIP-345).
    pub instance_id: Option<String>,
    /// Silence after which the group goes on without this member (`session.timeout.ms`).
    pub session_timeout: Duration,
    /// How often it says that it is there (`heartbeat.interval.ms`).
    pub heartbeat_interval: Duration,
    /// How long the others wait for it when the group changes (`max.poll.interval.ms`).
    pub rebalance_timeout: Duration,
    /// Whether what was read is committed without asking (`enable.auto.commit`).
    pub auto_commit: bool,
    /// How often (`auto.commit.interval.ms`).
    pub auto_commit_interval: Duration,
}

impl Default for GroupOptions {
    fn default() -> GroupOptions {
        GroupOptions {
            group_id: String::new(),
            instance_id: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(300),
            auto_commit: true,
            auto_commit_interval: Duration::from_secs(5),
        }
    }
}
