use raftsman_broker::replica::DeleteRecordsError;
use raftsman_broker::replica::stepped::DeletionWait;
use raftsman_metadata::MetadataImage;
use raftsman_types::{BrokerEpoch, ErrorCode, Offset, TopicIdPartition};

use super::BrokerProcess;
use crate::simulation::event::{ClientResponse, ConnectionId, Frame};
use crate::simulation::fabric::Fabric;

/// Requests that wait until deleted records are gone everywhere, and what there is to tell whoever checks them.
#[derive(Default)]
pub(super) struct Deletions {
    waiting: Vec<PendingDeletion>,
    news: Vec<DeletionNews>,
}

struct PendingDeletion {
    connection: ConnectionId,
    correlation: u64,
    at: TopicIdPartition,
    wait: DeletionWait,
    /// Who was live when it began.
    live: Vec<LiveReplica>,
}

/// A broker with a replica, and the epoch it is live in.
type LiveReplica = (i32, BrokerEpoch);

/// What a leader did or said about deleted records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::simulation) enum DeletionNews {
    /// It has moved its log's start up to this offset, or found it there.
    Begun { at: TopicIdPartition, before: Offset },
    /// It says that nothing below is left on these brokers, which were live all the time.
    Done { at: TopicIdPartition, low_watermark: Offset, live: Vec<i32> },
}

impl Deletions {
    /// Nobody waits for answers on this connection any more.
    pub fn closed(&mut self, connection: ConnectionId) {
        self.waiting.retain(|pending| pending.connection != connection);
    }
}

impl BrokerProcess {
    /// What became known of deletions since this was asked last.
    pub fn take_deletion_news(&mut self) -> Vec<DeletionNews> {
        std::mem::take(&mut self.deletions.news)
    }

    /// Deletes records as a client asks. The answer, unless it has to wait for others.
    pub(super) fn delete_records(
        &mut self,
        connection: ConnectionId,
        correlation: u64,
        at: TopicIdPartition,
        offset: Offset,
    ) -> Option<ClientResponse> {
        match self.begin_deletion(at, offset) {
            Ok(wait) => {
                let live = live_replicas(&self.published, at);
                self.deletions.waiting.push(PendingDeletion { connection, correlation, at, wait, live });
                None
            }
            Err(error) => Some(ClientResponse::RecordsDeleted(Err(error))),
        }
    }

    fn begin_deletion(&mut self, at: TopicIdPartition, offset: Offset) -> Result<DeletionWait, ErrorCode> {
        let code = |error: DeleteRecordsError| error.error_code();
        let high_watermark = self.replicas.inspect(at).map_or(0, |replica| replica.high_watermark);
        let deleted = self.replicas.manager().delete_records(at, offset);
        match &deleted {
            Ok(deleted) => self.deletions.news.push(DeletionNews::Begun { at, before: deleted.before }),
            // The disk failed after the start had moved, or before.
            Err(DeleteRecordsError::Storage) => {
                let before = if offset < 0 { high_watermark } else { offset.min(high_watermark) };
                self.deletions.news.push(DeletionNews::Begun { at, before });
            }
            Err(_) => {}
        }
        self.replicas.wait_for_deletion(at, deleted.map_err(code)?).map_err(code)
    }

    pub(super) fn answer_deletions(&mut self, fabric: &mut Fabric) {
        let (me, image) = (self.me(), &self.published);
        let Deletions { waiting, news } = &mut self.deletions;
        waiting.retain_mut(|pending| {
            let Some(result) = pending.wait.state() else { return true };
            if let Ok(low_watermark) = result {
                // A broker that has just returned may have what was deleted in its absence, and is not counted on.
                let now = live_replicas(image, pending.at);
                let live = pending.live.iter().filter(|replica| now.contains(replica)).map(|(id, _)| *id).collect();
                news.push(DeletionNews::Done { at: pending.at, low_watermark, live });
            }
            let response = ClientResponse::RecordsDeleted(result.map_err(|error| error.error_code()));
            let correlation = pending.correlation;
            fabric.send(pending.connection, me, Frame::Response { correlation, response });
            false
        });
    }
}

/// The live replicas of a partition, as the leader's metadata shows them.
fn live_replicas(image: &MetadataImage, at: TopicIdPartition) -> Vec<LiveReplica> {
    let replicas = image.partition(at).map(|state| state.replicas.clone()).unwrap_or_default();
    let live = replicas.into_iter().filter(|id| image.is_active(*id));
    live.filter_map(|id| Some((id.0, image.broker_epoch(id)?))).collect()
}
