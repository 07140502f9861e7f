//! Metadata (key 3): brokers, topics, partitions and their leaders. May create topics that a client asks for.

use std::collections::HashSet;
use std::time::Duration;

use raftsman_metadata::{MetadataImage, PartitionImage, TopicImage};
use raftsman_protocol::Str;
use raftsman_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use raftsman_types::{ErrorCode, TopicId, is_internal_topic, validate_topic_name};

use super::authorize::{Operation, Resource};
use super::cluster_view::{ClusterView, node_ids};
use super::fresh_leaders::await_fresh_leaders;
use super::{Close, Context, auto_topics};

/// From this version on clients know LISTENER_NOT_FOUND.
const LISTENER_NOT_FOUND_FROM: i16 = 6;
/// From this version on a topic's name may be null in answers.
const NULL_NAME_FROM: i16 = 12;

/// Answers from the cached image; waits only for topics it creates.
pub async fn handle(ctx: &Context, request: MetadataRequest, version: i16) -> Result<MetadataResponse, Close> {
    let mut image = ctx.state.metadata.load();
    let wanted = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    if let Some(wanted) = &wanted
        && request.allow_auto_topic_creation
        && ctx.state.config.auto_create_topics
    {
        let missing = missing_topics(ctx, &image, wanted);
        if !missing.is_empty() {
            auto_topics::create(&ctx.state, &missing).await;
            image = ctx.state.metadata.load();
        }
    }
    if let Some(wanted) = &wanted {
        let topics: Vec<_> = wanted.iter().map(|topic| (topic.name.clone(), TopicId(topic.topic_id))).collect();
        image = await_fresh_leaders(ctx, &topics).await;
    }
    let view = ClusterView::new(ctx, &image);
    let answer = Answer { ctx, view: &view, version, operations: request.include_topic_authorized_operations };
    let topics = match wanted {
        None => image.topic_ids.values().filter_map(|id| image.topic(*id)).filter_map(|t| answer.listed(t)).collect(),
        Some(wanted) => {
            let mut seen = HashSet::with_capacity(wanted.len());
            // With an id the name counts for nothing, so it must not make a topic another one either.
            let key = |topic: &MetadataRequestTopic| match topic.topic_id.is_zero() {
                true => (topic.name.clone(), topic.topic_id),
                false => (None, topic.topic_id),
            };
            let once = wanted.into_iter().filter(|topic| seen.insert(key(topic)));
            once.map(|topic| answer.asked(&image, topic)).collect()
        }
    };
    let cluster_authorized_operations = if request.include_cluster_authorized_operations {
        ctx.authorized_operations(Resource::Cluster)
    } else {
        i32::MIN
    };
    Ok(MetadataResponse {
        brokers: brokers(ctx, &view),
        cluster_id: image.cluster_id.as_deref().map(Str::copy_from),
        controller_id: view.controller(ctx.state.identity.node_id).0,
        topics,
        cluster_authorized_operations,
        ..Default::default()
    })
}

fn missing_topics(ctx: &Context, image: &MetadataImage, wanted: &[MetadataRequestTopic]) -> Vec<Str> {
    let mut seen = HashSet::new();
    let names = wanted.iter().filter(|topic| topic.topic_id.is_zero()).filter_map(|topic| topic.name.as_ref());
    names
        .filter(|name| image.topic_by_name(name).is_none() && validate_topic_name(name).is_ok())
        .filter(|name| ctx.is_authorized(Operation::Create, Resource::Topic(name)))
        .filter(|name| seen.insert((*name).clone()))
        .cloned()
        .collect()
}

/// Those a client can use, and those that could be used a moment ago: librdkafka takes down a broker that is not listed
/// while it still moves that broker's partitions to their new leaders, which then wait most of a second for the next
/// answer. Once they have moved, the broker may go.
fn brokers(ctx: &Context, view: &ClusterView<'_>) -> Vec<MetadataResponseBroker> {
    let just_lost = |id| ctx.state.metadata.was_fenced_within(id, LISTED_AFTER_LOSS);
    view.brokers()
        .chain(view.fenced_brokers().filter(|(broker, _)| just_lost(broker.id)))
        .map(|(broker, endpoint)| MetadataResponseBroker {
            node_id: broker.id.0,
            host: Str::copy_from(&endpoint.host),
            port: i32::from(endpoint.port),
            rack: broker.rack.as_deref().map(Str::copy_from),
        })
        .collect()
}

