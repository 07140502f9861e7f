//! New partitions: by hand or placed, and the state they start in.

use std::sync::Arc;

use raftsman_metadata::{MetadataImage, MetadataRecord, PartitionImage, RecoveryState};
use raftsman_types::{BrokerId, DirectoryId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicId};

use super::brokers::refusal;
use super::{RequestError, outcome::Draft};

/// How many partitions one request may create: Kafka's limit.
pub(super) const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

/// The most replicas a partition can have; what Kafka's 16-bit field holds.
const MAX_REPLICAS: usize = 32_767;

/// Checks the replicas an administrator chose for one partition, in Kafka's words.
pub(super) fn check_by_hand(
    image: &MetadataImage,
    partition: i32,
    replicas: &[BrokerId],
    replication_factor: Option<usize>,
) -> Result<(), RequestError> {
    let invalid = |message: String| Err(refusal(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return invalid("The manual partition assignment includes an empty replica list.".to_owned());
    }
    if replicas.len() > MAX_REPLICAS {
        return invalid(format!("The manual partition assignment of partition {partition} has too many replicas."));
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return invalid(format!("The manual partition assignment includes the broker {} more than once.", pair[0]));
    }
    if let Some(unknown) = replicas.iter().find(|id| image.broker(**id).is_none()) {
        return invalid(format!(
            "The manual partition assignment includes broker {unknown}, but no such broker is registered."
        ));
    }
    if let Some(expected) = replication_factor.filter(|expected| *expected != replicas.len()) {
        return invalid(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with previous \
             partitions, which have {expected} replica(s).",
            replicas.len()
        ));
    }
    if !replicas.iter().any(|id| image.is_active(*id)) {
        return invalid(format!(
            "All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled shutdown."
        ));
    }
    Ok(())
}

/// Creates a partition: led by the first of its replicas that can lead, all that can being in sync from the start.
/// At least one has to be able to.
pub(super) fn create(draft: &mut Draft, topic_id: TopicId, topic: &str, partition: i32, replicas: Vec<BrokerId>) {
    let image = draft.image();
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|id| image.is_active(*id)).collect();
    let directory = |id: &BrokerId| match image.broker(*id).map(|broker| broker.directories.as_slice()) {
        Some([only]) => *only,
        _ => DirectoryId::ZERO,
    };
    let state = PartitionImage {
        directories: replicas.iter().map(directory).collect(),
        adding_replicas: Vec::new(),
        removing_replicas: Vec::new(),
        elr: Vec::new(),
        last_known_leader: None,
        leader: isr.first().copied(),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        recovery_state: RecoveryState::Recovered,
        durability: image.durability_of(topic, &replicas),
        isr,
        replicas,
    };
    draft.push(MetadataRecord::CreatePartition { topic_id, partition, state: Arc::new(state) });
    draft.may_split();
}
