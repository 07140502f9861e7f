use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raftsman_protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as TopicPartitions,
};
use raftsman_protocol::messages::heartbeat::HeartbeatRequest;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use raftsman_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use raftsman_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use raftsman_protocol::{DecodeError, EncodeError, Message, Reader, Str, Writer};
use raftsman_types::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::options::GroupOptions;
use crate::assignor::assign_ranges;
use crate::connection::check;
use crate::retry::Retry;
use crate::{Client, ClientError, Connection, Lane};

const JOIN_GROUP_VERSION: i16 = 9;
const SYNC_GROUP_VERSION: i16 = 5;
const HEARTBEAT_VERSION: i16 = 4;
const LEAVE_GROUP_VERSION: i16 = 5;
const PROTOCOL_TYPE: &str = "consumer";
const RANGE: &str = "range";
/// The version of the subscription and assignment blobs: what every client reads.
const BLOB_VERSION: i16 = 0;

/// A member's place in its group.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) client: Client,
    pub(super) options: GroupOptions,
    pub(super) member_id: String,
    pub(super) generation_id: i32,
    coordinator: Option<i32>,
    heartbeat_at: Instant,
}

impl Membership {
    pub fn new(client: Client, options: GroupOptions) -> Membership {
        let (member_id, generation_id) = (String::new(), -1);
        Membership { client, options, member_id, generation_id, coordinator: None, heartbeat_at: Instant::now() }
    }

