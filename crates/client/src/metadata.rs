use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_protocol::messages::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use raftsman_types::{ErrorCode, TopicId};

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Its `node.id`.
    pub node_id: i32,
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: u16,
    /// Its rack.
    pub rack: Option<String>,
}

/// One partition as a broker described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its number, from 0.
    pub index: i32,
    /// `None`, or `LEADER_NOT_AVAILABLE` and the like.
    pub error: ErrorCode,
    /// Its leader, if it has one.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 where the server does not say.
    pub leader_epoch: i32,
    /// All its replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The replicas in sync.
    pub isr: Vec<i32>,
    /// The replicas that are not there.
    pub offline: Vec<i32>,
}

/// One topic as a broker described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// `None`, or why there is nothing more.
    pub error: ErrorCode,
    /// Its id; zero where the server does not say.
    pub id: TopicId,
    /// Whether the brokers keep their own state in it.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionMetadata>,
}

/// What is known of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Rises with each answer taken in.
    pub version: u64,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The node that clients may take for the controller.
    pub controller_id: Option<i32>,
    /// The live brokers.
    pub brokers: BTreeMap<i32, BrokerAddress>,
    /// The topics asked for so far.
    pub topics: BTreeMap<Arc<str>, TopicMetadata>,
}

impl Metadata {
    /// A partition of a topic, if known.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        self.topics.get(topic)?.partitions.iter().find(|p| p.index == partition)
    }

    /// The leader of a partition, if known.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.partition(topic, partition)?.leader
    }

    /// Takes an answer in. A broker that lags may name an older leader than the one known: the higher epoch stays.
    pub(crate) fn merge(&self, answer: &MetadataResponse) -> Metadata {
        let brokers: BTreeMap<i32, BrokerAddress> = answer
            .brokers
            .iter()
            .filter_map(|b| {
                let (host, rack) = (b.host.to_string(), b.rack.as_ref().map(ToString::to_string));
                let port = u16::try_from(b.port).ok()?;
                Some((b.node_id, BrokerAddress { node_id: b.node_id, host, port, rack }))
            })
            .collect();
        let mut topics = self.topics.clone();
        for topic in &answer.topics {
            let Some(name) = topic.name.as_ref() else { continue };
            let name: Arc<str> = Arc::from(name.as_str());
            let merged = merge_topic(topics.get(&name), topic);
            topics.insert(name, merged);
        }
        Metadata {
            version: self.version + 1,
            cluster_id: answer.cluster_id.as_ref().map(ToString::to_string).or_else(|| self.cluster_id.clone()),
            controller_id: (answer.controller_id >= 0).then_some(answer.controller_id),
            // A broker that has just started may know of nobody yet: better the old addresses than none.
            brokers: if brokers.is_empty() { self.brokers.clone() } else { brokers },
            topics,
        }
    }

    /// Takes in what a broker said of a partition's new leader (KIP-951). Older epochs change nothing.
    pub(crate) fn with_leader(
        &self,
        topic: &str,
        partition: i32,
        (leader, epoch): (i32, i32),
        endpoint: Option<BrokerAddress>,
    ) -> Option<Metadata> {
        let known = self.partition(topic, partition)?;
        let is_reachable = endpoint.is_some() || self.brokers.contains_key(&leader);
        if leader < 0 || epoch <= known.leader_epoch || !is_reachable {
            return None;
        }
        let mut next = self.clone();
        next.version += 1;
        next.brokers.extend(endpoint.map(|address| (leader, address)));
        let found = next.topics.get_mut(topic)?.partitions.iter_mut().find(|p| p.index == partition)?;
        (found.leader, found.leader_epoch, found.error) = (Some(leader), epoch, ErrorCode::None);
        Some(next)
    }
}

