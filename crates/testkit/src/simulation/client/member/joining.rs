use raftsman_coordinator::Request;
use raftsman_protocol::messages::consumer_protocol::ConsumerProtocolSubscription;
use raftsman_protocol::messages::heartbeat::HeartbeatRequest;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use raftsman_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use raftsman_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use raftsman_protocol::{Message, Str, Writer};
use raftsman_types::ErrorCode;

use super::{Asked, Member, Stage, TIMEOUT};
use crate::simulation::client::ClientContext;
use crate::simulation::group_history::{assigned, assignment};
use crate::simulation::invariants::{Checked, Violation};

const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";

impl Member {
    /// Asks to join, unless that or the assignment is waited for.
    pub(super) fn join(&mut self, context: &mut ClientContext<'_>) {
        let knows_topic = self.links.topics().any(|(name, _, _)| *name == self.setup.topic);
        if !knows_topic || self.waits_for(|asked| matches!(asked, Asked::Join | Asked::Sync | Asked::Leave)) {
            return;
        }
        let request = JoinGroupRequest {
            group_id: self.setup.group.clone(),
            session_timeout_ms: self.setup.session_timeout.as_millis() as i32,
            rebalance_timeout_ms: self.setup.rebalance_timeout.as_millis() as i32,
            member_id: self.member_id.clone(),
            group_instance_id: None,
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![JoinGroupRequestProtocol { name: PROTOCOL.into(), metadata: self.subscription() }],
            reason: None,
        };
        // The join phase may take as long as the slowest member.
        let timeout = self.setup.rebalance_timeout + TIMEOUT;
        self.ask_coordinator(Request::JoinGroup(request), timeout, Asked::Join, context);
    }

    fn subscription(&self) -> bytes::Bytes {
        let topics = vec![Str::copy_from(&self.setup.topic)];
        let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
        let mut writer = Writer::new();
        writer.i16(0);
        // A name this short is no text that cannot be written; were it one, nobody would be subscribed to anything.
        subscription.encode(&mut writer, 0).map(|()| writer.into_bytes()).unwrap_or_default()
    }

    pub(super) fn joined(&mut self, joined: &JoinGroupResponse, context: &mut ClientContext<'_>) -> Checked {
        if self.stage != Stage::Joining {
            return Ok(());
        }
        match ErrorCode::from_code(joined.error_code) {
            ErrorCode::None => {
                self.member_id = joined.member_id.detached();
                self.generation = joined.generation_id;
                let leads = joined.leader == joined.member_id;
                self.assigned_of = leads.then(|| self.partition_count());
                let assignments = if leads { self.assignments(joined) } else { Vec::new() };
                let request = SyncGroupRequest {
                    group_id: self.setup.group.clone(),
                    generation_id: self.generation,
                    member_id: self.member_id.clone(),
                    group_instance_id: None,
                    protocol_type: Some(PROTOCOL_TYPE.into()),
                    protocol_name: Some(PROTOCOL.into()),
                    assignments,
                };
                let timeout = self.setup.rebalance_timeout + TIMEOUT;
                self.ask_coordinator(Request::SyncGroup(request), timeout, Asked::Sync, context);
                Ok(())
            }
            ErrorCode::MemberIdRequired => {
                self.member_id = joined.member_id.detached();
                Ok(())
            }
            error => self.refused("join", error, context),
        }
    }

