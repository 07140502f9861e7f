//! Requests and answers as the lines of a transcript: `join g v=5 member=c~1 protocols=range:A`.

use std::collections::HashMap;

use bytes::Bytes;
use raftsman_coordinator::{Record, Reply, Request};
use raftsman_protocol::Str;
use raftsman_protocol::messages::heartbeat::HeartbeatRequest;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use raftsman_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use raftsman_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use raftsman_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use raftsman_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use raftsman_types::ErrorCode;

use super::{Answer, Seen};

/// The middle of every id that the counting generator makes.
const UUID: &str = "-00000000-0000-4000-8000-00000000000";

/// One line's words: a verb, what it is about, and settings.
pub struct Line {
    pub verb: String,
    pub subject: Str,
    settings: HashMap<String, String>,
}

impl Line {
    pub fn parse(line: &str) -> Line {
        let line = line.replace('~', UUID);
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default().to_owned();
        let mut subject = Str::default();
        let mut settings = HashMap::new();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => drop(settings.insert(key.to_owned(), value.to_owned())),
                None => subject = Str::copy_from(word),
            }
        }
        Line { verb, subject, settings }
    }

    pub fn text(&self, key: &str) -> Option<Str> {
        self.settings.get(key).map(|value| Str::copy_from(value))
    }

    pub fn number<N: std::str::FromStr>(&self, key: &str, otherwise: N) -> N {
        match self.settings.get(key) {
            Some(value) => value.parse().unwrap_or_else(|_| panic!("{key}={value} is not a number")),
            None => otherwise,
        }
    }

    /// `a:b,c:d` as pairs.
    fn pairs(&self, key: &str) -> Vec<(Str, Str)> {
        let list = self.settings.get(key).map(String::as_str).unwrap_or_default();
        let pair = |item: &str| {
            let (name, value) = item.split_once(':').unwrap_or((item, ""));
            (Str::copy_from(name), Str::copy_from(value))
        };
        list.split(',').filter(|item| !item.is_empty()).map(pair).collect()
    }

    /// The request, if the line is one.
    pub fn request(&self) -> Option<Request> {
        let group_id = self.subject.clone();
        let member_id = self.text("member").unwrap_or_default();
        let group_instance_id = self.text("instance");
        Some(match self.verb.as_str() {
            "join" => Request::JoinGroup(JoinGroupRequest {
                group_id,
                member_id,
                group_instance_id,
                session_timeout_ms: self.number("session", 10_000),
                rebalance_timeout_ms: self.number("rebalance", 60_000),
                protocol_type: self.text("type").unwrap_or("consumer".into()),
                protocols: self.protocols(),
                reason: None,
            }),
            "sync" => Request::SyncGroup(SyncGroupRequest {
                group_id,
                generation_id: self.number("generation", 1),
                member_id,
                group_instance_id,
                protocol_type: self.text("type"),
                protocol_name: self.text("protocol"),
                assignments: self.assignments(),
            }),
            "heartbeat" => Request::Heartbeat(HeartbeatRequest {
                group_id,
                generation_id: self.number("generation", 1),
                member_id,
                group_instance_id,
            }),
            "leave" => Request::LeaveGroup(self.leave()),
            "commit" => Request::OffsetCommit(self.commit()),
            "fetch" => Request::OffsetFetch(self.fetch()),
            "describe" => Request::DescribeGroup(group_id),
            "list" => Request::ListGroups,
            "delete" => Request::DeleteGroup(group_id),
            _ => return None,
        })
    }

    fn protocols(&self) -> Vec<JoinGroupRequestProtocol> {
        let protocol = |(name, metadata): (Str, Str)| JoinGroupRequestProtocol { name, metadata: blob(&metadata) };
        self.pairs("protocols").into_iter().map(protocol).collect()
    }

    fn assignments(&self) -> Vec<SyncGroupRequestAssignment> {
        let assignment =
            |(member_id, given): (Str, Str)| SyncGroupRequestAssignment { member_id, assignment: blob(&given) };
        self.pairs("assign").into_iter().map(assignment).collect()
    }

    fn leave(&self) -> LeaveGroupRequest {
        let member = |(member_id, instance): (Str, Str)| MemberIdentity {
            member_id: if member_id == "-" { Str::default() } else { member_id },
            group_instance_id: Some(instance).filter(|instance| !instance.is_empty()),
            reason: None,
        };
        LeaveGroupRequest {
            group_id: self.subject.clone(),
            member_id: self.text("member").unwrap_or_default(),
            members: self.pairs("members").into_iter().map(member).collect(),
        }
    }

    fn commit(&self) -> OffsetCommitRequest {
        let partition = |(at, offset): (Str, Str)| {
            let (name, index) = at.rsplit_once('-').expect("topic-partition");
            let partition = OffsetCommitRequestPartition {
                partition_index: index.parse().expect("a partition"),
                committed_offset: offset.parse().expect("an offset"),
                committed_leader_epoch: self.number("epoch", -1),
                commit_timestamp: self.number("timestamp", -1),
                committed_metadata: self.text("metadata"),
            };
            let topic_id = topic_id(self.number("topic-id", 0));
            OffsetCommitRequestTopic { topic_id, name: Str::copy_from(name), partitions: vec![partition] }
        };
        OffsetCommitRequest {
            group_id: self.subject.clone(),
            generation_id_or_member_epoch: self.number("generation", -1),
            member_id: self.text("member").unwrap_or_default(),
            group_instance_id: self.text("instance"),
            retention_time_ms: self.number("retention", -1),
            topics: self.pairs("offsets").into_iter().map(partition).collect(),
        }
    }

    fn fetch(&self) -> OffsetFetchRequestGroup {
        let topic = |(name, index): (Str, Str)| OffsetFetchRequestTopics {
            topic_id: topic_id(self.number("topic-id", 0)),
            name,
            partition_indexes: vec![index.parse().expect("a partition")],
        };
        let asked = self.text("topics").map(|_| self.pairs("topics").into_iter().map(topic).collect());
        OffsetFetchRequestGroup { group_id: self.subject.clone(), topics: asked, ..OffsetFetchRequestGroup::default() }
    }
}

