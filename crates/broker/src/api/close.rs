use std::borrow::Cow;

/// "End this connection": what a handler answers when Kafka would give no response but hang up
/// (an acks=0 produce that failed, a request that makes no sense at all).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Close {
    /// One line for the log.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// Ends the connection for this reason, which the log will show.
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Close {
        Close { reason: reason.into() }
    }
}
