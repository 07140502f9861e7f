use raftsman_metadata::PartitionImage;
use raftsman_rpc::{ConvertError, controller as pb};
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicIdPartition};

use super::ControllerError;

/// A leader's wish to change its partition's ISR (AlterPartition, KIP-497 and KIP-903).
#[derive(Debug, Clone, PartialEq)]
pub struct IsrProposal {
    /// Which partition.
    pub at: TopicIdPartition,
    /// The epoch in which this broker leads it.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch the wish was made on.
    pub partition_epoch: PartitionEpoch,
    /// The new in-sync replicas with the broker epoch each was seen in.
    pub new_isr: Vec<(BrokerId, BrokerEpoch)>,
    /// Whether the leader has recovered from an unclean election.
    pub recovered: bool,
}

/// The controller's word on one proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct IsrOutcome {
    /// Which partition.
    pub at: TopicIdPartition,
    /// `None` if the ISR is now as proposed.
    pub error: ErrorCode,
    /// The partition as it is now, where it exists.
    pub state: Option<PartitionImage>,
}

pub(super) fn request(sender: pb::Sender, proposals: &[IsrProposal]) -> pb::AlterPartitionRequest {
    let partitions = proposals
        .iter()
        .map(|proposal| pb::PartitionIsr {
            at: Some(proposal.at.into()),
            leader_epoch: proposal.leader_epoch.0,
            partition_epoch: proposal.partition_epoch.0,
            new_isr: proposal
                .new_isr
                .iter()
                .map(|(id, epoch)| pb::IsrMember { broker_id: id.0, broker_epoch: epoch.0 })
                .collect(),
            recovered: proposal.recovered,
        })
        .collect();
    pb::AlterPartitionRequest { sender: Some(sender), partitions }
}

pub(super) fn outcomes(reply: pb::AlterPartitionReply) -> Result<Vec<IsrOutcome>, ControllerError> {
    super::controller_client::check(reply.error_code)?;
    reply.results.into_iter().map(outcome).collect::<Result<_, _>>().map_err(|e: ConvertError| {
        // The controller has decided; only its words cannot be read.
        ControllerError::Unknown(format!("its AlterPartition answer is malformed: {e}"))
    })
}

fn outcome(result: pb::PartitionIsrResult) -> Result<IsrOutcome, ConvertError> {
    let at = result.at.as_ref().ok_or(ConvertError::Missing("results.at"))?;
    let code = i16::try_from(result.error_code).unwrap_or(ErrorCode::UnknownServerError.code());
    Ok(IsrOutcome {
        at: TopicIdPartition::try_from(at)?,
        error: ErrorCode::from_code(code),
        state: result.state.as_ref().map(raftsman_rpc::partition_from_pb).transpose()?,
    })
}
