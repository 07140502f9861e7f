use raftsman_protocol::{DecodeError, EncodeError};
use raftsman_records::BatchError;
use raftsman_types::ErrorCode;

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// A bootstrap address that is not `host:port`.
    #[error("bad server address {0:?}: expected host:port, with commas between several")]
    BadAddress(String),
    /// No server answered.
    #[error("cannot connect to {servers}: {cause}")]
    Unreachable {
        /// The addresses tried.
        servers: String,
        /// What the last of them said.
        cause: String,
    },
    /// A connection could not be made or broke.
    #[error("connection to {address}: {cause}")]
    Connection {
        /// The other end.
        address: String,
        /// What happened.
        cause: String,
    },
    /// A call gave up after all its tries.
    #[error("timed out after {ms} ms: {what}")]
    TimedOut {
        /// How long it was tried, in milliseconds.
        ms: u128,
        /// What was tried, and why the last try failed.
        what: String,
    },
    /// The server does not serve a version this client speaks.
    #[error("{address} does not serve {api} in a version this client speaks")]
    Unsupported {
        /// The server.
        address: String,
        /// The request's name.
        api: &'static str,
    },
    /// The server answered with an error.
    #[error("{message} ({code})")]
    Server {
        /// Kafka's code.
        code: ErrorCode,
        /// The server's words, or what was asked for where it gave none.
        message: String,
    },
    /// An answer that does not follow the protocol.
    #[error("unreadable answer: {0}")]
    Decode(#[from] DecodeError),
    /// A request that the protocol cannot express.
    #[error("request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// A record batch that cannot be read.
    #[error("unreadable record batch in {partition} at offset {offset}: {error}")]
    Batch {
        /// The partition, as `topic-partition`.
        partition: String,
        /// Where reading stood.
        offset: i64,
        /// What is wrong with it.
        error: BatchError,
    },
    /// The producer or consumer was closed.
    #[error("the client was closed")]
    Closed,
}

impl ClientError {
    /// The error of an answer, with the server's words or `what` was asked for.
    pub(crate) fn server(code: i16, message: Option<&str>, what: impl FnOnce() -> String) -> ClientError {
        let message = message.filter(|text| !text.is_empty()).map_or_else(what, str::to_owned);
        ClientError::Server { code: ErrorCode::from_code(code), message }
    }

    /// Kafka's code, if the server answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether another try may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::Connection { .. } => true,
            ClientError::Server { code, .. } => code.is_retriable(),
            _ => false,
        }
    }
}
