//! Produce (key 0): appends every partition's batch, then waits for what `acks` asks.

use std::time::Duration;

use bytes::Bytes;
use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_protocol::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse,
    ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use raftsman_records::{BatchHeader, Compression, RecordError};
use raftsman_types::{ErrorCode, TopicId, TopicIdPartition, is_internal_topic};
use tokio::time::Instant;

use super::authorize::{Operation, Resource};
use super::leader_hints::LeaderHints;
use super::{Close, Context};
use crate::replica::{Acks, AppendError, AppendOrigin, Appended};

/// From this version on topics are named by id (KIP-516).
const TOPIC_IDS_FROM: i16 = 13;
/// Below this version records may be of the formats before v2.
const V2_ONLY_FROM: i16 = 3;
/// From this version on clients know KAFKA_STORAGE_ERROR (KIP-112).
const STORAGE_ERROR_FROM: i16 = 4;
/// From this version on zstd may be used (KIP-110).
const ZSTD_FROM: i16 = 7;
/// From this version on an answer can say who leads instead (KIP-951).
const LEADER_HINTS_FROM: i16 = 10;

/// One partition of the request on its way to its answer.
struct Append {
    at: TopicIdPartition,
    outcome: Result<Appended, Refusal>,
}

/// Why a partition's records were not taken.
#[derive(Debug)]
struct Refusal {
    code: ErrorCode,
    message: Option<String>,
    /// The single records at fault, if it is them.
    records: Vec<RecordError>,
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Refusal {
        let (code, message) = (error.error_code(), Some(error.to_string()));
        let records = if let AppendError::Invalid { records, .. } = error { records } else { Vec::new() };
        Refusal { code, message, records }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal { code, message: None, records: Vec::new() }
    }
}

/// Answers a produce request; `None` for acks=0.
///
/// # Errors
/// Ends the connection when an acks=0 request fails: there is no other way to tell such a client (as in Kafka).
pub async fn handle(ctx: &Context, request: ProduceRequest, version: i16) -> Result<Option<ProduceResponse>, Close> {
    let image = ctx.state.metadata.load();
    let acks = match request.acks {
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        -1 => Some(Acks::All),
        _ => None,
    };
    let transactional = request.transactional_id.is_some();
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let target = target(ctx, &image, &topic.name, TopicId(topic.topic_id), version);
        // The names let go of the frame: records that own it alone are written from where they lie.
        let name = topic.name.detached();
        drop(topic.name);
        let mut appends = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let at = TopicIdPartition {
                topic_id: target.as_ref().copied().unwrap_or(TopicId(topic.topic_id)),
                partition: data.index,
            };
            let outcome = match (&target, acks) {
                (_, None) => Err(Refusal::from(ErrorCode::InvalidRequiredAcks)),
                (Err(code), _) => Err(Refusal::from(*code)),
                (Ok(_), Some(acks)) => append(ctx, at, data, acks, transactional, version),
            };
            appends.push(Append { at, outcome });
        }
        topics.push((name, topic.topic_id, appends));
    }
    if acks == Some(Acks::All) {
        for append in topics.iter_mut().flat_map(|(_, _, appends)| appends) {
            await_commit(ctx, append, deadline).await;
        }
    }
    if acks == Some(Acks::None) {
        let failed = topics.iter().flat_map(|(_, _, appends)| appends).find_map(|a| a.outcome.as_ref().err());
        return match failed {
            Some(refusal) => Err(Close::because(format!("an acks=0 produce request failed with {}", refusal.code))),
            None => Ok(None),
        };
    }
    // The metadata may have moved on while the records were replicated.
    let image = ctx.state.metadata.load();
    let mut hints = LeaderHints::new(ctx, &image, version >= LEADER_HINTS_FROM);
    let responses = topics
        .into_iter()
        .map(|(name, topic_id, appends)| TopicProduceResponse {
            name,
            topic_id,
            partition_responses: appends.into_iter().map(|append| respond(append, &mut hints, version)).collect(),
        })
        .collect();
    Ok(Some(ProduceResponse { responses, node_endpoints: node_endpoints(&hints), ..Default::default() }))
}

