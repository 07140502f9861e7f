//! Raft's types to and from `proto/raft.proto`, which is both the wire between controllers and the format on their disks.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use openraft::{CommittedLeaderId, EntryPayload};
use raftsman_rpc::raft as pb;
use raftsman_rpc::{ConvertError, id_bytes, id_from_bytes};
use raftsman_types::{BrokerId, DirectoryId};

use super::types::{
    EncodedEntry, Entry, LogId, Membership, QuorumNode, RaftId, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};

pub(super) fn log_id_to_pb(log_id: &LogId) -> pb::LogId {
    pb::LogId { term: log_id.leader_id.term, leader: log_id.leader_id.node_id, index: log_id.index }
}

pub(super) fn log_id_from_pb(log_id: &pb::LogId) -> LogId {
    LogId::new(CommittedLeaderId::new(log_id.term, log_id.leader), log_id.index)
}

pub(super) fn vote_to_pb(vote: &Vote) -> pb::BallotVote {
    pb::BallotVote { term: vote.leader_id.term, candidate: vote.leader_id.node_id, committed: vote.committed }
}

pub(super) fn vote_from_pb(vote: &pb::BallotVote) -> Vote {
    let as_candidate = Vote::new(vote.term, vote.candidate);
    Vote { committed: vote.committed, ..as_candidate }
}

pub(super) fn required_vote(vote: Option<&pb::BallotVote>) -> Result<Vote, ConvertError> {
    vote.map(vote_from_pb).ok_or(ConvertError::Missing("vote"))
}

pub(super) fn node_to_pb(node: &QuorumNode) -> pb::Node {
    pb::Node {
        node_id: node.node_id.0,
        directory_id: id_bytes(node.directory_id.0),
        host: node.host.clone(),
        port: node.port.into(),
    }
}

pub(super) fn node_from_pb(node: &pb::Node) -> Result<QuorumNode, ConvertError> {
    let port = u16::try_from(node.port)
        .map_err(|_| ConvertError::OutOfRange { field: "node.port", value: node.port.into() })?;
    Ok(QuorumNode {
        node_id: BrokerId(node.node_id),
        directory_id: DirectoryId(id_from_bytes("node.directory_id", &node.directory_id)?),
        host: node.host.clone(),
        port,
    })
}

pub(super) fn member_to_pb(raft_id: RaftId, node: &QuorumNode) -> pb::MemberNode {
    pb::MemberNode { raft_id, node: Some(node_to_pb(node)) }
}

pub(super) fn member_from_pb(member: Option<&pb::MemberNode>) -> Result<(RaftId, QuorumNode), ConvertError> {
    let member = member.ok_or(ConvertError::Missing("member"))?;
    let node = member.node.as_ref().ok_or(ConvertError::Missing("member.node"))?;
    Ok((member.raft_id, node_from_pb(node)?))
}

fn membership_to_pb(membership: &Membership) -> pb::Membership {
    pb::Membership {
        configurations: membership
            .get_joint_config()
            .iter()
            .map(|voters| pb::VoterSet { raft_ids: voters.iter().copied().collect() })
            .collect(),
        nodes: membership.nodes().map(|(id, node)| member_to_pb(*id, node)).collect(),
    }
}

fn membership_from_pb(membership: &pb::Membership) -> Result<Membership, ConvertError> {
    let nodes = membership
        .nodes
        .iter()
        .map(|member| member_from_pb(Some(member)))
        .collect::<Result<std::collections::BTreeMap<_, _>, _>>()?;
    let configurations = membership
        .configurations
        .iter()
        .map(|voters| voters.raft_ids.iter().copied().collect())
        .collect::<Vec<std::collections::BTreeSet<_>>>();
    // openraft invents a node for a voter that has none: such a member could never be reached.
    if configurations.iter().flatten().any(|voter| !nodes.contains_key(voter)) {
        return Err(ConvertError::Missing("membership.nodes of a voter"));
    }
    Ok(Membership::new(configurations, nodes))
}

pub(super) fn entry_to_pb(entry: &Entry) -> pb::Entry {
    use pb::entry::Payload;
    let payload = match &entry.payload {
        EntryPayload::Blank => Payload::Blank(pb::Blank {}),
        EntryPayload::Normal(batch) => Payload::Batch(batch.0.clone()),
        EntryPayload::Membership(membership) => Payload::Membership(membership_to_pb(membership)),
    };
    pb::Entry { log_id: Some(log_id_to_pb(&entry.log_id)), payload: Some(payload) }
}

pub(super) fn entry_from_pb(entry: pb::Entry) -> Result<Entry, ConvertError> {
    use pb::entry::Payload;
    let log_id = log_id_from_pb(entry.log_id.as_ref().ok_or(ConvertError::Missing("entry.log_id"))?);
    let payload = match entry.payload.ok_or(ConvertError::Missing("entry.payload"))? {
        Payload::Blank(_) => EntryPayload::Blank,
        Payload::Batch(batch) => EntryPayload::Normal(EncodedEntry(batch)),
        Payload::Membership(membership) => EntryPayload::Membership(membership_from_pb(&membership)?),
    };
    Ok(Entry { log_id, payload })
}

