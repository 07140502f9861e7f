use super::properties::PropertiesError;
use super::source::Source;

/// Why a configuration cannot start a node. Each message is one line that says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file as it was named.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not in Java's properties syntax.
    #[error("{path}: {error}")]
    Syntax {
        /// The file as it was named.
        path: String,
        /// Where and what.
        error: PropertiesError,
    },
    /// An `--override` without `=`.
    #[error("--override {0:?}: expected key=value")]
    Override(String),
    /// A value its key does not allow.
    #[error("{key}={value} ({from}) is not allowed: expected {allowed}")]
    BadValue {
        /// The key.
        key: String,
        /// The value as it was given; hidden if the key is a secret.
        value: String,
        /// Where it stands.
        from: Source,
        /// What would be allowed.
        allowed: String,
    },
    /// A key that has to be set in this combination.
    #[error("{key} is not set: {why}")]
    Missing {
        /// The key.
        key: &'static str,
        /// Why it is needed and what to set.
        why: String,
    },
    /// Keys that contradict each other.
    #[error("{0}")]
    Contradiction(String),
}