/// Which topic is meant, or why none is.
fn target(
    ctx: &Context,
    image: &MetadataImage,
    name: &str,
    topic_id: TopicId,
    version: i16,
) -> Result<TopicId, ErrorCode> {
    let topic = if version >= TOPIC_IDS_FROM {
        image.topic(topic_id).ok_or(ErrorCode::UnknownTopicId)?
    } else {
        image.topic_by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)?
    };
    if !ctx.is_authorized(Operation::Write, Resource::Topic(&topic.name)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    if is_internal_topic(&topic.name) { Err(ErrorCode::InvalidTopicException) } else { Ok(topic.id) }
}

fn append(
    ctx: &Context,
    at: TopicIdPartition,
    data: PartitionProduceData,
    acks: Acks,
    transactional: bool,
    version: i16,
) -> Result<Appended, Refusal> {
    let records = data.records.map(|records| records.into_contiguous()).unwrap_or_default();
    if transactional {
        let message = "transactions are not served yet: produce without a transactional.id";
        return Err(Refusal { message: Some(message.to_owned()), ..ErrorCode::InvalidTxnState.into() });
    }
    if version < ZSTD_FROM && uses_zstd(&records) {
        return Err(ErrorCode::UnsupportedCompressionType.into());
    }
    if ctx.state.metadata.load().partition(at).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition.into());
    }
    let origin = if version < V2_ONLY_FROM { AppendOrigin::LegacyClient } else { AppendOrigin::Client };
    Ok(ctx.state.replicas.append(at, records, acks, origin)?)
}

/// Whether the records begin with a batch that says it is compressed with zstd. (Messages of older formats cannot be.)
fn uses_zstd(records: &Bytes) -> bool {
    BatchHeader::parse(records).and_then(|header| header.compression()) == Ok(Compression::Zstd)
}

async fn await_commit(ctx: &Context, append: &mut Append, deadline: Instant) {
    let Ok(appended) = append.outcome else { return };
    let committed = ctx.state.replicas.committed(append.at, appended.leader_epoch, appended.last_offset, deadline);
    if let Err(error) = committed.await {
        append.outcome = Err(error.into());
    }
}

fn respond(append: Append, hints: &mut LeaderHints<'_>, version: i16) -> PartitionProduceResponse {
    let index = append.at.partition;
    match append.outcome {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        },
        Err(refusal) => {
            let leader = match refusal.code {
                ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch => hints.leader_of(append.at),
                _ => None,
            };
            let code = match refusal.code {
                // The next best an older client knows: it looks for the leader again, and retries.
                ErrorCode::KafkaStorageError if version < STORAGE_ERROR_FROM => ErrorCode::NotLeaderOrFollower,
                code => code,
            };
            PartitionProduceResponse {
                index,
                error_code: code.code(),
                record_errors: refusal.records.iter().map(record_error).collect(),
                error_message: refusal.message.map(Str::from),
                base_offset: -1,
                log_start_offset: -1,
                current_leader: leader.map_or_else(LeaderIdAndEpoch::default, |(leader, epoch)| LeaderIdAndEpoch {
                    leader_id: leader.0,
                    leader_epoch: epoch.0,
                }),
                ..Default::default()
            }
        }
    }
}

fn record_error(error: &RecordError) -> BatchIndexAndErrorMessage {
    let message = Some(Str::from(error.fault.to_string()));
    BatchIndexAndErrorMessage { batch_index: error.index, batch_index_error_message: message }
}

fn node_endpoints(hints: &LeaderHints<'_>) -> Vec<NodeEndpoint> {
    hints.endpoints().map(|e| NodeEndpoint { node_id: e.node.0, host: e.host, port: e.port, rack: e.rack }).collect()
}
