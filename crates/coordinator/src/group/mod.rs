//! One classic group: its members and the rebalance that is under way. Shape B, with the group's record decided in
//! `store`. One file per request, plus `member` (what is known of one) and `rebalance` (join phase to generation).

mod check;
mod describe;
mod expire;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod static_member;
mod store;
mod sync;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use raftsman_protocol::Str;
use raftsman_types::{MonotonicTime, WallTime};

pub(crate) use describe::{describe_absent, describe_stored, list_stored};
pub(crate) use join::refused_join;
pub(crate) use leave::{answer_to, left};
use member::Member;
use rebalance::JoinPhase;
pub(crate) use sync::refused_sync;

use crate::shard::RequestId;

/// The least a timer that is set anew may wait, so that a client's timeout of zero cannot make it come up for ever.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Where a group is in its life. A group that is not there at all is Kafka's `Dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupState {
    /// No members.
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// Everyone joined, the leader is working out the assignment.
    CompletingRebalance,
    /// Everyone may have its assignment.
    Stable,
}

impl GroupState {
    /// Kafka's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        }
    }
}

/// The soft state of one group.
#[derive(Debug)]
pub(crate) struct Group {
    id: Str,
    state: GroupState,
    state_since: WallTime,
    protocol_type: Option<Str>,
    protocol: Option<Str>,
    generation: i32,
    leader: Option<Str>,
    members: BTreeMap<Str, Member>,
    /// Member ids by `group.instance.id` (KIP-345).
    static_members: HashMap<Str, Str>,
    /// Ids given out with MEMBER_ID_REQUIRED and not yet used (KIP-394), with their deadlines.
    pending: BTreeMap<Str, MonotonicTime>,
    /// How many members support each protocol.
    supporters: HashMap<Str, usize>,
    /// How many members have a join waiting.
    joined: usize,
    join_phase: Option<JoinPhase>,
    sync_deadline: Option<MonotonicTime>,
    /// The topics the members subscribe to, where that is known: offsets of others may expire.
    subscribed_topics: Option<BTreeSet<Str>>,
}

impl Group {
    /// A group that nobody has joined yet.
    pub(crate) fn new(id: Str, now: WallTime) -> Group {
        Group {
            id,
            state: GroupState::Empty,
            state_since: now,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: HashMap::new(),
            pending: BTreeMap::new(),
            supporters: HashMap::new(),
            joined: 0,
            join_phase: None,
            sync_deadline: None,
            subscribed_topics: None,
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn protocol_type(&self) -> Option<&Str> {
        self.protocol_type.as_ref()
    }

    /// When it came into its present state.
    pub(crate) fn state_since(&self) -> WallTime {
        self.state_since
    }

    pub(crate) fn subscribed_topics(&self) -> Option<&BTreeSet<Str>> {
        self.subscribed_topics.as_ref()
    }

    /// Whether nobody is in it or about to be: without a record, such a group need not be remembered.
    pub(crate) fn is_vacant(&self) -> bool {
        self.state == GroupState::Empty && self.members.is_empty() && self.pending.is_empty()
    }

    /// Whether it is vacant and has never had a generation, so that no record of it can be on its way.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_vacant() && self.generation == 0
    }

    /// The requests that wait for something to happen in the group.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = RequestId> {
        let joins = self.members.values().filter_map(|member| member.awaiting_join.map(|awaiting| awaiting.request));
        joins.chain(self.members.values().filter_map(|member| member.awaiting_sync))
    }

    fn enter(&mut self, state: GroupState, now: WallTime) {
        self.state = state;
        self.state_since = now;
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_ref().is_some_and(|leader| *leader == *member_id)
    }
}
