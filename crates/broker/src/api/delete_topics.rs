//! DeleteTopics (key 20): forwarded to the active controller.

use std::collections::HashMap;

use bytes::Bytes;
use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use raftsman_rpc::controller::{self as pb, administer_request::Operation as Change};
use raftsman_types::{ErrorCode, TopicId};

use super::authorize::{Operation, Resource};
use super::forward::{Outcome, administer};
use super::{Close, Context};

/// From this version on topics may be named by id, and names may be null in the answer (KIP-516).
const TOPIC_IDS_FROM: i16 = 6;
/// From this version on clients know TOPIC_DELETION_DISABLED.
const DELETION_DISABLED_FROM: i16 = 3;

/// Answers once this broker's own metadata lacks the topics.
pub async fn handle(ctx: &Context, request: DeleteTopicsRequest, version: i16) -> Result<DeleteTopicsResponse, Close> {
    let image = ctx.state.metadata.load();
    let by_name = |name| DeleteTopicState { name: Some(name), ..Default::default() };
    let mut topics = request.topics;
    if version < TOPIC_IDS_FROM {
        topics = request.topic_names.into_iter().map(by_name).collect();
    }
    let mut counts: HashMap<(Option<Str>, TopicId), usize> = HashMap::new();
    for topic in &topics {
        *counts.entry((topic.name.clone(), TopicId(topic.topic_id))).or_default() += 1;
    }
    let refuse = |topic: &DeleteTopicState| {
        let repeated = counts.get(&(topic.name.clone(), TopicId(topic.topic_id))).is_some_and(|count| *count > 1);
        if repeated { Some(invalid("Duplicate topic in the request.")) } else { refusal(ctx, &image, topic, version) }
    };
    let refusals: Vec<Option<Outcome>> = topics.iter().map(refuse).collect();
    let valid = topics.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
    let references: Vec<pb::TopicReference> = valid.map(|(topic, _)| reference(topic)).collect();
    let parts = references.len();
    let change = Change::DeleteTopics(pb::DeleteTopics { topics: references });
    let mut results = administer(ctx, change, parts, request.timeout_ms).await.map(Vec::into_iter);
    let responses = topics.into_iter().zip(refusals).map(|(topic, refusal)| {
        let outcome = match (refusal, &mut results) {
            (Some(outcome), _) => outcome,
            (None, Err(outcome)) => outcome.clone(),
            (None, Ok(results)) => Outcome::of_result(&results.next().unwrap_or_default()),
        };
        respond(&image, topic, outcome, version)
    });
    Ok(DeleteTopicsResponse { responses: responses.collect(), ..Default::default() })
}

fn invalid(message: &str) -> Outcome {
    Outcome::of(ErrorCode::InvalidRequest, message)
}

fn refusal(ctx: &Context, image: &MetadataImage, topic: &DeleteTopicState, version: i16) -> Option<Outcome> {
    if !ctx.state.config.delete_topic {
        let known = version >= DELETION_DISABLED_FROM;
        let code = if known { ErrorCode::TopicDeletionDisabled } else { ErrorCode::InvalidRequest };
        return Some(Outcome::of(code, "Topic deletion is disabled (delete.topic.enable=false)."));
    }
    match (&topic.name, topic.topic_id.is_zero()) {
        (Some(_), false) => return Some(invalid("A topic is named by name or by id, not by both.")),
        (None, true) => return Some(invalid("Neither a topic's name nor its id was given.")),
        _ => {}
    }
    let name = topic.name.as_deref().or_else(|| image.topic(TopicId(topic.topic_id)).map(|known| &*known.name));
    let may = name.is_none_or(|name| ctx.is_authorized(Operation::Delete, Resource::Topic(name)));
    (!may).then(|| Outcome::of(ErrorCode::TopicAuthorizationFailed, "Authorization failed."))
}

fn reference(topic: &DeleteTopicState) -> pb::TopicReference {
    let id = topic.topic_id;
    pb::TopicReference {
        name: topic.name.as_deref().unwrap_or_default().to_owned(),
        topic_id: if id.is_zero() { Bytes::new() } else { raftsman_rpc::id_bytes(id) },
    }
}

/// The answer gives name and id of a topic that existed, whichever of them the client knew.
fn respond(image: &MetadataImage, topic: DeleteTopicState, outcome: Outcome, version: i16) -> DeletableTopicResult {
    let known = match &topic.name {
        Some(name) => image.topic_by_name(name),
        None => image.topic(TopicId(topic.topic_id)),
    };
    let known_name = known.map(|known| Str::copy_from(&known.name));
    let name = topic.name.or(known_name);
    DeletableTopicResult {
        name: if version < TOPIC_IDS_FROM { Some(name.unwrap_or_default()) } else { name },
        topic_id: if topic.topic_id.is_zero() {
            known.map_or(topic.topic_id, |known| known.id.0)
        } else {
            topic.topic_id
        },
        error_code: outcome.code.code(),
        error_message: outcome.message,
    }
}
