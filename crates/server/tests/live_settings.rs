//! Settings of a topic in use, altered as clients alter them: its log follows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raftsman_client::{NewTopic, Producer, ProducerOptions, ProducerRecord};
use raftsman_protocol::Str;
use raftsman_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use raftsman_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use raftsman_records::split_batches;
use support::{Node, PATIENCE};

const RECORDS: usize = 30;
/// Some three of the records that are produced here.
const SEGMENT_BYTES: &str = "1000";
const PREALLOCATED_BYTES: u64 = 1 << 20;
const TOPIC_RESOURCE: i8 = 2;

type Settings<'a> = &'a [(&'a str, &'a str)];

/// A node with topics in use.
struct Topics {
    node: Node,
    producer: Producer,
    data: PathBuf,
}

impl Topics {
    async fn start(data: &Path) -> Topics {
        // What was flushed is known soon, and compacted soon after.
        let settings = [("replica.high.watermark.checkpoint.interval.ms", "20"), ("log.cleaner.backoff.ms", "20")];
        let node = Node::start(data, &settings).await;
        let producer = Producer::new(node.client.clone(), ProducerOptions::default());
        Topics { node, producer, data: data.to_owned() }
    }

    async fn create(&self, topic: &str) {
        let configs = [("internal.segment.bytes".to_owned(), SEGMENT_BYTES.to_owned())].into();
        let topic = NewTopic { name: topic.to_owned(), configs, ..NewTopic::default() };
        self.node.client.create_topic(&topic, false).await.unwrap();
    }

    async fn alter(&self, topic: &str, settings: Settings<'_>) {
        let config = |(name, value): &(&str, &str)| AlterableConfig {
            name: Str::copy_from(name),
            config_operation: 0,
            value: Some(Str::copy_from(value)),
        };
        let resource = AlterConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: Str::copy_from(topic),
            configs: settings.iter().map(config).collect(),
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        let answer = self.node.client.any_connection().await.unwrap().request(&request, 1).await.unwrap();
        assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0].error_message);
    }

    async fn produce(&self, topic: &str, key: &str, value: Option<&str>) {
        let (key, value) = (Some(key.to_owned().into()), value.map(|value| value.to_owned().into()));
        let record = ProducerRecord { topic: topic.into(), key, value, ..Default::default() };
        self.producer.send(record).await.unwrap().await.unwrap();
    }

    /// Records of one key, a batch each.
    async fn fill(&self, topic: &str, round: &str) {
        for _ in 0..RECORDS {
            self.produce(topic, "key", Some(&format!("{round} {}", "x".repeat(250)))).await;
        }
    }

    /// Keys and rounds of all records there are.
    async fn records(&self, topic: &str) -> Vec<(String, String)> {
        let mut records = Vec::new();
        let mut fetch_offset = 0;
        loop {
            let partition =
                FetchPartition { partition: 0, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
            let topic = FetchTopic { topic: Str::copy_from(topic), partitions: vec![partition], ..Default::default() };
            let request = FetchRequest {
                replica_id: -1,
                max_bytes: 1 << 20,
                session_epoch: -1,
                topics: vec![topic],
                ..Default::default()
            };
            let answer = self.node.client.any_connection().await.unwrap().request(&request, 12).await.unwrap();
            let partition = &answer.responses[0].partitions[0];
            assert_eq!(partition.error_code, 0);
            let bytes = partition.records.clone().unwrap_or_default().into_contiguous();
            if bytes.is_empty() {
                return records;
            }
            for batch in split_batches(bytes, false) {
                let batch = batch.unwrap();
                for record in batch.records().map(Result::unwrap) {
                    let text =
                        |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap_or_default().into()).unwrap();
                    let round = text(record.value).split(' ').next().unwrap_or_default().to_owned();
                    records.push((text(record.key), round));
                }
                fetch_offset = batch.last_offset() + 1;
            }
        }
    }

    async fn count(&self, topic: &str, round: &str) -> usize {
        self.records(topic).await.iter().filter(|(_, of)| of == round).count()
    }

    fn segments(&self, topic: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.data.join(format!("{topic}-0"))).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let mut segments: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "log")).collect();
        segments.sort();
        segments
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "gave up waiting until {what}");
}

/// Whether a file takes room that was set aside for it.
fn can_preallocate(directory: &Path) -> bool {
    let file = tempfile::tempfile_in(directory).unwrap();
    let set_aside = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, PREALLOCATED_BYTES);
    set_aside.is_ok() && file.metadata().unwrap().blocks() * 512 >= PREALLOCATED_BYTES
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_in_use_follows_its_settings() {
    let root = tempfile::tempdir().unwrap();
    let topics = Topics::start(&root.path().join("data")).await;
    for topic in ["lagging", "witness"] {
        topics.create(topic).await;
    }
    topics.alter("lagging", &[("min.compaction.lag.ms", "86400000")]).await;
    for topic in ["lagging", "witness"] {
        topics.alter(topic, &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")]).await;
        topics.fill(topic, "first").await;
    }
    assert!(topics.segments("lagging").len() > RECORDS / 4, "{:?}", topics.segments("lagging"));
    until("what may be compacted is", async || topics.count("witness", "first").await < RECORDS / 2).await;
    topics.fill("witness", "second").await;
    until("it is once more", async || topics.count("witness", "second").await < RECORDS / 2).await;
    assert_eq!(topics.count("lagging", "first").await, RECORDS, "min.compaction.lag.ms keeps them");
    topics.alter("lagging", &[("min.compaction.lag.ms", "0")]).await;
    until("the lag is over", async || topics.count("lagging", "first").await < RECORDS / 2).await;

    // No log is as dirty as that, but this one has waited long enough at once; nor is its newest segment kept open.
    topics.alter("lagging", &[("min.cleanable.dirty.ratio", "1"), ("max.compaction.lag.ms", "1")]).await;
    topics.fill("lagging", "second").await;
    until("what is overdue is compacted", async || topics.count("lagging", "first").await == 0).await;

    topics.alter("lagging", &[("delete.retention.ms", "0")]).await;
    topics.produce("lagging", "gone", Some("value")).await;
    topics.produce("lagging", "gone", None).await;
    let is_gone = async || {
        topics.produce("lagging", "key", Some("third")).await;
        topics.records("lagging").await.iter().all(|(key, _)| key != "gone")
    };
    until("the tombstone is gone as well", is_gone).await;

    if can_preallocate(root.path()) {
        let bytes = PREALLOCATED_BYTES.to_string();
        topics.alter("lagging", &[("preallocate", "true"), ("internal.segment.bytes", &bytes)]).await;
        let is_set_aside = async || {
            topics.produce("lagging", "key", Some("fourth")).await;
            let newest = topics.segments("lagging").pop().unwrap();
            newest.metadata().is_ok_and(|metadata| metadata.blocks() * 512 >= PREALLOCATED_BYTES)
        };
        until("room is set aside for the newest segment", is_set_aside).await;
    }
    topics.node.stop().await;
}
