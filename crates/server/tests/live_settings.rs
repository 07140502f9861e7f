//! Settings of a topic in use, altered as clients alter them: its log follows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raftsman_client::{Client, ClientOptions, Producer, ProducerOptions, ProducerRecord};
use raftsman_protocol::Str;
use raftsman_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use raftsman_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use raftsman_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use raftsman_records::split_batches;
use raftsman_server::{Server, ServerConfig, ServerHandle};

const PATIENCE: Duration = Duration::from_secs(60);
const RECORDS: usize = 30;
/// Some three of the records that are produced here.
const SEGMENT_BYTES: &str = "1000";
const PREALLOCATED_BYTES: u64 = 1 << 20;
const TOPIC_RESOURCE: i8 = 2;

type Settings<'a> = &'a [(&'a str, &'a str)];

/// One node, and a client of it.
struct Node {
    client: Client,
    producer: Producer,
    handle: ServerHandle,
    data: PathBuf,
}

impl Node {
    async fn start(data: &Path) -> Node {
        let overrides = [
            ("listeners", "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"),
            ("log.dirs", data.to_str().unwrap()),
            ("num.network.threads", "1"),
            // What was flushed is known soon, and compacted soon after.
            ("replica.high.watermark.checkpoint.interval.ms", "20"),
            ("log.cleaner.backoff.ms", "20"),
        ];
        let overrides: Vec<_> = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let config = ServerConfig::load(None, &overrides, std::iter::empty()).unwrap().0;
        let handle = Server::start(config, None).unwrap();
        tokio::time::timeout(PATIENCE, handle.wait_ready()).await.unwrap().unwrap();
        let bootstrap = handle.client_address("PLAINTEXT").unwrap().to_string();
        let client = Client::connect(&bootstrap, ClientOptions::default()).await.unwrap();
        let producer = Producer::new(client.clone(), ProducerOptions::default());
        Node { client, producer, handle, data: data.to_owned() }
    }

    async fn create(&self, topic: &str) {
        let (name, value) = (Str::from("internal.segment.bytes"), Some(Str::from(SEGMENT_BYTES)));
        let topic = CreatableTopic {
            name: Str::copy_from(topic),
            num_partitions: 1,
            replication_factor: 1,
            configs: vec![CreatableTopicConfig { name, value }],
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let answer = self.client.any_connection().await.unwrap().request(&request, 7).await.unwrap();
        assert_eq!(answer.topics[0].error_code, 0, "{:?}", answer.topics[0].error_message);
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
        let answer = self.client.any_connection().await.unwrap().request(&request, 1).await.unwrap();
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
            let answer = self.client.any_connection().await.unwrap().request(&request, 12).await.unwrap();
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
    let node = Node::start(&root.path().join("data")).await;
    for topic in ["lagging", "witness"] {
        node.create(topic).await;
    }
    node.alter("lagging", &[("min.compaction.lag.ms", "86400000")]).await;
    for topic in ["lagging", "witness"] {
        node.alter(topic, &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")]).await;
        node.fill(topic, "first").await;
    }
    assert!(node.segments("lagging").len() > RECORDS / 4, "{:?}", node.segments("lagging"));
    until("what may be compacted is", async || node.count("witness", "first").await < RECORDS / 2).await;
    node.fill("witness", "second").await;
    until("it is once more", async || node.count("witness", "second").await < RECORDS / 2).await;
    assert_eq!(node.count("lagging", "first").await, RECORDS, "min.compaction.lag.ms keeps them");
    node.alter("lagging", &[("min.compaction.lag.ms", "0")]).await;
    until("the lag is over", async || node.count("lagging", "first").await < RECORDS / 2).await;

    // No log is as dirty as that, but this one has waited long enough at once; nor is its newest segment kept open.
    node.alter("lagging", &[("min.cleanable.dirty.ratio", "1"), ("max.compaction.lag.ms", "1")]).await;
    node.fill("lagging", "second").await;
    until("what is overdue is compacted", async || node.count("lagging", "first").await == 0).await;

    node.alter("lagging", &[("delete.retention.ms", "0")]).await;
    node.produce("lagging", "gone", Some("value")).await;
    node.produce("lagging", "gone", None).await;
    let is_gone = async || {
        node.produce("lagging", "key", Some("third")).await;
        node.records("lagging").await.iter().all(|(key, _)| key != "gone")
    };
    until("the tombstone is gone as well", is_gone).await;

    if can_preallocate(root.path()) {
        let bytes = PREALLOCATED_BYTES.to_string();
        node.alter("lagging", &[("preallocate", "true"), ("internal.segment.bytes", &bytes)]).await;
        let is_set_aside = async || {
            node.produce("lagging", "key", Some("fourth")).await;
            let newest = node.segments("lagging").pop().unwrap();
            newest.metadata().is_ok_and(|metadata| metadata.blocks() * 512 >= PREALLOCATED_BYTES)
        };
        until("room is set aside for the newest segment", is_set_aside).await;
    }
    let Node { handle, .. } = node;
    tokio::task::spawn_blocking(move || handle.shutdown(true)).await.unwrap();
}
