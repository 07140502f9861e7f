//! DescribeTopicPartitions (key 75, KIP-966): partitions with their eligible leader replicas, page by page.

use std::collections::BTreeSet;
use std::sync::Arc;

use raftsman_metadata::{MetadataImage, PartitionImage, TopicImage};
use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition as Partition, DescribeTopicPartitionsResponseTopic as Topic,
};
use raftsman_types::{ErrorCode, is_internal_topic};

use super::authorize::{Operation, Resource};
use super::cluster_view::{ClusterView, node_ids};
use super::{Close, Context};

/// `max.request.partition.size.limit`.
const MOST_PARTITIONS: usize = 2000;

/// Answers from the cached image, topics in the order of their names.
pub async fn handle(
    ctx: &Context,
    request: DescribeTopicPartitionsRequest,
    _version: i16,
) -> Result<DescribeTopicPartitionsResponse, Close> {
    let image = ctx.state.metadata.load();
    let asked_all = request.topics.is_empty();
    let names: BTreeSet<Str> = if asked_all {
        image.topic_ids.keys().map(|name| Str::copy_from(name)).collect()
    } else {
        request.topics.into_iter().map(|topic| topic.name).collect()
    };
    let (from_topic, from_partition) = match &request.cursor {
        Some(cursor) if cursor.partition_index < 0 => {
            return Err(Close::because("DescribeTopicPartitions with a negative partition in its cursor"));
        }
        Some(cursor) => (cursor.topic_name.clone(), cursor.partition_index),
        None => (Str::default(), 0),
    };
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, MOST_PARTITIONS);
    let mut page = Page { ctx, view: ClusterView::new(ctx, &image), left: limit, topics: Vec::new(), next: None };
    for name in names.range(from_topic.clone()..) {
        let first = if *name == from_topic { from_partition } else { 0 };
        if !page.add(&image, name, first, asked_all) {
            break;
        }
    }
    Ok(DescribeTopicPartitionsResponse { topics: page.topics, next_cursor: page.next, ..Default::default() })
}

/// An answer being filled.
struct Page<'a> {
    ctx: &'a Context,
    view: ClusterView<'a>,
    left: usize,
    topics: Vec<Topic>,
    next: Option<Cursor>,
}

impl Page<'_> {
    /// Adds a topic from one of its partitions on; `false` once the page is full.
    fn add(&mut self, image: &MetadataImage, name: &Str, first: i32, asked_all: bool) -> bool {
        let resource = Resource::Topic(name);
        let may = self.ctx.is_authorized(Operation::Describe, resource);
        let code = if may { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::TopicAuthorizationFailed };
        let Some(topic) = image.topic_by_name(name).filter(|_| may) else {
            // In a list of all topics, one that went meanwhile or is hidden is simply not there.
            if !asked_all {
                self.topics.push(Topic { error_code: code.code(), name: Some(name.clone()), ..Default::default() });
            }
            return true;
        };
        if self.left == 0 {
            self.next = Some(Cursor { topic_name: name.clone(), partition_index: first });
            return false;
        }
        let (partitions, next) = self.partitions(topic, first);
        self.topics.push(Topic {
            name: Some(name.clone()),
            topic_id: topic.id.0,
            is_internal: is_internal_topic(name),
            partitions,
            topic_authorized_operations: self.ctx.authorized_operations(resource),
            ..Default::default()
        });
        self.next = next.map(|partition_index| Cursor { topic_name: name.clone(), partition_index });
        self.next.is_none()
    }

    fn partitions(&mut self, topic: &TopicImage, first: i32) -> (Vec<Partition>, Option<i32>) {
        let mut rest = topic.partitions.range(first..);
        let taken: Vec<(&i32, &Arc<PartitionImage>)> = rest.by_ref().take(self.left).collect();
        self.left -= taken.len();
        let partitions = taken.into_iter().map(|(index, state)| self.partition(*index, state)).collect();
        (partitions, rest.next().map(|(index, _)| *index))
    }

    fn partition(&self, index: i32, state: &PartitionImage) -> Partition {
        let leader = self.view.leader(state);
        Partition {
            error_code: leader.error.code(),
            partition_index: index,
            leader_id: leader.id.0,
            leader_epoch: state.leader_epoch.0,
            replica_nodes: node_ids(&state.replicas),
            isr_nodes: node_ids(&state.isr),
            eligible_leader_replicas: Some(node_ids(&state.elr)),
            last_known_elr: Some(state.last_known_leader.iter().map(|id| id.0).collect()),
            offline_replicas: self.view.offline_replicas(state),
        }
    }
}
