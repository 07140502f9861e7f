//! Every message that nodes send each other, and what becomes of it on the way in.

use bytes::Bytes;
use prost::Message;
use raftsman_controller::hostile;
use raftsman_metadata::{Listener, MetadataEntry, MetadataImage, MetadataRecord, PartitionChange};
use raftsman_rpc::{controller, metadata, partition_from_pb, partition_to_pb, raft, replica};

use crate::input::Input;
use crate::memory::measured;

/// What decoding may hold for each byte. protobuf's decoder is not ours: an empty part takes two bytes on the wire and
/// a whole struct in memory, and its list may be there twice while it grows.
const FACTOR: usize = 512;
const BESIDE: usize = 16 << 10;

fn within<T>(bytes: &Bytes, decode: impl FnOnce() -> T) -> T {
    let (decoded, peak) = measured(decode);
    assert!(peak <= bytes.len() * FACTOR + BESIDE, "{peak} bytes were held for an input of {}", bytes.len());
    decoded
}

fn decode<M: Message + Default + PartialEq>(bytes: &Bytes) -> Option<M> {
    let message = within(bytes, || M::decode(bytes.clone())).ok()?;
    let again = M::decode(Bytes::from(message.encode_to_vec())).expect("our own encoding is read");
    // Not compared by value: a NaN would differ from itself.
    assert_eq!(again.encoded_len(), message.encoded_len(), "a message comes back");
    Some(message)
}

macro_rules! messages {
    ($($package:ident::$message:ident,)*) => {
        const MESSAGES: &[fn(&Bytes)] = &[$(|bytes| { let _ = decode::<$package::$message>(bytes); }),*];
    };
}
messages![
    metadata::Batch,
    metadata::Record,
    metadata::Activate,
    metadata::FormCluster,
    metadata::SetFeatureLevel,
    metadata::Listener,
    metadata::SupportedFeature,
    metadata::BrokerRegistration,
    metadata::BrokerReference,
    metadata::CreateTopic,
    metadata::DeleteTopic,
    metadata::TopicIdPartition,
    metadata::Partition,
    metadata::CreatePartition,
    metadata::BrokerList,
    metadata::DirectoryList,
    metadata::PartitionChange,
    metadata::SetConfig,
    metadata::ProducerIdBlock,
    controller::Sender,
    controller::RegisterBrokerRequest,
    controller::RegisterBrokerReply,
    controller::BrokerHeartbeat,
    controller::BrokerHeartbeatReply,
    controller::WatchMetadataRequest,
    controller::MetadataUpdate,
    controller::SnapshotPart,
    controller::AlterPartitionRequest,
    controller::PartitionIsr,
    controller::IsrMember,
    controller::AlterPartitionReply,
    controller::PartitionIsrResult,
    controller::AllocateProducerIdsRequest,
    controller::AllocateProducerIdsReply,
    controller::ReportUnreachableRequest,
    controller::ReportUnreachableReply,
    controller::AdministerRequest,
    controller::AdministerReply,
    controller::OperationResult,
    controller::CreateTopics,
    controller::NewTopic,
    controller::ReplicaAssignment,
    controller::ConfigEntry,
    controller::DeleteTopics,
    controller::TopicReference,
    controller::AlterConfigs,
    controller::ResourceConfigs,
    controller::ConfigOperation,
    controller::CreatePartitions,
    controller::MorePartitions,
    controller::DescribeQuorumRequest,
    controller::DescribeQuorumReply,
    controller::QuorumMember,
    raft::Envelope,
    raft::LogId,
    raft::BallotVote,
    raft::Node,
    raft::MemberNode,
    raft::VoterSet,
    raft::Membership,
    raft::Blank,
    raft::Entry,
    raft::SnapshotMeta,
    raft::AppendEntriesRequest,
    raft::AppendEntriesReply,
    raft::VoteRequest,
    raft::VoteReply,
    raft::InstallSnapshotRequest,
    raft::InstallSnapshotReply,
    raft::StandRequest,
    raft::Standing,
    raft::LogPositionRequest,
    raft::LogPositionReply,
    raft::DescribeMemberRequest,
    raft::Member,
    raft::PromiseRequest,
    raft::PromiseReply,
    raft::JoinRequest,
    raft::JoinReply,
    replica::FollowerFrame,
    replica::Hello,
    replica::Subscribe,
    replica::Allowance,
    replica::Ack,
    replica::LeaderFrame,
    replica::Data,
    replica::SubscriptionState,
    replica::Diverging,
    replica::Refused,
    replica::Watermarks,
];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let chosen = input.below(MESSAGES.len() + 14);
    let bytes = Bytes::copy_from_slice(input.all());
    match chosen.checked_sub(MESSAGES.len()) {
        None => MESSAGES[chosen](&bytes),
        Some(0) => batch(&bytes),
        Some(1) => partition(&bytes),
        Some(2) => small_ones(&bytes),
        Some(kind @ 3..9) => within(&bytes, || hostile::raft_message(kind as u8 - 3, &bytes)),
        Some(kind) => within(&bytes, || hostile::broker_message(kind as u8 - 9, &bytes)),
    }
}