    /// Joins, as leader hands out the partitions, and answers this member's.
    pub async fn join(&mut self, topics: &[Arc<str>]) -> Result<Vec<TopicPartition>, ClientError> {
        // Joining waits for the other members, who may take their whole rebalance timeout.
        let patience = self.client.options().api_timeout + self.options.rebalance_timeout;
        let mut retry = Retry::new(self.client.options(), patience);
        loop {
            match self.try_join(topics).await {
                Ok(partitions) => {
                    self.heartbeat_at = Instant::now() + self.options.heartbeat_interval;
                    return Ok(partitions);
                }
                Err(error) if self.may_try_again(&error) => {
                    let group = self.options.group_id.clone();
                    retry.pause(|| format!("joining group {group}: {error}")).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_join(&mut self, topics: &[Arc<str>]) -> Result<Vec<TopicPartition>, ClientError> {
        let connection = self.coordinator().await?;
        let joined = self.send_join(&connection, topics).await?;
        let code = ErrorCode::from_code(joined.error_code);
        if code == ErrorCode::MemberIdRequired {
            // KIP-394: the id comes first, so that a lost answer leaves no ghost behind.
            self.member_id = joined.member_id.to_string();
            return Err(ClientError::server(joined.error_code, None, || "joining".to_owned()));
        }
        check(joined.error_code, None, || format!("joining group {}", self.options.group_id))?;
        self.member_id = joined.member_id.to_string();
        self.generation_id = joined.generation_id;
        let assignments = match joined.leader == joined.member_id && !joined.skip_assignment {
            true => self.assign(&joined).await?,
            false => Vec::new(),
        };
        let request = SyncGroupRequest {
            group_id: Str::copy_from(&self.options.group_id),
            generation_id: self.generation_id,
            member_id: Str::copy_from(&self.member_id),
            group_instance_id: self.instance_id(),
            protocol_type: Some(Str::from(PROTOCOL_TYPE)),
            protocol_name: joined.protocol_name.clone(),
            assignments,
        };
        let patience = self.options.rebalance_timeout + self.client.options().request_timeout;
        let synced = connection.request_slow(&request, SYNC_GROUP_VERSION, patience).await?;
        check(synced.error_code, None, || format!("joining group {}", self.options.group_id))?;
        Ok(decode_assignment(synced.assignment)?)
    }

    async fn send_join(&self, connection: &Connection, topics: &[Arc<str>]) -> Result<JoinGroupResponse, ClientError> {
        let subscription = ConsumerProtocolSubscription {
            topics: topics.iter().map(|topic| Str::from(topic.clone())).collect(),
            ..ConsumerProtocolSubscription::default()
        };
        let request = JoinGroupRequest {
            group_id: Str::copy_from(&self.options.group_id),
            session_timeout_ms: millis(self.options.session_timeout),
            rebalance_timeout_ms: millis(self.options.rebalance_timeout),
            member_id: Str::copy_from(&self.member_id),
            group_instance_id: self.instance_id(),
            protocol_type: Str::from(PROTOCOL_TYPE),
            protocols: vec![JoinGroupRequestProtocol { name: Str::from(RANGE), metadata: encode_blob(&subscription)? }],
            reason: None,
        };
        let patience = self.options.rebalance_timeout + self.client.options().request_timeout;
        connection.request_slow(&request, JOIN_GROUP_VERSION, patience).await
    }

    /// The leader's part: who reads what.
    async fn assign(&self, joined: &JoinGroupResponse) -> Result<Vec<SyncGroupRequestAssignment>, ClientError> {
        let mut members: BTreeMap<String, Vec<Arc<str>>> = BTreeMap::new();
        for member in &joined.members {
            let subscription = decode_blob::<ConsumerProtocolSubscription>(member.metadata.clone())?;
            let topics = subscription.topics.iter().map(|topic| Arc::from(topic.as_str())).collect();
            members.insert(member.member_id.to_string(), topics);
        }
        let names: Vec<&str> = members.values().flatten().map(|topic| &**topic).collect();
        let metadata = self.client.refresh(self.client.metadata().version, &names).await?;
        let counts = names
            .iter()
            .filter_map(|name| Some((Arc::from(*name), metadata.topics.get(*name)?.partitions.len() as i32)))
            .collect();
        assign_ranges(&members, &counts)
            .into_iter()
            .map(|(member, topics)| {
                let assigned = topics.into_iter();
                let assigned_partitions = assigned
                    .map(|(topic, partitions)| TopicPartitions { topic: Str::from(topic), partitions })
                    .collect();
                let blob = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
                Ok(SyncGroupRequestAssignment { member_id: Str::from(member), assignment: encode_blob(&blob)? })
            })
            .collect()
    }

    /// Says that this member is there, if it is time to. Answers false when it has to join again.
    pub async fn heartbeat(&mut self) -> Result<bool, ClientError> {
        if Instant::now() < self.heartbeat_at {
            return Ok(true);
        }
        let request = HeartbeatRequest {
            group_id: Str::copy_from(&self.options.group_id),
            generation_id: self.generation_id,
            member_id: Str::copy_from(&self.member_id),
            group_instance_id: self.instance_id(),
        };
        let answer = match self.coordinator().await {
            Ok(connection) => connection.request(&request, HEARTBEAT_VERSION).await,
            Err(error) => Err(error),
        };
        let result =
            answer.and_then(|answer| check(answer.error_code, None, || format!("group {}", self.options.group_id)));
        match result {
            Ok(()) => {
                self.heartbeat_at = Instant::now() + self.options.heartbeat_interval;
                Ok(true)
            }
            Err(error) if is_lost_place(&error) => {
                self.may_try_again(&error);
                Ok(false)
            }
            Err(error) if self.may_try_again(&error) => {
                // The coordinator moves: its successor knows this member, so the place is not lost.
                self.heartbeat_at = Instant::now() + self.client.options().retry_backoff_max;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Says goodbye. The group would notice by itself, only later.
    pub async fn leave(&mut self) {
        // A named member stays a member: that is what its name is for (KIP-345).
        if self.member_id.is_empty() || self.options.instance_id.is_some() {
            return;
        }
        let member_id = Str::copy_from(&self.member_id);
        let identity = MemberIdentity { member_id: member_id.clone(), ..MemberIdentity::default() };
        let Ok(connection) = self.coordinator().await else { return };
        let Ok(version) = connection.version_of::<LeaveGroupRequest>(LEAVE_GROUP_VERSION) else { return };
        let group_id = Str::copy_from(&self.options.group_id);
        let request = match version {
            3.. => LeaveGroupRequest { group_id, members: vec![identity], ..LeaveGroupRequest::default() },
            _ => LeaveGroupRequest { group_id, member_id, ..LeaveGroupRequest::default() },
        };
        if let Err(error) = connection.request(&request, version).await {
            tracing::debug!(%error, "leaving the group");
        }
    }

    /// The connection to the group's coordinator, looked up where it is not known.
    pub(super) async fn coordinator(&mut self) -> Result<Arc<Connection>, ClientError> {
        if self.coordinator.is_none() {
            let node_id = self.client.group_coordinator(&self.options.group_id).await?;
            self.coordinator = Some(node_id);
            if !self.client.metadata().brokers.contains_key(&node_id) {
                self.client.refresh(self.client.metadata().version, &[]).await?;
            }
        }
        // Just set, if it was not before.
        let node_id = self.coordinator.unwrap_or(-1);
        match self.client.connection(node_id, Lane::Group).await {
            Err(error) => {
                self.coordinator = None;
                Err(error)
            }
            connection => connection,
        }
    }

    /// Takes in what an error says about this member's place. Answers whether joining again may help.
    pub(super) fn may_try_again(&mut self, error: &ClientError) -> bool {
        match error.code() {
            Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) => self.coordinator = None,
            Some(ErrorCode::UnknownMemberId) => {
                self.member_id.clear();
                self.generation_id = -1;
                return true;
            }
            Some(ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress | ErrorCode::MemberIdRequired) => {
                return true;
            }
            None => self.coordinator = None,
            Some(_) => {}
        }
        error.is_retriable()
    }

    pub(super) fn instance_id(&self) -> Option<Str> {
        self.options.instance_id.as_deref().map(Str::copy_from)
    }
}

/// Whether the group has gone on without this member, or is about to.
pub(super) fn is_lost_place(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress)
    )
}

fn encode_blob<M: Message>(blob: &M) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(BLOB_VERSION);
    blob.encode(&mut writer, BLOB_VERSION)?;
    Ok(writer.into_bytes())
}

/// A blob of any version: newer ones have more fields behind, which are left alone.
fn decode_blob<M: Message>(bytes: Bytes) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?.clamp(*M::VERSIONS.start(), *M::VERSIONS.end());
    M::decode(&mut reader, version)
}

fn decode_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let assignment = decode_blob::<ConsumerProtocolAssignment>(bytes)?;
    let topics = assignment.assigned_partitions.into_iter();
    let partitions = topics.flat_map(|topic| {
        let name: Arc<str> = Arc::from(topic.topic.as_str());
        topic.partitions.into_iter().map(move |partition| crate::consumer::at(&name, partition))
    });
    Ok(partitions.collect())
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
