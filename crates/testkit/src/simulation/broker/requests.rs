use std::sync::Arc;

use raftsman_broker::replica::stepped::{CommitState, CommitWait};
use raftsman_broker::replica::{Acks, AppendOrigin, Appended, FetchRead, Isolation};
use raftsman_controller::decide::{Reply, Request};
use raftsman_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

use super::BrokerProcess;
use super::asks::{AskFailure, Purpose};
use crate::simulation::event::{ClientRequest, ClientResponse, ClusterView, ConnectionId, FetchedData, Frame};
use crate::simulation::fabric::Fabric;

const FETCH_BYTES: usize = 4000;
/// In ListOffsets it stands for the log's start.
const EARLIEST: i64 = -2;
const ADMINISTER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// A produce request that waits for its commit.
pub(super) struct PendingProduce {
    pub connection: ConnectionId,
    correlation: u64,
    appended: Appended,
    wait: CommitWait,
}

impl BrokerProcess {
    /// A client's request came: what the handlers of the API do, over the same replicas.
    pub(super) fn client_asks(
        &mut self,
        connection: ConnectionId,
        correlation: u64,
        request: ClientRequest,
        fabric: &mut Fabric,
    ) {
        let node = self.setup.node;
        let response = match request {
            ClientRequest::Metadata => ClientResponse::Metadata(Box::new(self.cluster_view())),
            ClientRequest::Fetch { at, offset, leader_epoch } => {
                ClientResponse::Fetched(self.fetch(at, offset, leader_epoch))
            }
            ClientRequest::Produce { at, acks, batch } => {
                let sequence = raftsman_records::BatchHeader::parse(&batch).map_or(-1, |header| header.base_sequence);
                let appended = self.produce(connection, correlation, at, acks, batch);
                let end = self.replicas.inspect(at).map(|r| (r.leader_epoch, r.high_watermark, r.log_end_offset));
                fabric.trace.say(fabric.now(), || {
                    format!(
                        "broker {node} appends {correlation} (sequence {sequence}) to {at}: {appended:?}, now {end:?}"
                    )
                });
                match appended {
                    Some(response) => response,
                    None => return,
                }
            }
            ClientRequest::DeleteRecords { at, offset } => {
                match self.delete_records(connection, correlation, at, offset) {
                    Some(response) => response,
                    None => return,
                }
            }
            ClientRequest::LogStart { at } => {
                let listed = self.replicas.manager().list_offset(at, EARLIEST, Isolation::ReadUncommitted, None);
                ClientResponse::LogStart(listed.map(|listed| listed.offset).map_err(|error| error.error_code()))
            }
            ClientRequest::FindCoordinator(group) => ClientResponse::Coordinator(self.coordinator_of(&group)),
            ClientRequest::Group(request) => return self.group_asks(connection, correlation, *request, fabric),
            ClientRequest::InitProducerId => {
                let request = Request::AllocateProducerIds(self.sender());
                let purpose = Purpose::Forwarded { connection, correlation };
                return self.ask(request, purpose, (ADMINISTER_TIMEOUT, true), fabric);
            }
            ClientRequest::Administer(request) => {
                let purpose = Purpose::Forwarded { connection, correlation };
                let request = self.in_own_name(*request);
                return self.ask(request, purpose, (ADMINISTER_TIMEOUT, false), fabric);
            }
        };
        fabric.send(connection, self.me(), Frame::Response { correlation, response });
    }

    /// A request for the controller goes out under this broker's epoch.
    fn in_own_name(&self, mut request: Request) -> Request {
        let own = self.sender();
        match &mut request {
            Request::CreateTopics(request) => request.sender = own,
            Request::DeleteTopics(request) => request.sender = own,
            Request::CreatePartitions(request) => request.sender = own,
            Request::AlterConfigs(request) => request.sender = own,
            _ => {}
        }
        request
    }

    fn cluster_view(&self) -> ClusterView {
        let image = &self.published;
        let partitions = |topic: &raftsman_metadata::TopicImage| {
            topic.partitions.iter().map(|(index, state)| (*index, state.leader, state.leader_epoch)).collect()
        };
        ClusterView {
            brokers: image.brokers.keys().map(|id| id.0).collect(),
            topics: image.topics.values().map(|t| (Arc::clone(&t.name), t.id, partitions(t))).collect(),
        }
    }

    fn fetch(
        &self,
        at: TopicIdPartition,
        offset: Offset,
        leader_epoch: Option<LeaderEpoch>,
    ) -> Result<FetchedData, ErrorCode> {
        let read = FetchRead {
            fetch_offset: offset,
            current_leader_epoch: leader_epoch,
            last_fetched_epoch: None,
            max_bytes: FETCH_BYTES,
            at_least_one: true,
            isolation: Isolation::ReadUncommitted,
        };
        let fetched = self.replicas.manager().fetch(at, read).map_err(|error| error.error_code())?;
        Ok(FetchedData { chunks: fetched.chunks })
    }

    fn produce(
        &mut self,
        connection: ConnectionId,
        correlation: u64,
        at: TopicIdPartition,
        acks: Acks,
        batch: bytes::Bytes,
    ) -> Option<ClientResponse> {
        if self.published.partition(at).is_none() {
            return Some(ClientResponse::Produced(Err(ErrorCode::UnknownTopicOrPartition)));
        }
        let appended = match self.replicas.manager().append(at, batch, acks, AppendOrigin::Client) {
            Ok(appended) => appended,
            Err(_) if acks == Acks::None => return None,
            Err(error) => return Some(ClientResponse::Produced(Err(error.error_code()))),
        };
        match acks {
            Acks::None => None,
            Acks::Leader => Some(produced(appended)),
            Acks::All => match self.replicas.wait_for_commit(at, appended.leader_epoch, appended.last_offset) {
                Ok(wait) => {
                    self.produces.push(PendingProduce { connection, correlation, appended, wait });
                    None
                }
                Err(error) => Some(ClientResponse::Produced(Err(error.error_code()))),
            },
        }
    }

    pub(super) fn answer_produces(&mut self, fabric: &mut Fabric) {
        let me = self.me();
        self.produces.retain_mut(|produce| {
            let response = match produce.wait.state() {
                CommitState::Waiting => return true,
                CommitState::Committed => produced(produce.appended),
                CommitState::Failed(error) => ClientResponse::Produced(Err(error.error_code())),
            };
            let correlation = produce.correlation;
            fabric.send(produce.connection, me, Frame::Response { correlation, response });
            false
        });
    }

    /// The controller's answer to what was forwarded.
    pub(super) fn forwarded(
        &mut self,
        connection: ConnectionId,
        correlation: u64,
        answer: Result<Reply, AskFailure>,
        fabric: &mut Fabric,
    ) {
        let response = match answer {
            Ok(Reply::AllocateProducerIds(block)) => {
                let id = block.map(|block| block.first_producer_id).map_err(|error| error.code);
                ClientResponse::ProducerId(id)
            }
            Ok(reply) => ClientResponse::Administered(Ok(reply)),
            Err(AskFailure::NotTaken) => ClientResponse::Administered(Err(ErrorCode::NotController)),
            Err(AskFailure::Unknown) => ClientResponse::Administered(Err(ErrorCode::RequestTimedOut)),
        };
        fabric.send(connection, self.me(), Frame::Response { correlation, response });
    }
}

fn produced(appended: Appended) -> ClientResponse {
    ClientResponse::Produced(Ok((appended.base_offset, appended.last_offset)))
}