/// An entry of the metadata log, as far as the image.
fn batch(bytes: &Bytes) {
    let Ok(batch) = metadata::Batch::from_bytes(bytes.clone()) else { return };
    let Ok(entry) = MetadataEntry::try_from(&batch) else { return };
    let again = metadata::Batch::from(&entry);
    assert_eq!(MetadataEntry::try_from(&again).as_ref(), Ok(&entry), "an entry comes back");
    // Replay is total: it takes whatever was written, in whatever order.
    let mut image = MetadataImage::default();
    image.replay(&entry);
    image.replay(&MetadataEntry { base_version: image.version, records: entry.records });
    let records: Vec<MetadataRecord> = image.to_records().collect();
    drop(MetadataImage::from_snapshot(image.version, records));
}

fn partition(bytes: &Bytes) {
    let Some(message) = decode::<metadata::Partition>(bytes) else { return };
    let Ok(partition) = partition_from_pb(&message) else { return };
    assert_eq!(partition_from_pb(&partition_to_pb(&partition)), Ok(partition), "a partition comes back");
}

fn small_ones(bytes: &Bytes) {
    if let Some(Ok(change)) = decode::<metadata::PartitionChange>(bytes).map(|m| PartitionChange::try_from(&m)) {
        assert_eq!(
            PartitionChange::try_from(&metadata::PartitionChange::from(&change)),
            Ok(change),
            "a change comes back"
        );
    }
    if let Some(message) = decode::<metadata::Listener>(bytes) {
        // A port out of range is refused.
        drop(Listener::try_from(&message));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let records = [
        MetadataRecord::FormCluster { cluster_id: "cluster".into() },
        MetadataRecord::SetFeatureLevel { name: "metadata.version".into(), level: 1 },
        MetadataRecord::CreateTopic {
            name: "topic".into(),
            topic_id: raftsman_types::TopicId(raftsman_types::Uuid([3; 16])),
        },
        MetadataRecord::SetConfig {
            resource: raftsman_metadata::ConfigResource::topic("topic"),
            key: "retention.ms".into(),
            value: Some("1".into()),
        },
    ];
    let entry = MetadataEntry { base_version: 0, records: records.to_vec() };
    let batch = metadata::Batch::from(&entry).to_bytes();
    let mut all = vec![[&[MESSAGES.len() as u8][..], &batch].concat()];
    // Fields 1 to 3 as numbers, text and parts: enough for the fuzzer to find the rest.
    let fields = [&[8u8, 1, 16, 2][..], &[10, 2, b'a', b'b', 18, 1, b'c'], &[10, 2, 8, 1, 18, 0, 26, 0], &[]];
    for chosen in 0..MESSAGES.len() + 14 {
        all.extend(fields.iter().map(|bytes| [&[chosen as u8][..], bytes].concat()));
    }
    all
}
