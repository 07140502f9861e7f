//! What clients are told by a broker that is not in its cluster yet: it may wait for a majority of controllers for hours, and
//! whoever hangs on it that long does not try the others. Answers from what it knows would be wrong: a cluster without topics.
//!
//! Topics asked for by name have no leader at the moment, which every client tries again. Of everything else nothing can be said
//! that no client takes for final, so the connection ends, which sends clients to other brokers and back.

use raftsman_protocol::ApiKey;
use raftsman_protocol::messages::metadata::{MetadataRequest, MetadataResponse, MetadataResponseTopic};
use raftsman_types::ErrorCode;

use super::Close;
use super::registry::Call;
use crate::net::Dispatched;

/// Answers a request without the cluster.
///
/// # Errors
/// The connection ends.
pub(super) fn refuse(key: ApiKey, call: &mut Call) -> Result<Dispatched, Close> {
    let not_yet = || Close::because("this broker is not in its cluster yet; its log says what it waits for");
    if key != ApiKey::Metadata {
        return Err(not_yet());
    }
    let request: MetadataRequest = call.decode()?;
    let named: Vec<_> = request.topics.unwrap_or_default().into_iter().filter(|topic| topic.name.is_some()).collect();
    if named.is_empty() {
        return Err(not_yet());
    }
    let topics = named.into_iter().map(|topic| MetadataResponseTopic {
        error_code: ErrorCode::LeaderNotAvailable.code(),
        name: topic.name,
        topic_id: topic.topic_id,
        ..Default::default()
    });
    let response = MetadataResponse { topics: topics.collect(), controller_id: -1, ..Default::default() };
    let frame = call.respond(ApiKey::Metadata, &response)?;
    Ok(Dispatched { answer: Box::pin(async move { Ok(Some(frame)) }), overlaps: false })
}
