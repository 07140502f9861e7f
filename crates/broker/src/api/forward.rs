use std::time::Duration;

use raftsman_protocol::Str;
use raftsman_rpc::controller::{OperationResult, administer_request::Operation};
use raftsman_types::ErrorCode;
use tokio::time::Instant;

use super::Context;

const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(300);

/// What became of one part of an administrator's request.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) code: ErrorCode,
    pub(super) message: Option<Str>,
}

impl Outcome {
    pub(super) fn of(code: ErrorCode, message: impl Into<String>) -> Outcome {
        let message = message.into();
        Outcome { code, message: (!message.is_empty()).then(|| Str::from(message)) }
    }

    pub(super) fn of_result(result: &OperationResult) -> Outcome {
        let code = i16::try_from(result.error_code).map_or(ErrorCode::UnknownServerError, ErrorCode::from_code);
        Outcome::of(code, result.error_message.as_str())
    }
}

/// Forwards a change to the active controller and waits until this broker's metadata has it, so that the client that
/// asked reads its own write here. Answers one result per part, in the order of the request.
///
/// # Errors
/// What every part of the request is to be told.
pub(super) async fn administer(
    ctx: &Context,
    operation: Operation,
    parts: usize,
    timeout_ms: i32,
) -> Result<Vec<OperationResult>, Outcome> {
    if parts == 0 {
        return Ok(Vec::new());
    }
    let asked = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let timeout = asked.clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT);
    let deadline = Instant::now() + timeout;
    let reply = ctx.state.controller.administer(operation, timeout).await.map_err(|error| {
        tracing::info!(client = %ctx.client_address, "an administrator's request failed: {error}");
        Outcome::of(error.error_code(), error.to_string())
    })?;
    if reply.results.len() != parts {
        let message = format!("the controller answered {} of {parts} parts of the request", reply.results.len());
        return Err(Outcome::of(ErrorCode::UnknownServerError, message));
    }
    let left = deadline.saturating_duration_since(Instant::now()).max(SHORTEST_TIMEOUT);
    if !ctx.state.metadata.wait_for_version(reply.version, left).await {
        tracing::warn!(version = reply.version, "a change is committed, but this broker's metadata lags behind it");
    }
    Ok(reply.results)
}