pub fn topic_id(number: u8) -> raftsman_types::Uuid {
    raftsman_types::Uuid([number; 16])
}

/// Bytes as written; `topics(a+b)` is a consumer's subscription.
fn blob(text: &str) -> Bytes {
    let Some(topics) = text.strip_prefix("topics(").and_then(|rest| rest.strip_suffix(')')) else {
        return Bytes::copy_from_slice(text.as_bytes());
    };
    let topics: Vec<&str> = topics.split('+').filter(|topic| !topic.is_empty()).collect();
    let mut bytes = vec![0, 0, 0, 0, 0, topics.len() as u8];
    for topic in topics {
        bytes.extend([0, topic.len() as u8]);
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([0xff; 4]);
    Bytes::from(bytes)
}

/// What happened, one line each, without the leading mark.
pub fn show(seen: &Seen) -> String {
    let text = match seen {
        Seen::Wrote(record) => format!("write {}", show_record(record)),
        Seen::NotWritten(record) => format!("refused write {}", show_record(record)),
        Seen::Answered(request, Answer::Refused(error)) => format!("#{} refused {error}", request.0),
        Seen::Answered(request, Answer::Reply(reply)) => format!("#{} {}", request.0, show_reply(reply)),
        Seen::Reloaded => "reloaded".to_owned(),
    };
    text.replace(UUID, "~")
}

fn show_record(record: &Record) -> String {
    match record {
        Record::Offset { group, topic, partition, value: None } => {
            format!("offset {group} {topic}-{partition} tombstone")
        }
        Record::Offset { group, topic, partition, value: Some(value) } => {
            let mut text =
                format!("offset {group} {topic}-{partition} = {} at={}", value.offset, value.commit_timestamp);
            if value.leader_epoch >= 0 {
                text += &format!(" epoch={}", value.leader_epoch);
            }
            if value.expire_timestamp >= 0 {
                text += &format!(" expires={}", value.expire_timestamp);
            }
            if !value.metadata.is_empty() {
                text += &format!(" metadata={}", value.metadata);
            }
            text
        }
        Record::Group { group, value: None } => format!("group {group} tombstone"),
        Record::Group { group, value: Some(value) } => {
            let members = value.members.iter().map(|member| {
                let instance = member.group_instance_id.as_ref().map(|id| format!("({id})")).unwrap_or_default();
                format!(" {}{instance}:{}", member.member_id, ascii(&member.assignment))
            });
            format!(
                "group {group} {} generation={} protocol={} leader={} since={}{}",
                value.protocol_type,
                value.generation,
                option(value.protocol.as_ref()),
                option(value.leader.as_ref()),
                value.current_state_timestamp,
                members.collect::<String>()
            )
        }
    }
}

fn show_reply(reply: &Reply) -> String {
    let error = |code: i16| ErrorCode::from_code(code).name();
    match reply {
        Reply::JoinGroup(join) if join.error_code != 0 => {
            format!("join {} member={}", error(join.error_code), join.member_id)
        }
        Reply::JoinGroup(join) => {
            let member = |member: &raftsman_protocol::messages::join_group::JoinGroupResponseMember| {
                format!(" {}:{}", member.member_id, ascii(&member.metadata))
            };
            format!(
                "join generation={} protocol={} leader={} member={}{}{}",
                join.generation_id,
                option(join.protocol_name.as_ref()),
                join.leader,
                join.member_id,
                if join.skip_assignment { " skip-assignment" } else { "" },
                join.members.iter().map(member).collect::<String>()
            )
        }
        Reply::SyncGroup(sync) if sync.error_code != 0 => format!("sync {}", error(sync.error_code)),
        Reply::SyncGroup(sync) => format!("sync assignment={}", ascii(&sync.assignment)),
        Reply::Heartbeat(heartbeat) => format!("heartbeat {}", error(heartbeat.error_code)),
        Reply::LeaveGroup(leave) => {
            let members = leave
                .members
                .iter()
                .map(|m| format!(" {}/{}:{}", m.member_id, option(m.group_instance_id.as_ref()), error(m.error_code)));
            format!("leave {}{}", error(leave.error_code), members.collect::<String>())
        }
        Reply::DeleteGroup(code) => format!("delete {code}"),
        other => show_offsets_or_description(other),
    }
}

fn show_offsets_or_description(reply: &Reply) -> String {
    let error = |code: i16| ErrorCode::from_code(code).name();
    match reply {
        Reply::OffsetCommit(commit) => {
            let each = commit.topics.iter().flat_map(|topic| {
                let partition = move |p: &raftsman_protocol::messages::offset_commit::OffsetCommitResponsePartition| {
                    format!(" {}-{}:{}", topic.name, p.partition_index, error(p.error_code))
                };
                topic.partitions.iter().map(partition)
            });
            format!("commit{}", each.collect::<String>())
        }
        Reply::OffsetFetch(fetch) => {
            let each = fetch.topics.iter().flat_map(|topic| {
                let partition = move |p: &raftsman_protocol::messages::offset_fetch::OffsetFetchResponsePartitions| {
                    format!(" {}-{}:{}", topic.name, p.partition_index, p.committed_offset)
                };
                topic.partitions.iter().map(partition)
            });
            format!("fetch {}{}", error(fetch.error_code), each.collect::<String>())
        }
        Reply::DescribeGroup(group) => {
            let members = group.members.iter().map(|m| {
                format!(
                    " {}@{}:{}:{}",
                    m.member_id,
                    m.client_host,
                    ascii(&m.member_metadata),
                    ascii(&m.member_assignment)
                )
            });
            format!(
                "describe {} {} type={} protocol={}{}",
                error(group.error_code),
                group.group_state,
                group.protocol_type,
                group.protocol_data,
                members.collect::<String>()
            )
        }
        Reply::ListGroups(Ok(groups)) => {
            let mut names: Vec<String> = groups.iter().map(|g| format!(" {}:{}", g.group_id, g.group_state)).collect();
            names.sort();
            format!("list{}", names.concat())
        }
        other => format!("{other:?}"),
    }
}

fn option(text: Option<&Str>) -> &str {
    text.map_or("-", |text| text.as_str())
}

fn ascii(bytes: &Bytes) -> String {
    bytes.escape_ascii().to_string()
}
