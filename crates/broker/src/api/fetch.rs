//! Fetch (key 1): reads what is committed, and waits for more where there is too little (KIP-74's limits).
//!
//! Fetch sessions (KIP-227) are declined as Kafka does when its cache is full: every answer carries session id 0,
//! and the client goes on with full requests.

use std::time::Duration;

use raftsman_protocol::Records;
use raftsman_protocol::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use raftsman_records::LegacyFormat;
use raftsman_types::{ErrorCode, LeaderEpoch, TopicId, TopicIdPartition};
use tokio::time::Instant;

use super::authorize::{Operation, Resource};
use super::down_conversion::{self, Terms};
use super::leader_hints::LeaderHints;
use super::{Close, Context};
use crate::replica::{FetchRead, Fetched, Isolation};

/// From this version on topics are named by id (KIP-516).
const TOPIC_IDS_FROM: i16 = 13;
/// From this version on an answer can say who leads instead (KIP-595), and from the next where that is (KIP-951).
const LEADER_HINTS_FROM: i16 = 12;
const ENDPOINTS_FROM: i16 = 16;
/// From this version on a request limits the whole answer, and takes more for one batch (KIP-74).
const RESPONSE_LIMIT_FROM: i16 = 3;
/// From this version on clients know KAFKA_STORAGE_ERROR (KIP-112).
const STORAGE_ERROR_FROM: i16 = 6;

/// A partition of the request, with its topic found or not.
struct Wanted {
    at: Result<TopicIdPartition, ErrorCode>,
    partition: FetchPartition,
}

/// What holds for all partitions of a request.
#[derive(Clone, Copy)]
struct Limits {
    bytes_max: usize,
    isolation: Isolation,
    version: i16,
}

/// What one pass over the partitions read.
struct Pass {
    results: Vec<Result<Fetched, ErrorCode>>,
    bytes: usize,
    /// Whether a partition has an error or a divergence, which the client should hear of at once.
    urgent: bool,
}

/// Answers a consumer's fetch.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: FetchRequest, version: i16) -> Result<FetchResponse, Close> {
    if request.session_id != 0 {
        let error_code = ErrorCode::FetchSessionIdNotFound.code();
        return Ok(FetchResponse { error_code, ..Default::default() });
    }
    if request.replica_id >= 0 || request.replica_state.replica_id >= 0 {
        // Followers replicate over gRPC; nobody may read past the high watermark here.
        return Ok(FetchResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() });
    }
    let isolation = if request.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let bytes_max = (request.max_bytes.max(0) as usize).min(ctx.state.config.fetch_max_bytes);
    let bytes_min = (request.min_bytes.max(0) as usize).min(bytes_max);
    let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let limits = Limits { bytes_max, isolation, version };
    let topics = resolve(ctx, request.topics, version);

    let places: Vec<TopicIdPartition> = wanted(&topics).filter_map(|w| w.at.ok()).collect();
    let mut waiter = None;
    let mut pass = loop {
        let pass = read(ctx, &topics, limits).await;
        let enough = pass.urgent || pass.bytes >= bytes_min || places.is_empty();
        if enough || Instant::now() >= deadline {
            break pass;
        }
        match &mut waiter {
            // Registered before the second look, so that nothing committed in between is missed.
            None => waiter = Some(ctx.state.replicas.wait_for_data(&places)),
            Some(waiter) => {
                // Woken or not, the next pass tells; after the deadline it is the last one.
                let _ = tokio::time::timeout_at(deadline, waiter.woken()).await;
            }
        }
    };
    if let Some(format) = down_conversion::format_of(version) {
        convert(ctx, &topics, &mut pass, limits, format).await;
    }
    Ok(respond(ctx, topics, pass, version))
}

/// Converts what was read for a fetcher of before v2, within the same limits.
async fn convert(
    ctx: &Context,
    topics: &[(FetchableTopicResponse, Vec<Wanted>)],
    pass: &mut Pass,
    limits: Limits,
    format: LegacyFormat,
) {
    let mut room = limits.bytes_max;
    for (Wanted { at, partition }, result) in wanted(topics).zip(&mut pass.results) {
        let (Ok(at), Ok(fetched)) = (at, &mut *result) else { continue };
        let terms = Terms {
            format,
            first_offset: partition.fetch_offset,
            max_bytes: room.min(partition.partition_max_bytes.max(0) as usize),
            isolation: limits.isolation,
        };
        match down_conversion::convert(ctx, *at, std::mem::take(fetched), terms).await {
            Ok(converted) => {
                room = room.saturating_sub(converted.bytes());
                *fetched = converted;
            }
            Err(error) => *result = Err(error),
        }
    }
}

