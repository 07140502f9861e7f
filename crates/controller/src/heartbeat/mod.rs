//! Which brokers live: their sessions, by heartbeats and probes. Shape B.

mod event;

use std::time::Duration;

pub use event::{Heartbeat, HeartbeatReply, ProbeId, ProbeResult, SessionEffect, SessionEvent, StreamId};

/// How long a dialled broker has to answer (a killed container never refuses).
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(100);
