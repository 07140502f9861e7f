//! Topics go.

use std::collections::BTreeSet;
use std::sync::Arc;

use raftsman_metadata::{MetadataImage, MetadataRecord, TopicImage};
use raftsman_types::{ErrorCode, TopicId};

use super::brokers::refusal;
use super::outcome::{Draft, Outcome, check_sender};
use super::{DeleteTopics, OperationResult, Reply, RequestError, Situation, TopicReference};

pub(super) fn delete_topics(situation: &Situation<'_>, request: &DeleteTopics) -> Outcome {
    let image = situation.image;
    if let Err(error) = check_sender(image, request.sender) {
        return Outcome::unchanged(Reply::Administer(Err(error)));
    }
    let mut draft = Draft::new(image);
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(request.topics.len());
    for reference in &request.topics {
        let found = find(image, reference).and_then(|topic| {
            if !situation.settings.delete_topic {
                let message = "Topic deletion is disabled: set delete.topic.enable=true on the controllers.";
                return Err(refusal(ErrorCode::TopicDeletionDisabled, message));
            }
            let is_first = seen.insert(topic.id);
            if is_first {
                Ok(topic)
            } else {
                Err(refusal(ErrorCode::InvalidRequest, "Duplicate topic in the request."))
            }
        });
        results.push(match found {
            Ok(topic) => {
                draft.push(MetadataRecord::DeleteTopic { topic_id: topic.id });
                draft.may_split();
                deleted(topic)
            }
            Err(error) => unknown(reference, error),
        });
    }
    draft.with_reply(Reply::Administer(Ok(results)))
}

fn find<'a>(image: &'a MetadataImage, reference: &TopicReference) -> Result<&'a Arc<TopicImage>, RequestError> {
    match reference {
        TopicReference::Name(name) => image.topic_by_name(name).ok_or_else(|| {
            refusal(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.")
        }),
        TopicReference::Id(TopicId::ZERO) => {
            Err(refusal(ErrorCode::InvalidRequest, "Neither topic name nor id were specified."))
        }
        TopicReference::Id(id) => image
            .topic(*id)
            .ok_or_else(|| refusal(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")),
    }
}

fn deleted(topic: &TopicImage) -> OperationResult {
    let name = Some(topic.name.clone());
    OperationResult {
        error: ErrorCode::None,
        message: None,
        name,
        topic_id: topic.id,
        partition_count: -1,
        replication_factor: -1,
    }
}

fn unknown(reference: &TopicReference, error: RequestError) -> OperationResult {
    match reference {
        TopicReference::Name(name) => OperationResult::refused(Some(name.clone()), error),
        TopicReference::Id(topic_id) => {
            OperationResult { topic_id: *topic_id, ..OperationResult::refused(None, error) }
        }
    }
}
