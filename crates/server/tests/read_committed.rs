//! A log with transactions, such as Kafka leaves, under a node that serves none itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raftsman_client::{Consumer, ConsumerOptions, NewTopic, StartAt};
use raftsman_log::fs::RealFs;
use raftsman_log::{Log, LogConfig};
use raftsman_records::{BatchBuilder, Compression, end_transaction_marker};
use raftsman_types::{LeaderEpoch, ProducerEpoch, ProducerId, TopicId, TopicPartition, WallTime};
use support::{Node, PATIENCE};

const NOW: WallTime = WallTime(1_700_000_000_000);

fn in_transaction(id: i64, sequence: i32, value: &str) -> Bytes {
    let builder = BatchBuilder::new(Compression::Lz4).producer(ProducerId(id), ProducerEpoch(0), sequence);
    let mut builder = builder.transactional(true);
    builder.append(NOW.0, None, Some(value.as_bytes()), &[]);
    builder.build(0, LeaderEpoch(-1))
}

fn plain(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW.0, None, Some(value.as_bytes()), &[]);
    builder.build(0, LeaderEpoch(-1))
}

fn marker(id: i64, commit: bool) -> Bytes {
    end_transaction_marker(ProducerId(id), ProducerEpoch(0), commit, 0, NOW.0)
}

/// Appends to a partition's log while no node has it, in many segments.
fn append(directory: &Path, batches: Vec<Bytes>) {
    let config = LogConfig { segment_bytes: 200, ..LogConfig::default() };
    let opened = Log::open(Arc::new(RealFs::new()), directory.to_owned(), TopicId::ZERO, config, false, 0, NOW);
    let mut log = opened.unwrap().0;
    for batch in batches {
        log.append_as_leader(batch, LeaderEpoch(0), NOW).unwrap();
    }
    log.close(NOW).unwrap();
}

/// All values up to the one that ends the log.
async fn values(node: &Node, read_committed: bool) -> Vec<String> {
    let options = ConsumerOptions { read_committed, ..ConsumerOptions::default() };
    let mut consumer = Consumer::new(node.client.clone(), options);
    let at = TopicPartition { topic: "t".into(), partition: 0 };
    consumer.assign(vec![(at, StartAt::Earliest)]).await.unwrap();
    let mut values: Vec<String> = Vec::new();
    let read = async {
        while values.last().is_none_or(|last| last != "end") {
            for record in consumer.poll(Duration::from_millis(200)).await.unwrap() {
                values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_aborted_is_not_given_to_those_who_read_what_is_committed() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let node = Node::start(&data, &[]).await;
    let topic = NewTopic { name: "t".to_owned(), ..NewTopic::default() };
    node.client.create_topic(&topic, false).await.unwrap();
    node.stop().await;
    let log = vec![
        in_transaction(1, 0, "aborted"),
        in_transaction(2, 0, "committed"),
        plain("of no transaction"),
        marker(1, false),
        marker(2, true),
        in_transaction(1, 1, "committed later"),
        marker(1, true),
        in_transaction(2, 1, "aborted, too"),
        marker(2, false),
        plain("end"),
    ];
    append(&data.join("t-0"), log);
    let node = Node::start(&data, &[]).await;
    let committed = ["committed", "of no transaction", "committed later", "end"];
    assert_eq!(values(&node, true).await, committed);
    let all = ["aborted", "committed", "of no transaction", "committed later", "aborted, too", "end"];
    assert_eq!(values(&node, false).await, all);
    node.stop().await;
}
