//! SIGKILL of all three nodes at once, under load, ten times: the cluster comes back by itself with every acked record.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raftsman_client::{
    Client, ClientOptions, Consumer, ConsumerOptions, Delivery, OffsetReset, Producer, ProducerOptions, ProducerRecord,
    StartAt,
};
use raftsman_testkit::{ClusterOptions, Found, History, ProcessCluster, wait_until};
use raftsman_types::TopicPartition;
use tokio::runtime::Runtime;

const ROUNDS: usize = 10;
const PARTITIONS: i32 = 3;
const ACKS_PER_ROUND: usize = 300;
const RECORDS_ON_THE_WAY: usize = 50;
const PATIENCE: Duration = Duration::from_secs(120);

/// What the writers share with the test.
#[derive(Default)]
struct Written {
    history: Mutex<History>,
    acks: AtomicUsize,
    stop: AtomicBool,
}

#[test]
fn killing_every_node_at_once_loses_nothing_acked() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    cluster.tools().create_topic("orders", PARTITIONS as usize, 3).expect("a topic can be created");
    let runtime = Runtime::new().expect("a runtime can be made");
    let written = Arc::new(Written::default());
    let bootstrap = cluster.bootstrap_servers();
    let writers: Vec<_> = (0..PARTITIONS)
        .map(|partition| runtime.spawn(write_until_stopped(bootstrap.clone(), partition, written.clone())))
        .collect();

    for round in 1..=ROUNDS {
        let goal = written.acks.load(Ordering::Relaxed) + ACKS_PER_ROUND;
        wait_until(&format!("acks in round {round}"), PATIENCE, || written.acks.load(Ordering::Relaxed) >= goal);
        cluster.kill_all_at_once();
        for node in &mut cluster.nodes {
            node.start();
        }
    }
    let goal = written.acks.load(Ordering::Relaxed) + ACKS_PER_ROUND;
    wait_until("acks after the last round", PATIENCE, || written.acks.load(Ordering::Relaxed) >= goal);
    written.stop.store(true, Ordering::Relaxed);
    for writer in writers {
        runtime.block_on(writer).expect("a writer ends well");
    }

    let found = runtime.block_on(read_all(&bootstrap));
    let history = written.history.lock().expect("no writer panicked");
    let verdict = history.judge(&found);
    assert!(verdict.is_clean(), "of {} acked: {verdict}", history.len());
}

/// Writes numbered records to one partition, some of them on the way at any time, and notes the acks in order.
async fn write_until_stopped(bootstrap: String, partition: i32, written: Arc<Written>) {
    let client = Client::connect(&bootstrap, ClientOptions::default()).await.expect("the cluster can be reached");
    let producer = Producer::new(client, ProducerOptions::default());
    let mut on_the_way: VecDeque<(String, Delivery)> = VecDeque::new();
    let mut next = 0;
    while !written.stop.load(Ordering::Relaxed) || !on_the_way.is_empty() {
        if !written.stop.load(Ordering::Relaxed) && on_the_way.len() < RECORDS_ON_THE_WAY {
            let value = format!("{partition}-{next}");
            next += 1;
            let record = ProducerRecord {
                topic: "orders".into(),
                partition: Some(partition),
                value: Some(value.clone().into()),
                ..Default::default()
            };
            on_the_way.push_back((value, producer.send(record).await.expect("the topic is there")));
        } else if let Some((value, delivery)) = on_the_way.pop_front() {
            delivery.await.expect("every record is acked in the end");
            written.history.lock().expect("no writer panicked").ack(partition, value);
            written.acks.fetch_add(1, Ordering::Relaxed);
        }
    }
    producer.close().await;
}

/// Every record of every partition, in the order of offsets.
async fn read_all(bootstrap: &str) -> Vec<Found> {
    let client = Client::connect(bootstrap, ClientOptions::default()).await.expect("the cluster can be reached");
    let options = ConsumerOptions { offset_reset: OffsetReset::Fail, ..Default::default() };
    let mut consumer = Consumer::new(client, options);
    let assigned =
        (0..PARTITIONS).map(|partition| (TopicPartition { topic: "orders".into(), partition }, StartAt::Earliest));
    consumer.assign(assigned.collect()).await.expect("the consumer runs");
    let mut found: Vec<Found> = Vec::new();
    loop {
        let records = consumer.poll(Duration::from_secs(3)).await.expect("the partitions can be read");
        let at_the_end = consumer.high_watermarks().await.expect("the consumer runs").iter().all(|(at, end)| {
            let last = found.iter().filter(|r| r.partition == at.partition).map(|r| r.offset).max();
            *end >= 0 && last.map_or(0, |last| last + 1) >= *end
        });
        if records.is_empty() && at_the_end {
            break;
        }
        found.extend(records.into_iter().map(|r| {
            let name = String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned();
            Found { partition: r.partition, offset: r.offset, name }
        }));
    }
    found.sort();
    found
}