fn merge_topic(known: Option<&TopicMetadata>, answer: &MetadataResponseTopic) -> TopicMetadata {
    let error = ErrorCode::from_code(answer.error_code);
    // A broker that knows nothing yet says so of every topic: what was known of it may still be right.
    if let Some(known) = known
        && error == ErrorCode::LeaderNotAvailable
        && answer.partitions.is_empty()
    {
        return TopicMetadata { error, ..known.clone() };
    }
    let id = TopicId(answer.topic_id);
    let same = known.filter(|topic| topic.id == id);
    let mut partitions: Vec<PartitionMetadata> = answer
        .partitions
        .iter()
        .map(|p| {
            let before = same.and_then(|topic| topic.partitions.iter().find(|k| k.index == p.partition_index));
            match before {
                Some(before) if before.leader_epoch > p.leader_epoch => before.clone(),
                _ => partition_of(p),
            }
        })
        .collect();
    partitions.sort_by_key(|p| p.index);
    TopicMetadata { error, id, is_internal: answer.is_internal, partitions }
}

fn partition_of(answer: &MetadataResponsePartition) -> PartitionMetadata {
    PartitionMetadata {
        index: answer.partition_index,
        error: ErrorCode::from_code(answer.error_code),
        leader: (answer.leader_id >= 0).then_some(answer.leader_id),
        leader_epoch: answer.leader_epoch,
        replicas: answer.replica_nodes.clone(),
        isr: answer.isr_nodes.clone(),
        offline: answer.offline_replicas.clone(),
    }
}

#[cfg(test)]
mod tests {
    use raftsman_protocol::Str;
    use raftsman_protocol::messages::metadata::MetadataResponseBroker;

    use super::*;

    fn answer(leader: i32, epoch: i32) -> MetadataResponse {
        MetadataResponse {
            brokers: (1..=2)
                .map(|id| MetadataResponseBroker { node_id: id, host: Str::from("h"), port: 9092, rack: None })
                .collect(),
            topics: vec![MetadataResponseTopic {
                name: Some(Str::from("t")),
                partitions: vec![MetadataResponsePartition {
                    leader_id: leader,
                    leader_epoch: epoch,
                    ..MetadataResponsePartition::default()
                }],
                ..MetadataResponseTopic::default()
            }],
            ..MetadataResponse::default()
        }
    }

    #[test]
    fn an_older_leader_epoch_is_not_believed() {
        let metadata = Metadata::default().merge(&answer(2, 5));
        assert_eq!(metadata.merge(&answer(1, 4)).leader("t", 0), Some(2));
        assert_eq!(metadata.merge(&answer(1, 6)).leader("t", 0), Some(1));
        assert_eq!(metadata.merge(&answer(-1, 6)).leader("t", 0), None);
    }

    #[test]
    fn a_broker_that_knows_nothing_yet_makes_nobody_forget_partitions() {
        let metadata = Metadata::default().merge(&answer(2, 5));
        let mut waiting = answer(2, 5);
        waiting.topics[0].partitions.clear();
        waiting.topics[0].error_code = ErrorCode::LeaderNotAvailable.code();
        assert_eq!(metadata.merge(&waiting).leader("t", 0), Some(2));
        waiting.topics[0].error_code = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(metadata.merge(&waiting).leader("t", 0), None, "a topic that is gone is gone");
    }

    #[test]
    fn hints_name_newer_leaders_only() {
        let metadata = Metadata::default().merge(&answer(2, 5));
        assert_eq!(metadata.with_leader("t", 0, (1, 5), None), None);
        assert_eq!(metadata.with_leader("t", 0, (9, 6), None), None, "nobody knows where broker 9 is");
        let next = metadata.with_leader("t", 0, (1, 6), None).unwrap();
        assert_eq!((next.leader("t", 0), next.version), (Some(1), metadata.version + 1));
    }

    #[test]
    fn an_empty_list_of_brokers_does_not_forget_the_known_ones() {
        let metadata = Metadata::default().merge(&answer(2, 5));
        assert_eq!(metadata.merge(&MetadataResponse::default()).brokers.len(), 2);
    }
}
