//! Every API this broker serves, and the way from a frame to its handler.

use std::sync::Arc;

use bytes::Bytes;
use raftsman_protocol::{ApiKey, Frame, Message, Reader, Request, RequestHeader, encode_response};

use super::{
    BrokerState, Close, Context, alter_configs, api_versions, create_partitions, create_topics, delete_groups,
    delete_records, delete_topics, describe_cluster, describe_configs, describe_groups, describe_log_dirs,
    describe_topic_partitions, fetch, find_coordinator, heartbeat, incremental_alter_configs, init_producer_id,
    join_group, leave_group, list_groups, list_offsets, metadata, offset_commit, offset_fetch, offset_for_leader_epoch,
    produce, sync_group, waiting_room,
};
use crate::net::{Answer, Dispatched, Dispatcher, Peer};

/// One API as this broker serves it.
pub struct Api {
    /// Which.
    pub key: ApiKey,
    /// The lowest version served.
    pub min_version: i16,
    /// The highest version served.
    pub max_version: i16,
    /// Whether a request may begin while earlier ones of its kind on the connection are not complete.
    overlaps: bool,
    begin: fn(Arc<Context>, Call) -> Answer,
}

/// A request's bytes behind its header, and how to answer it.
pub(super) struct Call {
    body: Reader,
    pub(super) version: i16,
    correlation_id: i32,
}

/// One line of the table: decodes the request, awaits its handler, encodes the response. With `overlapping` requests
/// of that kind overlap on a connection, and an answer may be none.
macro_rules! api {
    ($key:path, $versions:expr, $handle:path) => {
        api!(@ $key, $versions, false, |context, call| {
            let request = call.decode()?;
            let response = $handle(&context, request, call.version).await?;
            call.respond($key, &response).map(Some)
        })
    };
    (overlapping $key:path, $versions:expr, $handle:path) => {
        api!(@ $key, $versions, true, |context, call| {
            let request = call.decode()?;
            match $handle(&context, request, call.version).await? {
                Some(response) => call.respond($key, &response).map(Some),
                None => Ok(None),
            }
        })
    };
    (@ $key:path, $versions:expr, $overlaps:expr, |$context:ident, $call:ident| $body:block) => {
        Api {
            key: $key,
            min_version: *$versions.start(),
            max_version: *$versions.end(),
            overlaps: $overlaps,
            begin: |$context, mut $call| Box::pin(async move { $body }),
        }
    };
}

/// Every API this broker serves. What ApiVersions advertises is computed from it.
pub static APIS: &[Api] = &[
    api!(overlapping ApiKey::Produce, 0..=13, produce::handle),
    api!(ApiKey::Fetch, 0..=18, fetch::handle),
    api!(ApiKey::ListOffsets, 0..=11, list_offsets::handle),
    api!(ApiKey::Metadata, 0..=13, metadata::handle),
    api!(ApiKey::OffsetCommit, 0..=10, offset_commit::handle),
    api!(ApiKey::OffsetFetch, 0..=10, offset_fetch::handle),
    api!(ApiKey::FindCoordinator, 0..=6, find_coordinator::handle),
    api!(ApiKey::JoinGroup, 0..=9, join_group::handle),
    api!(ApiKey::Heartbeat, 0..=4, heartbeat::handle),
    api!(ApiKey::LeaveGroup, 0..=5, leave_group::handle),
    api!(ApiKey::SyncGroup, 0..=5, sync_group::handle),
    api!(ApiKey::DescribeGroups, 0..=6, describe_groups::handle),
    api!(ApiKey::ListGroups, 0..=5, list_groups::handle),
    api!(ApiKey::ApiVersions, 0..=5, api_versions::handle),
    api!(ApiKey::CreateTopics, 0..=7, create_topics::handle),
    api!(ApiKey::DeleteTopics, 0..=6, delete_topics::handle),
    api!(ApiKey::DeleteRecords, 0..=2, delete_records::handle),
    api!(ApiKey::InitProducerId, 0..=5, init_producer_id::handle),
    api!(ApiKey::OffsetForLeaderEpoch, 0..=4, offset_for_leader_epoch::handle),
    api!(ApiKey::DescribeConfigs, 0..=4, describe_configs::handle),
    api!(ApiKey::AlterConfigs, 0..=2, alter_configs::handle),
    api!(ApiKey::DescribeLogDirs, 0..=5, describe_log_dirs::handle),
    api!(ApiKey::CreatePartitions, 0..=3, create_partitions::handle),
    api!(ApiKey::DeleteGroups, 0..=3, delete_groups::handle),
    api!(ApiKey::IncrementalAlterConfigs, 0..=1, incremental_alter_configs::handle),
    api!(ApiKey::DescribeCluster, 0..=2, describe_cluster::handle),
    api!(ApiKey::DescribeTopicPartitions, 0..=0, describe_topic_partitions::handle),
];

