use std::time::Duration;

use raftsman_records::Compression;

/// Whose word counts for an acknowledgement (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// Nobody's: sent is acknowledged.
    None,
    /// The leader's alone.
    Leader,
    /// All in-sync replicas'.
    #[default]
    All,
}

impl Acks {
    /// The number on the wire.
    pub fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// How a producer sends. The names in brackets are those of Kafka's own producer.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// Whose word counts (`acks`).
    pub acks: Acks,
    /// Whether brokers drop repeated batches (`enable.idempotence`); only with [`Acks::All`].
    pub is_idempotent: bool,
    /// A batch is not filled beyond this, in bytes before compression (`batch.size`).
    pub batch_bytes: usize,
    /// How long a batch waits for more records (`linger.ms`).
    pub linger: Duration,
    /// The codec (`compression.type`).
    pub compression: Compression,
    /// How long a record is tried before it is given up (`delivery.timeout.ms`).
    pub delivery_timeout: Duration,
    /// How long a broker may wait for its replicas (`request.timeout.ms`).
    pub request_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> ProducerOptions {
        ProducerOptions {
            acks: Acks::All,
            is_idempotent: true,
            batch_bytes: 16_384,
            linger: Duration::ZERO,
            compression: Compression::None,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
        }
    }
}
