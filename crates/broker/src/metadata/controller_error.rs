use raftsman_types::ErrorCode;

/// Why the active controller gave no answer. The two cases are never mixed: only the first may be told to a client as
/// "it did not happen".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// The change was not made and will not be: no controller took the request.
    #[error("the request reached no active controller: {0}; is a majority of the controllers up?")]
    Definite(String),
    /// The change may have been made, or may yet be.
    #[error("the active controller did not answer ({0}): the change may or may not have been made")]
    Unknown(String),
    /// The controller answered with an error for the request as a whole.
    #[error("the controller refused: {0}")]
    Refused(ErrorCode),
}

impl ControllerError {
    /// What a Kafka client is told.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            ControllerError::Definite(_) | ControllerError::Unknown(_) => ErrorCode::RequestTimedOut,
            ControllerError::Refused(code) => *code,
        }
    }
}