/// How long a lost broker stays in the list of brokers. No partition names it as leader meanwhile.
const LISTED_AFTER_LOSS: Duration = Duration::from_secs(5);

/// How topics are described to one client.
struct Answer<'a> {
    ctx: &'a Context,
    view: &'a ClusterView<'a>,
    version: i16,
    operations: bool,
}

impl Answer<'_> {
    /// A topic of the whole list; left out if the client may not know of it.
    fn listed(&self, topic: &TopicImage) -> Option<MetadataResponseTopic> {
        self.ctx.is_authorized(Operation::Describe, Resource::Topic(&topic.name)).then(|| self.describe(topic))
    }

    /// A topic asked for by name or id.
    fn asked(&self, image: &MetadataImage, topic: MetadataRequestTopic) -> MetadataResponseTopic {
        if topic.topic_id.is_zero() {
            return self.asked_by_name(image, topic.name);
        }
        match image.topic(TopicId(topic.topic_id)).and_then(|topic| self.listed(topic)) {
            Some(described) => described,
            None => {
                let name = if self.version >= NULL_NAME_FROM { None } else { Some(Str::default()) };
                refused(ErrorCode::UnknownTopicId, name, TopicId(topic.topic_id))
            }
        }
    }

    fn asked_by_name(&self, image: &MetadataImage, name: Option<Str>) -> MetadataResponseTopic {
        let Some(name) = name else { return refused(ErrorCode::InvalidRequest, Some(Str::default()), TopicId::ZERO) };
        if !self.ctx.is_authorized(Operation::Describe, Resource::Topic(&name)) {
            return refused(ErrorCode::TopicAuthorizationFailed, Some(name), TopicId::ZERO);
        }
        match image.topic_by_name(&name) {
            Some(topic) => self.describe(topic),
            None if validate_topic_name(&name).is_err() => {
                refused(ErrorCode::InvalidTopicException, Some(name), TopicId::ZERO)
            }
            None => refused(ErrorCode::UnknownTopicOrPartition, Some(name), TopicId::ZERO),
        }
    }

    fn describe(&self, topic: &TopicImage) -> MetadataResponseTopic {
        let resource = Resource::Topic(&topic.name);
        MetadataResponseTopic {
            error_code: ErrorCode::None.code(),
            name: Some(Str::copy_from(&topic.name)),
            topic_id: topic.id.0,
            is_internal: is_internal_topic(&topic.name),
            partitions: topic.partitions.iter().map(|(index, state)| self.partition(*index, state)).collect(),
            topic_authorized_operations: if self.operations {
                self.ctx.authorized_operations(resource)
            } else {
                i32::MIN
            },
        }
    }

    fn partition(&self, index: i32, state: &PartitionImage) -> MetadataResponsePartition {
        let leader = self.view.leader(state);
        let error = match leader.error {
            ErrorCode::ListenerNotFound if self.version < LISTENER_NOT_FOUND_FROM => ErrorCode::LeaderNotAvailable,
            error => error,
        };
        MetadataResponsePartition {
            error_code: error.code(),
            partition_index: index,
            leader_id: leader.id.0,
            leader_epoch: state.leader_epoch.0,
            replica_nodes: node_ids(&state.replicas),
            isr_nodes: node_ids(&state.isr),
            offline_replicas: self.view.offline_replicas(state),
        }
    }
}

fn refused(code: ErrorCode, name: Option<Str>, id: TopicId) -> MetadataResponseTopic {
    let is_internal = name.as_deref().is_some_and(is_internal_topic);
    MetadataResponseTopic { error_code: code.code(), name, topic_id: id.0, is_internal, ..Default::default() }
}
