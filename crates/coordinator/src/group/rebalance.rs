use std::cmp::min;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raftsman_protocol::messages::consumer_protocol::ConsumerProtocolSubscription;
use raftsman_protocol::{Message, Reader, Str};
use raftsman_types::{ErrorCode, MonotonicTime};

use super::{Group, GroupState, SHORTEST_WAIT};
use crate::deadlines::Timer;
use crate::shard::{Reply, Turn};

/// The protocol type of Kafka's consumers, whose subscriptions can be read.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The join phase of a rebalance that is under way.
#[derive(Debug)]
pub(super) struct JoinPhase {
    ends: MonotonicTime,
    /// Set while an empty group waits for more members before its first generation.
    initial: Option<InitialDelay>,
}

/// KIP-134: the wait starts over with each round in which somebody new came, within the rebalance timeout.
#[derive(Debug)]
struct InitialDelay {
    remaining: Duration,
    somebody_came: bool,
}

impl Group {
    /// Something changed that needs a new generation: starts a rebalance, or sees whether the present one is complete.
    pub(super) fn rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == GroupState::PreparingRebalance {
            self.complete_join_if_all_joined(turn);
            return;
        }
        if self.state == GroupState::CompletingRebalance {
            self.answer_waiting_syncs(turn, ErrorCode::RebalanceInProgress);
        }
        self.cancel_sync_timer(turn);
        let was_empty = self.state == GroupState::Empty;
        self.enter(GroupState::PreparingRebalance, turn.now.wall);
        let timeout = self.rebalance_timeout();
        if was_empty {
            let delay = min(turn.config.initial_rebalance_delay, timeout);
            let initial = InitialDelay { remaining: timeout - delay, somebody_came: false };
            self.set_join_timer(turn, delay, Some(initial));
            if delay.is_zero() {
                self.complete_join(turn);
            }
        } else {
            self.set_join_timer(turn, timeout, None);
            self.complete_join_if_all_joined(turn);
        }
    }

    /// How long members get to join: the longest that any of them asks for.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    fn set_join_timer(&mut self, turn: &mut Turn<'_>, after: Duration, initial: Option<InitialDelay>) {
        self.cancel_join_timer(turn);
        let ends = turn.now.monotonic + after;
        turn.deadlines.set(ends, &self.id, Timer::Join);
        self.join_phase = Some(JoinPhase { ends, initial });
    }

    fn cancel_join_timer(&mut self, turn: &mut Turn<'_>) -> Option<JoinPhase> {
        let phase = self.join_phase.take()?;
        turn.deadlines.cancel(phase.ends, &self.id, Timer::Join);
        Some(phase)
    }

    /// Somebody joined: the delay before the very first generation may be extended.
    pub(super) fn extend_initial_delay(&mut self) {
        if self.generation == 0
            && let Some(initial) = self.join_phase.as_mut().and_then(|phase| phase.initial.as_mut())
        {
            initial.somebody_came = true;
        }
    }

    /// The join phase's time is over.
    pub(crate) fn join_timer_due(&mut self, turn: &mut Turn<'_>) {
        let Some(phase) = self.cancel_join_timer(turn) else { return };
        match phase.initial {
            Some(initial) if initial.somebody_came && !initial.remaining.is_zero() => {
                let delay = min(turn.config.initial_rebalance_delay, initial.remaining);
                let rest = InitialDelay { remaining: initial.remaining - delay, somebody_came: false };
                self.set_join_timer(turn, delay, Some(rest));
            }
            _ => self.complete_join(turn),
        }
    }

    pub(super) fn complete_join_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        let waits = self.join_phase.as_ref().is_some_and(|phase| phase.initial.is_some()) && !self.members.is_empty();
        if self.state == GroupState::PreparingRebalance
            && !waits
            && self.joined == self.members.len()
            && self.pending.is_empty()
        {
            self.complete_join(turn);
        }
    }

    /// Ends the join phase: members that did not come are out, those that came get a new generation.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.cancel_join_timer(turn);
        let late = self.members.values().filter(|m| m.awaiting_join.is_none() && m.instance_id.is_none());
        let late: Vec<Str> = late.map(|member| member.id.clone()).collect();
        for member_id in late {
            self.remove_member(turn, &member_id);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members are left and none of them is back: wait on, they keep their place while their
            // sessions last.
            let timeout = self.rebalance_timeout().max(SHORTEST_WAIT);
            self.set_join_timer(turn, timeout, None);
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.become_empty(turn);
        } else {
            self.start_generation(turn);
        }
    }

    /// Keeps the leader if it joined, else takes another who did; false if nobody joined.
    fn elect_leader(&mut self) -> bool {
        let joined = |id: &Str| self.members.get(id).is_some_and(|member| member.awaiting_join.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        match self.members.keys().find(|id| joined(id)).cloned() {
            Some(next) => {
                self.leader = Some(next);
                true
            }
            None => false,
        }
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.protocol = None;
        self.leader = None;
        self.subscribed_topics = self.read_subscriptions();
        self.enter(GroupState::Empty, turn.now.wall);
        self.store_empty(turn);
    }

    fn start_generation(&mut self, turn: &mut Turn<'_>) {
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.read_subscriptions();
        self.enter(GroupState::CompletingRebalance, turn.now.wall);
        let deadline = turn.now.monotonic + self.rebalance_timeout();
        turn.deadlines.set(deadline, &self.id, Timer::Sync);
        self.sync_deadline = Some(deadline);
        self.joined = 0;
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.is_new = false;
            member.owes_sync = true;
            if let Some(awaiting) = member.awaiting_join.take() {
                self.touch(turn, &id);
                turn.reply(awaiting.request, Reply::JoinGroup(self.joined_reply(&id, awaiting.version)));
            }
        }
    }

    /// The protocol that all members have and most prefer; of equals the one the leader prefers.
    pub(super) fn select_protocol(&self) -> Option<Str> {
        let is_candidate = |name: &Str| self.supporters.get(name) == Some(&self.members.len());
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| is_candidate(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max()?;
        let elected = |name: &&Str| votes.get(*name) == Some(most);
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        let preferred = leader.and_then(|leader| leader.protocols.iter().map(|(name, _)| name).find(elected));
        preferred.or_else(|| votes.keys().copied().find(elected)).cloned()
    }

    /// The topics that consumers subscribe to. Other types' bytes, and bytes that cannot be read, say nothing.
    pub(super) fn read_subscriptions(&self) -> Option<BTreeSet<Str>> {
        if self.protocol_type.as_ref().is_none_or(|name| *name != *CONSUMER_PROTOCOL_TYPE) {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        self.protocol.as_ref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let mut r = Reader::new(member.subscription(self.protocol.as_ref()));
            let version = r.i16().ok().filter(|version| *version >= 0)?;
            // A newer version only appends to what the newest known one holds.
            let known = min(version, *ConsumerProtocolSubscription::VERSIONS.end());
            let subscription = ConsumerProtocolSubscription::decode(&mut r, known).ok()?;
            topics.extend(subscription.topics.iter().map(Str::detached));
        }
        Some(topics)
    }
}
