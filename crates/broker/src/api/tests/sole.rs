use std::sync::Arc;

use bytes::Bytes;
use raftsman_metadata::{ConfigResource, MetadataDelta, MetadataImage};
use raftsman_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use raftsman_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use raftsman_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use raftsman_protocol::{Records, Str};
use raftsman_records::{BatchBuilder, Compression, Record, RecordBatch, split_batches};
use raftsman_types::{BrokerEpoch, BrokerId, LeaderEpoch, TopicId, TopicIdPartition, Uuid};

use super::{TestBroker, broker, partition};
use crate::config::BrokerConfig;

/// The topic's one partition.
pub const AT: TopicIdPartition = TopicIdPartition { topic_id: TopicId(Uuid([7; 16])), partition: 0 };
const TOPIC: &str = "orders";

/// A broker alone, which leads the one partition of `orders`: what its settings do can be seen through requests.
pub struct SoleBroker {
    pub broker: TestBroker,
    image: MetadataImage,
}

impl SoleBroker {
    /// With these settings of the topic. Must be called within a runtime.
    pub fn new(settings: &[(&str, &str)]) -> SoleBroker {
        let config = BrokerConfig { node_id: BrokerId(1), ..BrokerConfig::default() };
        let broker_1 = broker(1, raftsman_metadata::BrokerState::Unfenced, &["PLAINTEXT"]);
        let mut image = MetadataImage { version: 40, cluster_id: Some("test-cluster".into()), ..Default::default() };
        image.brokers.insert(BrokerId(1), broker_1);
        let mut alone = (*partition(Some(1), &[1], &[])).clone();
        alone.replicas = vec![BrokerId(1)];
        alone.directories.truncate(1);
        let partitions = [(0, Arc::new(alone))].into_iter().collect();
        let topic = raftsman_metadata::TopicImage { id: AT.topic_id, name: TOPIC.into(), partitions };
        let broker = TestBroker::new(MetadataImage::default(), config);
        let mut sole = SoleBroker { broker, image };
        sole.publish();
        sole.broker.state.replicas.registered(BrokerEpoch(1));
        // What was there before the broker was registered would have to be on its disk.
        sole.image.topic_ids.insert(topic.name.clone(), topic.id);
        sole.image.topics.insert(topic.id, Arc::new(topic));
        sole.set(settings);
        sole
    }

    fn publish(&mut self) {
        self.image.version += 1;
        let (before, after) = (self.broker.state.metadata.load(), Arc::new(self.image.clone()));
        self.broker.state.replicas.publish(&MetadataDelta::between(&before, &after), &after);
        self.broker.state.metadata.publish(after);
    }

    /// Changes settings of the topic, as the controller does once an alteration is committed.
    pub fn set(&mut self, settings: &[(&str, &str)]) {
        self.set_of(ConfigResource::topic(TOPIC), settings);
    }

    /// Changes settings of all brokers.
    pub fn set_cluster(&mut self, settings: &[(&str, &str)]) {
        self.set_of(ConfigResource::cluster(), settings);
    }

    fn set_of(&mut self, resource: ConfigResource, settings: &[(&str, &str)]) {
        let mut all = self.image.configs.get(&resource).map(|held| (**held).clone()).unwrap_or_default();
        all.extend(settings.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        self.image.configs.insert(resource, Arc::new(all));
        self.publish();
    }

    /// Produces with acks=1.
    pub async fn produce(&self, records: impl Into<Bytes>, version: i16) -> PartitionProduceResponse {
        let data = PartitionProduceData { index: 0, records: Some(Records::from(records.into())) };
        let topic = TopicProduceData { name: Str::from(TOPIC), topic_id: AT.topic_id.0, partition_data: vec![data] };
        let request = ProduceRequest { acks: 1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
        self.broker.ask(&request, version).await.unwrap().responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches without waiting.
    pub async fn fetch(&self, offset: i64, max_bytes: i32, version: i16) -> PartitionData {
        self.fetch_isolated(offset, max_bytes, version, 0).await
    }

    /// The same, at an isolation level.
    pub async fn fetch_isolated(
        &self,
        offset: i64,
        max_bytes: i32,
        version: i16,
        isolation_level: i8,
    ) -> PartitionData {
        let wanted =
            FetchPartition { partition: 0, fetch_offset: offset, partition_max_bytes: max_bytes, ..Default::default() };
        let topic = FetchTopic { topic: Str::from(TOPIC), topic_id: AT.topic_id.0, partitions: vec![wanted] };
        let request = FetchRequest { isolation_level, topics: vec![topic], ..Default::default() };
        self.broker.ask(&request, version).await.unwrap().responses.remove(0).partitions.remove(0)
    }

    /// Every batch from the beginning, once all that is appended is committed.
    pub async fn batches(&self) -> Vec<RecordBatch> {
        self.committed().await;
        let fetched = self.fetch(0, 1 << 24, 18).await;
        assert_eq!(fetched.error_code, 0);
        split_batches(fetched.records.unwrap().into_contiguous(), false).map(Result::unwrap).collect()
    }

    /// Every record from the beginning.
    pub async fn records(&self) -> Vec<Record> {
        self.batches().await.iter().flat_map(|batch| batch.records().map(Result::unwrap).collect::<Vec<_>>()).collect()
    }

    /// How many segments the log has on disk.
    pub fn segments(&self) -> usize {
        let files = std::fs::read_dir(self.broker.directory.path().join(format!("{TOPIC}-0"))).unwrap();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "log")).count()
    }

    /// Waits until the high watermark is the log's end.
    pub async fn committed(&self) {
        let state = || self.broker.state.replicas.partition_state(AT).unwrap();
        while state().high_watermark < state().log_end_offset {
            tokio::task::yield_now().await;
        }
    }

    pub async fn list_offsets(
        &self,
        timestamp: i64,
        max_num_offsets: i32,
        version: i16,
    ) -> ListOffsetsPartitionResponse {
        let wanted = ListOffsetsPartition { partition_index: 0, timestamp, max_num_offsets, ..Default::default() };
        let topic = ListOffsetsTopic { name: Str::from(TOPIC), partitions: vec![wanted] };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        self.broker.ask(&request, version).await.unwrap().topics.remove(0).partitions.remove(0)
    }
}

/// A batch of these values, all with a key and stamped now.
pub fn batch(compression: Compression, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(compression);
    for value in values {
        builder.append(now_ms(), Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build(0, LeaderEpoch::NONE)
}

pub fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}