pub(super) fn snapshot_meta_to_pb(meta: &SnapshotMeta, metadata_version: u64) -> pb::SnapshotMeta {
    pb::SnapshotMeta {
        id: meta.snapshot_id.clone(),
        last_log_id: meta.last_log_id.as_ref().map(log_id_to_pb),
        membership_log_id: meta.last_membership.log_id().as_ref().map(log_id_to_pb),
        membership: Some(membership_to_pb(meta.last_membership.membership())),
        metadata_version,
    }
}

pub(super) fn snapshot_meta_from_pb(meta: &pb::SnapshotMeta) -> Result<SnapshotMeta, ConvertError> {
    let membership = meta.membership.as_ref().ok_or(ConvertError::Missing("snapshot.membership"))?;
    let membership_log_id = meta.membership_log_id.as_ref().map(log_id_from_pb);
    Ok(SnapshotMeta {
        last_log_id: meta.last_log_id.as_ref().map(log_id_from_pb),
        last_membership: StoredMembership::new(membership_log_id, membership_from_pb(membership)?),
        snapshot_id: meta.id.clone(),
    })
}

pub(super) fn append_to_pb(
    request: &AppendEntriesRequest<TypeConfig>,
    envelope: pb::Envelope,
) -> pb::AppendEntriesRequest {
    pb::AppendEntriesRequest {
        envelope: Some(envelope),
        vote: Some(vote_to_pb(&request.vote)),
        previous: request.prev_log_id.as_ref().map(log_id_to_pb),
        entries: request.entries.iter().map(entry_to_pb).collect(),
        leader_commit: request.leader_commit.as_ref().map(log_id_to_pb),
    }
}

pub(super) fn append_from_pb(
    request: pb::AppendEntriesRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, ConvertError> {
    Ok(AppendEntriesRequest {
        vote: required_vote(request.vote.as_ref())?,
        prev_log_id: request.previous.as_ref().map(log_id_from_pb),
        entries: request.entries.into_iter().map(entry_from_pb).collect::<Result<_, _>>()?,
        leader_commit: request.leader_commit.as_ref().map(log_id_from_pb),
    })
}

pub(super) fn append_reply_to_pb(reply: &AppendEntriesResponse<RaftId>) -> pb::AppendEntriesReply {
    use pb::append_entries_reply::Result as Kind;
    let result = match reply {
        AppendEntriesResponse::Success => Kind::Success(pb::Blank {}),
        AppendEntriesResponse::PartialSuccess(Some(upto)) => Kind::PartialSuccess(log_id_to_pb(upto)),
        // Nothing of it was taken: to the sender the same as a request that has to be sent again from further back.
        AppendEntriesResponse::PartialSuccess(None) | AppendEntriesResponse::Conflict => Kind::Conflict(pb::Blank {}),
        AppendEntriesResponse::HigherVote(vote) => Kind::HigherVote(vote_to_pb(vote)),
    };
    pb::AppendEntriesReply { result: Some(result) }
}

pub(super) fn append_reply_from_pb(
    reply: &pb::AppendEntriesReply,
) -> Result<AppendEntriesResponse<RaftId>, ConvertError> {
    use pb::append_entries_reply::Result as Kind;
    Ok(match reply.result.as_ref().ok_or(ConvertError::Missing("append_entries_reply.result"))? {
        Kind::Success(_) => AppendEntriesResponse::Success,
        Kind::PartialSuccess(upto) => AppendEntriesResponse::PartialSuccess(Some(log_id_from_pb(upto))),
        Kind::Conflict(_) => AppendEntriesResponse::Conflict,
        Kind::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote_from_pb(vote)),
    })
}

pub(super) fn vote_request_to_pb(request: &VoteRequest<RaftId>, envelope: pb::Envelope) -> pb::VoteRequest {
    pb::VoteRequest {
        envelope: Some(envelope),
        vote: Some(vote_to_pb(&request.vote)),
        last_log_id: request.last_log_id.as_ref().map(log_id_to_pb),
    }
}

pub(super) fn vote_request_from_pb(request: &pb::VoteRequest) -> Result<VoteRequest<RaftId>, ConvertError> {
    let vote = required_vote(request.vote.as_ref())?;
    Ok(VoteRequest::new(vote, request.last_log_id.as_ref().map(log_id_from_pb)))
}

pub(super) fn vote_reply_to_pb(reply: &VoteResponse<RaftId>) -> pb::VoteReply {
    pb::VoteReply {
        vote: Some(vote_to_pb(&reply.vote)),
        granted: reply.vote_granted,
        last_log_id: reply.last_log_id.as_ref().map(log_id_to_pb),
    }
}

pub(super) fn vote_reply_from_pb(reply: &pb::VoteReply) -> Result<VoteResponse<RaftId>, ConvertError> {
    Ok(VoteResponse {
        vote: required_vote(reply.vote.as_ref())?,
        vote_granted: reply.granted,
        last_log_id: reply.last_log_id.as_ref().map(log_id_from_pb),
    })
}
