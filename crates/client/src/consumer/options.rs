use std::time::Duration;

/// Where to start reading a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The first record there is.
    Earliest,
    /// What comes from now on.
    Latest,
    /// This offset.
    Offset(i64),
}

/// What to do when the wanted offset does not exist any more or not yet (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffsetReset {
    /// Go on with the first record there is.
    Earliest,
    /// Go on with what comes from now on.
    #[default]
    Latest,
    /// End with an error.
    Fail,
}

/// How a consumer fetches. The names in brackets are those of Kafka's own consumer.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// How long a leader may wait for data (`fetch.max.wait.ms`).
    pub max_wait: Duration,
    /// How much data a leader waits for, in bytes (`fetch.min.bytes`).
    pub min_bytes: i32,
    /// The most one answer holds, in bytes (`fetch.max.bytes`).
    pub max_bytes: i32,
    /// The most one partition adds to an answer, in bytes (`max.partition.fetch.bytes`).
    pub partition_max_bytes: i32,
    /// What to do with an offset out of range (`auto.offset.reset`).
    pub offset_reset: OffsetReset,
    /// Whether to read only up to the last stable offset (`isolation.level=read_committed`).
    pub read_committed: bool,
}

impl Default for ConsumerOptions {
    fn default() -> ConsumerOptions {
        ConsumerOptions {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 8 << 20,
            partition_max_bytes: 1 << 20,
            offset_reset: OffsetReset::default(),
            read_committed: false,
        }
    }
}
