//! How the replicas' wishes for their ISR reach the controller.

use std::time::Duration;

use raftsman_rpc::{ConvertError, controller as pb};
use raftsman_types::{BrokerId, DirectoryId, ErrorCode, TopicIdPartition};

use super::{ControllerClient, ControllerError};
use crate::replica::{BoxFuture, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult};

/// What a leader waits for the controller before it looks at its partition again.
const TIMEOUT: Duration = Duration::from_secs(4);

impl ControllerLink for ControllerClient {
    fn alter_partition(
        &self,
        changes: Vec<IsrChange>,
    ) -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>> {
        Box::pin(async move {
            let request = request(self.sender(), &changes);
            let reply = self.send_alter_partition(request, TIMEOUT).await.map_err(|error| match error {
                ControllerError::Definite(why) => IsrChangeFailure::NotTaken(why),
                ControllerError::Refused(code) => IsrChangeFailure::NotTaken(code.to_string()),
                ControllerError::Unknown(why) => IsrChangeFailure::Unknown(why),
            })?;
            results(reply)
        })
    }

    fn report_unreachable(&self, broker: BrokerId) {
        self.report_peer(broker);
    }

    fn directory_offline(&self, directory: DirectoryId) {
        self.identity().directory_offline(directory);
    }

    fn replica_is_in(&self, at: TopicIdPartition, actual: DirectoryId, recorded: DirectoryId) {
        self.unknown_places().note(at, actual, recorded);
    }
}

fn request(sender: pb::Sender, changes: &[IsrChange]) -> pb::AlterPartitionRequest {
    let member = |(id, epoch): &(BrokerId, raftsman_types::BrokerEpoch)| pb::IsrMember {
        broker_id: id.0,
        broker_epoch: epoch.0,
    };
    let partitions = changes.iter().map(|change| pb::PartitionIsr {
        at: Some(change.at.into()),
        leader_epoch: change.leader_epoch.0,
        partition_epoch: change.partition_epoch.0,
        new_isr: change.new_isr.iter().map(member).collect(),
        recovered: change.recovered,
    });
    pb::AlterPartitionRequest { sender: Some(sender), partitions: partitions.collect() }
}

fn results(reply: pb::AlterPartitionReply) -> Result<Vec<IsrChangeResult>, IsrChangeFailure> {
    if let Err(error) = super::controller_client::check(reply.error_code) {
        return Err(IsrChangeFailure::NotTaken(error.to_string()));
    }
    // The controller has decided; if its words cannot be read, the metadata will tell.
    let unreadable = |error: ConvertError| IsrChangeFailure::Unknown(format!("its answer is malformed: {error}"));
    reply.results.into_iter().map(result).collect::<Result<_, _>>().map_err(unreadable)
}

fn result(result: pb::PartitionIsrResult) -> Result<IsrChangeResult, ConvertError> {
    let at = result.at.as_ref().ok_or(ConvertError::Missing("results.at"))?;
    let code = i16::try_from(result.error_code).unwrap_or(ErrorCode::UnknownServerError.code());
    Ok(IsrChangeResult { at: TopicIdPartition::try_from(at)?, error: ErrorCode::from_code(code) })
}
