//! What a client is told that asks for metadata because it has just lost a leader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use raftsman_metadata::{BrokerState, MetadataImage};
use raftsman_protocol::Str;
use raftsman_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use raftsman_types::BrokerId;

use super::{TestBroker, broker, cluster, partition};
use crate::net::Peer;
use crate::replica::ControllerLink;

const OLD_CONNECTION: Duration = Duration::from_secs(60);

/// A broker whose client connected so long ago.
fn broker_with_client_of_age(age: Duration) -> TestBroker {
    let mut broker = TestBroker::of_cluster();
    let peer = Peer { connected_at: Instant::now() - age, ..(*broker.peer).clone() };
    broker.peer = Arc::new(peer);
    broker
}

/// The cluster after broker 2 is lost: 1 leads its partition 1 of `orders`.
fn without_broker_2() -> MetadataImage {
    let mut image = cluster();
    image.version += 1;
    image.brokers.insert(BrokerId(2), broker(2, BrokerState::Fenced, &["PLAINTEXT", "INTERNAL"]));
    for topic in image.topics.clone().values() {
        let mut topic = (**topic).clone();
        if topic.partitions.contains_key(&1) {
            topic.partitions.insert(1, partition(Some(1), &[1], &[]));
        }
        image.topics.insert(topic.id, Arc::new(topic));
    }
    image
}

async fn leader_of_partition_1(broker: &TestBroker) -> (i32, Vec<i32>) {
    let topic = MetadataRequestTopic { name: Some(Str::from("orders")), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let response = broker.ask(&request, 12).await.expect("metadata is answered");
    let nodes = response.brokers.iter().map(|b| b.node_id).collect();
    (response.topics[0].partitions[1].leader_id, nodes)
}

#[tokio::test]
async fn a_refresh_waits_for_the_successor_of_a_lost_leader() {
    let broker = broker_with_client_of_age(OLD_CONNECTION);
    broker.state.controller.report_unreachable(BrokerId(2));
    // Polled second: the request waits already when the successor is published.
    let elect = async { broker.state.metadata.publish(Arc::new(without_broker_2())) };
    let ((leader, nodes), ()) = tokio::join!(biased; leader_of_partition_1(&broker), elect);
    assert_eq!(leader, 1, "the answer names the successor");
    assert_eq!(nodes, [1, 2], "the lost broker is listed a little longer, and 3, fenced long ago, is not");
}

#[tokio::test]
async fn a_refresh_is_answered_though_nobody_succeeds() {
    let broker = broker_with_client_of_age(OLD_CONNECTION);
    broker.state.controller.report_unreachable(BrokerId(2));
    assert_eq!(leader_of_partition_1(&broker).await.0, 2, "nobody else has been elected");
}

#[tokio::test]
async fn a_new_client_is_answered_at_once() {
    let broker = broker_with_client_of_age(Duration::ZERO);
    broker.state.controller.report_unreachable(BrokerId(2));
    let answered = leader_of_partition_1(&broker).now_or_never().expect("no waiting");
    assert_eq!(answered.0, 2);
}
