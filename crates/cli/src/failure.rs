use raftsman_client::ClientError;
use raftsman_server::ConfigError;

/// Why a command ended without doing what it was asked to. Its text is all the user sees.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// The cluster refused or could not be reached.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The configuration cannot start a node.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A node could not be started.
    #[error("{0}")]
    Server(#[from] raftsman_server::StartError),
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// What a command found out, in its own words.
    #[error("{0}")]
    Said(String),
}

impl Failure {
    /// For `map_err`: the system's error with what was tried.
    pub fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failure {
        move |error| Failure::System { what: what.into(), error }
    }
}
