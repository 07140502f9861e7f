//! OffsetFetch (key 9): reads the offsets of a group, or of several.

use std::collections::HashSet;

use futures::future::join_all;
use raftsman_coordinator::{Reply, Request};
use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use raftsman_types::{ErrorCode, TopicId, Uuid};

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// From this version on a request has several groups (KIP-709).
const SEVERAL_GROUPS_FROM: i16 = 8;
/// From this version on topics are named by id.
const TOPIC_IDS_FROM: i16 = 10;
/// From this version on an error of the group stands on top; before, with each partition.
const GROUP_ERROR_FROM: i16 = 2;
/// "No offset."
const NONE: i64 = -1;

/// Answers with what is committed.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: OffsetFetchRequest, version: i16) -> Result<OffsetFetchResponse, Close> {
    if version >= SEVERAL_GROUPS_FROM {
        // Each group once: all offsets of a group are asked for in a few bytes.
        let mut seen = HashSet::new();
        let once = request.groups.into_iter().filter(|group| seen.insert(group.group_id.clone()));
        let groups = join_all(once.map(|group| fetch(ctx, group, version))).await;
        let groups = groups.into_iter().collect::<Result<_, Close>>()?;
        return Ok(OffsetFetchResponse { groups, ..Default::default() });
    }
    let asked = request.topics;
    let topics = asked.as_ref().map(|topics| topics.iter().map(with_id_to_come).collect());
    let group = OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() };
    let fetched = fetch(ctx, group, version).await?;
    Ok(respond_one(asked.unwrap_or_default(), fetched, version))
}

fn with_id_to_come(topic: &OffsetFetchRequestTopic) -> OffsetFetchRequestTopics {
    let partition_indexes = topic.partition_indexes.clone();
    OffsetFetchRequestTopics { topic_id: Uuid::ZERO, name: topic.name.clone(), partition_indexes }
}

/// Asks for one group's offsets.
async fn fetch(
    ctx: &Context,
    mut group: OffsetFetchRequestGroup,
    version: i16,
) -> Result<OffsetFetchResponseGroup, Close> {
    let image = ctx.state.metadata.load();
    // Topics that are known by neither name nor id are answered here; none of them has offsets.
    let mut unknown = Vec::new();
    group.topics = group.topics.map(|topics| {
        let find = |topic: OffsetFetchRequestTopics| {
            let found = identify(ctx, &image, topic, version);
            found.map_err(|(topic, error)| unknown.push(refuse(topic, error))).ok()
        };
        topics.into_iter().filter_map(find).collect()
    });
    let asks_for_all = group.topics.is_none();
    let is_allowed = ctx.is_authorized(Operation::Describe, Resource::Group(&group.group_id));
    let request = Request::OffsetFetch(group);
    let reply = if is_allowed {
        ctx.state.coordinator.ask(&Asker::of(ctx, version), &request).await
    } else {
        request.refusal(version, ErrorCode::GroupAuthorizationFailed)
    };
    let Reply::OffsetFetch(mut fetched) = reply else {
        return Err(Close::because(format!("the coordinator answered an OffsetFetch with {reply:?}")));
    };
    if asks_for_all {
        fetched.topics.retain_mut(|topic| is_visible(ctx, &image, topic, version));
    }
    if fetched.error_code == ErrorCode::None.code() {
        fetched.topics.extend(unknown);
    }
    Ok(fetched)
}

/// Gives a topic both its name and its id.
fn identify(
    ctx: &Context,
    image: &MetadataImage,
    mut topic: OffsetFetchRequestTopics,
    version: i16,
) -> Result<OffsetFetchRequestTopics, (OffsetFetchRequestTopics, ErrorCode)> {
    if version >= TOPIC_IDS_FROM {
        match image.topic(TopicId(topic.topic_id)) {
            Some(found) => topic.name = Str::copy_from(&found.name),
            None => return Err((topic, ErrorCode::UnknownTopicId)),
        }
    } else {
        // A topic that does not exist (any more) has no offsets, which is no error.
        topic.topic_id = image.topic_by_name(&topic.name).map(|found| found.id.0).unwrap_or_default();
    }
    if ctx.is_authorized(Operation::Describe, Resource::Topic(&topic.name)) {
        Ok(topic)
    } else {
        Err((topic, ErrorCode::TopicAuthorizationFailed))
    }
}

