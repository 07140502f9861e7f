//! Which brokers live: their sessions, by heartbeats and probes. Shape B, pure.
//!
//! A broker is dead when a standing connection to it broke *and* a redial is refused, or unanswered for 100 ms; only this
//! controller's own probe says so, a peer's report merely triggers it. A stopped process keeps its connections: that
//! is noticed by its heartbeats. The heartbeat stream is the session.

mod event;
mod sessions;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use event::{Heartbeat, HeartbeatReply, ProbeId, ProbeResult, SessionEffect, SessionEvent, StreamId};
pub use sessions::Sessions;

/// How long a dialled broker has to answer (a killed container never refuses).
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(100);

/// How often brokers send heartbeats.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(100);
