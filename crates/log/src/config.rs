use raftsman_records::TimestampType;

/// What a topic's configuration says about its log; names and defaults are Kafka's unless noted.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it passes this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment is rolled when its records span more time.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: how much earlier than that a segment may be rolled.
    pub segment_jitter_ms: i64,
    /// `preallocate`: whether a new segment has room set aside for all it may hold.
    pub preallocate: bool,
    /// `index.interval.bytes`: log bytes between two index entries.
    pub index_interval_bytes: u64,
    /// `segment.index.bytes`: a segment is rolled before its offset index passes this.
    pub segment_index_bytes: u64,
    /// `max.message.bytes`: the largest batch a leader appends.
    pub max_message_bytes: usize,
    /// `retention.ms`; -1 keeps segments whatever their age.
    pub retention_ms: i64,
    /// `retention.bytes`; -1 keeps segments whatever the log's size.
    pub retention_bytes: i64,
    /// `flush.messages`: [`crate::Log::flush_is_due`] after so many records.
    pub flush_messages: u64,
    /// `flush.ms`: [`crate::Log::flush_is_due`] after so long.
    pub flush_ms: i64,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `producer.id.expiration.ms`: an idle producer is forgotten after this.
    pub producer_id_expiration_ms: i64,
    /// Producers remembered at most; the longest idle go first. Ours: Kafka has no bound.
    pub max_producer_ids: usize,
    /// Whether `cleanup.policy` has `compact`: then only the newest record of each key is kept.
    pub compact: bool,
    /// `min.cleanable.dirty.ratio`: a log is compacted when so much of it (0 to 1) is not compacted yet.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: records stay as they are for so long.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: records are compacted after so long, whatever the dirty ratio.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`: tombstones and markers stay for so long after they were compacted first.
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`: files of deleted segments are kept for so long.
    pub file_delete_delay_ms: i64,
    /// Recent batches kept in memory for reads at the tail, at most. Ours; see [`crate::CacheBudget`].
    pub tail_cache_bytes: usize,
    /// The smallest append that may wait for the next flush to be written. Ours; see [`crate::Log::defer_writes`].
    pub defer_from_bytes: usize,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            preallocate: false,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            max_message_bytes: 1_048_588,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            flush_messages: u64::MAX,
            flush_ms: i64::MAX,
            message_timestamp_type: TimestampType::CreateTime,
            producer_id_expiration_ms: 86_400_000,
            max_producer_ids: 10_000,
            compact: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
            file_delete_delay_ms: 60_000,
            tail_cache_bytes: 1 << 20,
            defer_from_bytes: 16 << 10,
        }
    }
}