/// Of "all topics": whether the client may see this one and the version can name it.
fn is_visible(ctx: &Context, image: &MetadataImage, topic: &mut OffsetFetchResponseTopics, version: i16) -> bool {
    if let Some(found) = image.topic_by_name(&topic.name) {
        let is_same = topic.topic_id.is_zero() || topic.topic_id == found.id.0;
        topic.topic_id = found.id.0;
        return is_same && ctx.is_authorized(Operation::Describe, Resource::Topic(&topic.name));
    }
    version < TOPIC_IDS_FROM && ctx.is_authorized(Operation::Describe, Resource::Topic(&topic.name))
}

fn refuse(topic: OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let refused = |partition_index| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: NONE,
        committed_leader_epoch: -1,
        metadata: Some(Str::default()),
        error_code: error.code(),
    };
    let partitions = topic.partition_indexes.into_iter().map(refused).collect();
    OffsetFetchResponseTopics { topic_id: topic.topic_id, name: topic.name, partitions }
}

/// One group's answer in the form of the versions that have only one.
fn respond_one(
    asked: Vec<OffsetFetchRequestTopic>,
    fetched: OffsetFetchResponseGroup,
    version: i16,
) -> OffsetFetchResponse {
    let error = ErrorCode::from_code(fetched.error_code);
    if error != ErrorCode::None && version < GROUP_ERROR_FROM {
        let refused = asked.iter().map(|topic| one_topic(refuse(with_id_to_come(topic), error), version));
        return OffsetFetchResponse { topics: refused.collect(), ..Default::default() };
    }
    let topics = fetched.topics.into_iter().map(|topic| one_topic(topic, version)).collect();
    OffsetFetchResponse { topics, error_code: error.code(), ..Default::default() }
}

fn one_topic(topic: OffsetFetchResponseTopics, version: i16) -> OffsetFetchResponseTopic {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        // Kafka's oldest version says "no offset" by an error.
        error_code: if version == 0 && partition.committed_offset == NONE && partition.error_code == 0 {
            ErrorCode::UnknownTopicOrPartition.code()
        } else {
            partition.error_code
        },
    };
    OffsetFetchResponseTopic { name: topic.name, partitions: topic.partitions.into_iter().map(partition).collect() }
}

#[cfg(test)]
mod tests {
    use raftsman_protocol::{Message, Writer};

    use super::*;

    fn fetched(error: ErrorCode, offset: i64) -> OffsetFetchResponseGroup {
        let partition = OffsetFetchResponsePartitions { committed_offset: offset, ..Default::default() };
        let topic = OffsetFetchResponseTopics { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let topics = if error == ErrorCode::None { vec![topic] } else { Vec::new() };
        OffsetFetchResponseGroup { group_id: "g".into(), topics, error_code: error.code() }
    }

    /// (offset, error of the partition, error on top) as the client of a version sees them.
    fn seen(error: ErrorCode, offset: i64, version: i16) -> (Option<(i64, i16)>, i16) {
        let asked = vec![OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0] }];
        let response = respond_one(asked, fetched(error, offset), version);
        response.encode(&mut Writer::new(), version).expect("every version can carry its own form");
        let partition = response.topics.first().map(|topic| &topic.partitions[0]);
        (partition.map(|partition| (partition.committed_offset, partition.error_code)), response.error_code)
    }

    #[test]
    fn old_versions_say_it_in_their_own_way() {
        let (none, loading) = (ErrorCode::None, ErrorCode::CoordinatorLoadInProgress);
        for version in 0..=7 {
            assert_eq!(seen(none, 5, version), (Some((5, 0)), 0));
        }
        assert_eq!(seen(none, -1, 0), (Some((-1, ErrorCode::UnknownTopicOrPartition.code())), 0));
        assert_eq!(seen(none, -1, 1), (Some((-1, 0)), 0));
        assert_eq!(seen(loading, -1, 1), (Some((-1, loading.code())), 0));
        assert_eq!(seen(loading, -1, 2), (None, loading.code()));
    }
}