impl Api {
    fn serves(&self, version: i16) -> bool {
        (self.min_version..=self.max_version).contains(&version)
    }
}

impl Call {
    pub(super) fn decode<R: Request>(&mut self) -> Result<R, Close> {
        // Bytes behind the request are ignored, as Kafka does, and let go of, so that the request owns its frame alone.
        let mut body = std::mem::replace(&mut self.body, Reader::new(Bytes::new()));
        R::decode(&mut body, self.version)
            .map_err(|e| Close::because(format!("a malformed {} request of version {}: {e}", R::KEY, self.version)))
    }

    pub(super) fn respond<M: Message>(&self, key: ApiKey, response: &M) -> Result<Frame, Close> {
        encode_response(key, self.version, self.correlation_id, response)
            .map_err(|e| Close::because(format!("the {key} answer cannot be written in version {}: {e}", self.version)))
    }
}

/// Finds the API of each request and begins it.
pub struct Registry {
    state: Arc<BrokerState>,
    by_key: Vec<Option<&'static Api>>,
}

impl Registry {
    /// The registry of a broker.
    pub fn new(state: Arc<BrokerState>) -> Registry {
        let mut by_key = vec![None; ApiKey::ALL.len()];
        for api in APIS {
            by_key[api.key.code() as usize] = Some(api);
        }
        Registry { state, by_key }
    }

    fn api(&self, code: i16) -> Option<&'static Api> {
        usize::try_from(code).ok().and_then(|index| *self.by_key.get(index)?)
    }
}

impl Dispatcher for Registry {
    fn dispatch(&self, peer: &Arc<Peer>, frame: Bytes) -> Result<Dispatched, Close> {
        let mut body = Reader::new(frame);
        let header =
            RequestHeader::decode(&mut body).map_err(|e| Close::because(format!("a malformed request header: {e}")))?;
        let version = header.api_version;
        let Some(api) = self.api(header.api_key) else {
            return Err(Close::because(match ApiKey::from_code(header.api_key) {
                Some(key) => format!("{key} is not served"),
                None => format!("no API has the key {}; is this a client of Kafka's protocol?", header.api_key),
            }));
        };
        if !api.serves(version) {
            return refuse_version(api, &header);
        }
        let context = Arc::new(Context {
            listener: peer.listener.clone(),
            principal: peer.principal.clone(),
            client_id: header.client_id.map(|id| id.detached()),
            client_address: peer.address,
            connected_at: peer.connected_at,
            state: self.state.clone(),
        });
        let mut call = Call { body, version, correlation_id: header.correlation_id };
        if !self.state.identity.is_admitted() && api.key != ApiKey::ApiVersions {
            return waiting_room::refuse(api.key, &mut call);
        }
        Ok(Dispatched { answer: (api.begin)(context, call), overlaps: api.overlaps })
    }
}

/// A version out of range ends the connection; but a client that asks for versions is told in the oldest (KIP-511).
fn refuse_version(api: &Api, header: &RequestHeader) -> Result<Dispatched, Close> {
    let (key, version) = (api.key, header.api_version);
    if key != ApiKey::ApiVersions {
        let (min, max) = (api.min_version, api.max_version);
        return Err(Close::because(format!("{key} version {version} is not served, {min} to {max} are")));
    }
    let correlation_id = header.correlation_id;
    let answer = async move {
        let frame = encode_response(ApiKey::ApiVersions, 0, correlation_id, &api_versions::unsupported_version());
        frame.map(Some).map_err(|e| Close::because(e.to_string()))
    };
    Ok(Dispatched { answer: Box::pin(answer), overlaps: false })
}
