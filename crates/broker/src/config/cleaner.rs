use std::time::Duration;

/// How compacted topics are cleaned: Kafka's `log.cleaner.*` keys and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`: without it nothing is compacted, `__consumer_offsets` neither.
    pub enabled: bool,
    /// `log.cleaner.threads`.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`: the most bytes of memory for keys, over all threads.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: up to how much, 0 to 1, that memory is filled.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`: how much is read and written at once, over all threads.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`: how much is read and written in a second, over all threads.
    pub io_max_bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`: the wait when nothing is to be cleaned.
    pub backoff: Duration,
}

impl Default for CleanerConfig {
    fn default() -> CleanerConfig {
        CleanerConfig {
            enabled: true,
            threads: 1,
            dedupe_buffer_bytes: 128 << 20,
            load_factor: 0.9,
            io_buffer_bytes: 512 << 10,
            io_max_bytes_per_second: f64::MAX,
            backoff: Duration::from_secs(15),
        }
    }
}