    /// The leader's part: each member a run of partitions.
    fn assignments(&self, joined: &JoinGroupResponse) -> Vec<SyncGroupRequestAssignment> {
        let count = self.partition_count();
        let members = joined.members.len();
        let run = |index: usize| (index * count / members) as i32..((index + 1) * count / members) as i32;
        let given = joined.members.iter().enumerate();
        given
            .map(|(index, member)| SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: assignment(run(index)),
            })
            .collect()
    }

    /// How many partitions the topic has, by the metadata it got last: none when that came from a broker that lags.
    fn partition_count(&self) -> usize {
        self.links.topics().find(|(name, _, _)| **name == self.setup.topic).map_or(0, |(_, _, count)| count)
    }

    /// The leader joins again when the topic is not what it shared out.
    pub(super) fn look_at_topic(&mut self) {
        let count = self.partition_count();
        self.rejoins |= count > 0 && self.assigned_of.is_some_and(|assigned_of| assigned_of != count);
    }

    pub(super) fn synced(&mut self, synced: &SyncGroupResponse, context: &mut ClientContext<'_>) -> Checked {
        if self.stage != Stage::Joining {
            return Ok(());
        }
        match ErrorCode::from_code(synced.error_code) {
            ErrorCode::None => {
                let partitions = assigned(&synced.assignment);
                self.stage = Stage::Member;
                self.owned = partitions.iter().map(|partition| (*partition, Default::default())).collect();
                self.heartbeat_at = context.fabric.now() + self.setup.session_timeout / 4;
                self.commit_at = context.fabric.now() + self.setup.commit_interval;
                self.rejoins = false;
                context.history.groups.owns(&self.setup.group, self.generation, &self.member_id, &partitions)
            }
            error => self.refused("sync", error, context),
        }
    }

    /// A join or a sync was refused: it is tried again, but for what no member of this kind should meet.
    fn refused(&mut self, what: &str, error: ErrorCode, context: &mut ClientContext<'_>) -> Checked {
        self.back_off(context);
        match error {
            ErrorCode::UnknownMemberId => self.member_id = Str::default(),
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => {}
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress => {
                self.coordinator = None;
            }
            other => {
                let what = format!("member {} of {}: {what}: {other}", self.setup.id, self.setup.group);
                return Err(Violation::new("well-formed members are taken in", what));
            }
        }
        Ok(())
    }

    /// Says that it is alive, when it is time.
    pub(super) fn beat(&mut self, context: &mut ClientContext<'_>) {
        let now = context.fabric.now();
        if now < self.heartbeat_at || self.waits_for(|asked| matches!(asked, Asked::Heartbeat)) {
            return;
        }
        let request = HeartbeatRequest {
            group_id: self.setup.group.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: None,
        };
        if self.ask_coordinator(Request::Heartbeat(request), TIMEOUT, Asked::Heartbeat, context) {
            self.heartbeat_at = now + self.setup.session_timeout / 4;
        }
    }

    /// What an answer to a heartbeat or a commit says of its place in the group.
    pub(super) fn heed(&mut self, error: ErrorCode, context: &mut ClientContext<'_>) {
        if self.stage != Stage::Member {
            return;
        }
        match error {
            ErrorCode::RebalanceInProgress => {
                // What was read is committed before the partitions are given back, where the application does so.
                if context.fabric.one_in(2) {
                    self.commit(context);
                }
                self.rejoins = true;
            }
            ErrorCode::UnknownMemberId => {
                self.member_id = Str::default();
                self.give_back();
            }
            ErrorCode::IllegalGeneration => self.give_back(),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress => {
                self.coordinator = None;
                self.back_off(context);
            }
            _ => {}
        }
    }

    /// It owns nothing any more, and joins.
    pub(super) fn give_back(&mut self) {
        self.owned.clear();
        // Records that come yet are not for this generation; commits may be acknowledged yet.
        self.asked.retain(|_, asked| !matches!(asked, Asked::Fetch { .. } | Asked::Heartbeat));
        self.rejoins = false;
        self.stage = Stage::Joining;
    }

    /// Leaves, or vanishes without a word.
    pub(super) fn go(&mut self, context: &mut ClientContext<'_>) {
        if context.fabric.one_in(2) {
            let request = LeaveGroupRequest {
                group_id: self.setup.group.clone(),
                members: vec![MemberIdentity { member_id: self.member_id.clone(), ..MemberIdentity::default() }],
                ..LeaveGroupRequest::default()
            };
            self.ask_coordinator(Request::LeaveGroup(request), TIMEOUT, Asked::Leave, context);
        }
        self.give_back();
        self.member_id = Str::default();
        let away = context.fabric.millis(10, 2500);
        self.stage = Stage::Away(context.fabric.now() + away);
    }
}