/// Finds every topic, by id or by name.
fn resolve(ctx: &Context, topics: Vec<FetchTopic>, version: i16) -> Vec<(FetchableTopicResponse, Vec<Wanted>)> {
    let image = ctx.state.metadata.load();
    topics
        .into_iter()
        .map(|topic| {
            let found = if version >= TOPIC_IDS_FROM {
                image.topic(TopicId(topic.topic_id)).ok_or(ErrorCode::UnknownTopicId)
            } else {
                image.topic_by_name(&topic.topic).ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            let found = found.and_then(|topic| {
                let readable = ctx.is_authorized(Operation::Read, Resource::Topic(&topic.name));
                if readable { Ok(topic) } else { Err(ErrorCode::TopicAuthorizationFailed) }
            });
            let wanted = topic
                .partitions
                .into_iter()
                .map(|partition| Wanted {
                    at: found.and_then(|topic| {
                        let at = TopicIdPartition { topic_id: topic.id, partition: partition.partition };
                        topic.partition(at.partition).map(|_| at).ok_or(ErrorCode::UnknownTopicOrPartition)
                    }),
                    partition,
                })
                .collect();
            let answer = FetchableTopicResponse { topic: topic.topic, topic_id: topic.topic_id, ..Default::default() };
            (answer, wanted)
        })
        .collect()
}

fn wanted(topics: &[(FetchableTopicResponse, Vec<Wanted>)]) -> impl Iterator<Item = &Wanted> {
    topics.iter().flat_map(|(_, wanted)| wanted)
}

/// Reads every partition once, in the client's order, within the limits.
async fn read(ctx: &Context, topics: &[(FetchableTopicResponse, Vec<Wanted>)], limits: Limits) -> Pass {
    let mut pass = Pass { results: Vec::new(), bytes: 0, urgent: false };
    for Wanted { at, partition } in wanted(topics) {
        let room = limits.bytes_max.saturating_sub(pass.bytes);
        let read = FetchRead {
            fetch_offset: partition.fetch_offset,
            current_leader_epoch: epoch(partition.current_leader_epoch),
            last_fetched_epoch: epoch(partition.last_fetched_epoch),
            max_bytes: room.min(partition.partition_max_bytes.max(0) as usize),
            // A batch larger than every limit must still get through, or the consumer is stuck (KIP-74). Before that
            // each partition had a limit of its own, and consumers do not ask for them in turn.
            at_least_one: pass.bytes == 0 || (limits.version < RESPONSE_LIMIT_FROM && room > 0),
            isolation: limits.isolation,
        };
        let result = match at.and_then(|at| down_conversion::check(ctx, at, limits.version).map(|()| at)) {
            Ok(at) => {
                let fetched = ctx.state.replicas.fetched(at, read).await;
                fetched.map_err(|error| as_known_in(limits.version, error.error_code()))
            }
            Err(error) => Err(error),
        };
        match &result {
            Ok(fetched) => {
                pass.bytes += fetched.bytes();
                pass.urgent |= fetched.diverging.is_some();
            }
            Err(_) => pass.urgent = true,
        }
        pass.results.push(result);
    }
    pass
}

/// The code, or what an older client knows in its place: it looks for the leader again, and retries.
fn as_known_in(version: i16, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::KafkaStorageError | ErrorCode::OffsetNotAvailable if version < STORAGE_ERROR_FROM => {
            ErrorCode::NotLeaderOrFollower
        }
        code => code,
    }
}

/// An epoch from the wire, where -1 is "not told".
fn epoch(value: i32) -> Option<LeaderEpoch> {
    (value >= 0).then_some(LeaderEpoch(value))
}

fn respond(
    ctx: &Context,
    topics: Vec<(FetchableTopicResponse, Vec<Wanted>)>,
    pass: Pass,
    version: i16,
) -> FetchResponse {
    let image = ctx.state.metadata.load();
    let mut hints = LeaderHints::new(ctx, &image, version >= LEADER_HINTS_FROM);
    let mut results = pass.results.into_iter();
    let responses = topics
        .into_iter()
        .map(|(mut answer, wanted)| {
            let answered = wanted.into_iter().zip(&mut results);
            answer.partitions = answered.map(|(wanted, result)| partition_data(&wanted, result, &mut hints)).collect();
            answer
        })
        .collect();
    let node_endpoints = hints
        .endpoints()
        .filter(|_| version >= ENDPOINTS_FROM)
        .map(|e| NodeEndpoint { node_id: e.node.0, host: e.host, port: e.port, rack: e.rack })
        .collect();
    FetchResponse { responses, node_endpoints, ..Default::default() }
}

fn aborted_transaction(aborted: raftsman_log::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id.0, first_offset: aborted.first_offset }
}

fn partition_data(wanted: &Wanted, result: Result<Fetched, ErrorCode>, hints: &mut LeaderHints<'_>) -> PartitionData {
    let partition_index = wanted.partition.partition;
    match result {
        Ok(fetched) => PartitionData {
            partition_index,
            high_watermark: fetched.high_watermark,
            last_stable_offset: fetched.last_stable_offset,
            log_start_offset: fetched.log_start_offset,
            diverging_epoch: fetched.diverging.map_or_else(EpochEndOffset::default, |(epoch, end_offset)| {
                EpochEndOffset { epoch: epoch.0, end_offset }
            }),
            aborted_transactions: fetched.aborted.map(|aborted| aborted.into_iter().map(aborted_transaction).collect()),
            records: Some(Records::from(fetched.chunks)),
            ..Default::default()
        },
        Err(error) => {
            let leader = match (error, wanted.at) {
                (ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch, Ok(at)) => hints.leader_of(at),
                _ => None,
            };
            PartitionData {
                partition_index,
                error_code: error.code(),
                high_watermark: -1,
                last_stable_offset: -1,
                log_start_offset: -1,
                current_leader: leader.map_or_else(LeaderIdAndEpoch::default, |(leader, epoch)| LeaderIdAndEpoch {
                    leader_id: leader.0,
                    leader_epoch: epoch.0,
                }),
                // Some clients take a missing record set for a broken answer.
                records: Some(Records::default()),
                ..Default::default()
            }
        }
    }
}
