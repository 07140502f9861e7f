use std::time::Duration;

use bytes::Bytes;
use raftsman_protocol::Str;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use raftsman_types::MonotonicTime;

use crate::shard::{Caller, RequestId};

/// A member of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub id: Str,
    pub instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    pub rebalance_timeout: Duration,
    pub session_timeout: Duration,
    /// Assignors in the member's order of preference, each with its opaque subscription.
    pub protocols: Vec<(Str, Bytes)>,
    pub assignment: Bytes,
    pub awaiting_join: Option<AwaitingJoin>,
    pub awaiting_sync: Option<RequestId>,
    /// It was told the generation and has not asked for its assignment yet.
    pub owes_sync: bool,
    /// It has never got through a join: its session counts even while it waits for one.
    pub is_new: bool,
    pub session_ends: MonotonicTime,
    /// The session's entry among the deadlines. It may be earlier than `session_ends`: a heartbeat only moves the
    /// latter, and the entry is renewed when it comes up.
    pub session_timer: Option<MonotonicTime>,
}

/// A JoinGroup that is answered when the join phase ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct AwaitingJoin {
    pub request: RequestId,
    pub version: i16,
}

impl Member {
    /// A member as it asks to join.
    pub fn joining(id: Str, caller: &Caller, request: &JoinGroupRequest, now: MonotonicTime) -> Member {
        let mut member = Member {
            id,
            instance_id: request.group_instance_id.as_ref().map(Str::detached),
            client_id: caller.client_id.detached(),
            client_host: caller.client_host.detached(),
            rebalance_timeout: Duration::ZERO,
            session_timeout: Duration::ZERO,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            owes_sync: false,
            is_new: true,
            session_ends: now,
            session_timer: None,
        };
        member.take_timeouts(request);
        member.protocols = owned_protocols(&request.protocols);
        member
    }

    pub fn take_timeouts(&mut self, request: &JoinGroupRequest) {
        self.session_timeout = millis(request.session_timeout_ms);
        // Version 0 has no rebalance timeout: its clients mean the session timeout.
        let rebalance_timeout_ms = match request.rebalance_timeout_ms {
            -1 => request.session_timeout_ms,
            given => given,
        };
        self.rebalance_timeout = millis(rebalance_timeout_ms);
    }

    /// Whether it still has the same protocols, in the same order and with the same subscriptions.
    pub fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == protocols.len()
            && self.protocols.iter().zip(protocols).all(|(own, asked)| own.0 == asked.name && own.1 == asked.metadata)
    }

    /// The subscription under one protocol; empty if the member does not have it.
    pub fn subscription(&self, protocol: Option<&Str>) -> Bytes {
        let found = protocol.and_then(|name| self.protocols.iter().find(|(own, _)| own == name));
        found.map(|(_, subscription)| subscription.clone()).unwrap_or_default()
    }

    /// Whether an end of its session is no sign of death now: it waits for an answer and cannot send heartbeats.
    pub fn is_waiting(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

/// The protocols in memory of their own, each name once.
pub(super) fn owned_protocols(protocols: &[JoinGroupRequestProtocol]) -> Vec<(Str, Bytes)> {
    let owned = |p: &JoinGroupRequestProtocol| (p.name.detached(), Bytes::copy_from_slice(&p.metadata));
    protocols.iter().map(owned).collect()
}

/// Milliseconds from the wire; negative ones are none.
pub(super) fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
