//! The producer against a server that breaks connections, moves leaders and forgets producers: every record stands in
//! the log once and in order all the same.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod fake_broker;

use std::sync::Arc;
use std::time::Duration;

use fake_broker::{FakeBroker, Reaction};
use raftsman_client::{Client, ClientOptions, Delivery, Producer, ProducerOptions, ProducerRecord};
use raftsman_types::ErrorCode;

async fn producer(broker: &FakeBroker) -> Producer {
    let client = Client::connect(&broker.address().to_string(), ClientOptions::default()).await.unwrap();
    Producer::new(client, ProducerOptions { batch_bytes: 64, ..ProducerOptions::default() })
}

async fn send(producer: &Producer, values: std::ops::Range<u32>) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for value in values {
        let value = Some(value.to_string().into());
        let record = ProducerRecord { topic: Arc::from("t"), partition: Some(0), value, ..ProducerRecord::default() };
        deliveries.push(producer.send(record).await.unwrap());
    }
    deliveries
}

fn in_order(values: std::ops::Range<u32>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}

#[tokio::test]
async fn answers_lost_after_the_append_make_no_duplicates() {
    let broker = FakeBroker::start(vec![
        Reaction::Append,
        Reaction::AppendAndHangUp,
        Reaction::HangUp,
        Reaction::AppendAndHangUp,
        Reaction::AppendAndHangUp,
    ])
    .await;
    let producer = producer(&broker).await;
    for delivery in send(&producer, 0..200).await {
        delivery.await.unwrap();
    }
    producer.close().await;
    assert_eq!(broker.log(), in_order(0..200));
    assert!(broker.duplicates_dropped() >= 1, "a batch came again and was known");
}

#[tokio::test]
async fn retriable_errors_are_tried_again_with_the_same_sequence() {
    let refuse = |code: ErrorCode| Reaction::Refuse(code);
    let broker = FakeBroker::start(vec![
        refuse(ErrorCode::NotLeaderOrFollower),
        refuse(ErrorCode::NotEnoughReplicas),
        Reaction::Append,
        Reaction::AppendAndRefuse(ErrorCode::NotEnoughReplicasAfterAppend),
        refuse(ErrorCode::KafkaStorageError),
    ])
    .await;
    let producer = producer(&broker).await;
    for delivery in send(&producer, 0..100).await {
        delivery.await.unwrap();
    }
    producer.close().await;
    assert_eq!(broker.log(), in_order(0..100));
}

#[tokio::test]
async fn what_cannot_be_mended_fails_its_batch_alone() {
    let broker = FakeBroker::start(vec![Reaction::Append, Reaction::Refuse(ErrorCode::MessageTooLarge)]).await;
    let producer = producer(&broker).await;
    let (mut acked, mut failed) = (Vec::new(), 0);
    for (i, delivery) in send(&producer, 0..100).await.into_iter().enumerate() {
        match delivery.await {
            Ok(_) => acked.push(i.to_string()),
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
                failed += 1;
            }
        }
    }
    producer.close().await;
    assert!(failed >= 1);
    assert_eq!(broker.log(), acked);
    assert_eq!(broker.producer_ids(), 2, "the sequences of the failed batch are not used again");
}

#[tokio::test]
async fn a_forgotten_producer_begins_anew() {
    let broker = FakeBroker::start(vec![Reaction::Append, Reaction::Refuse(ErrorCode::UnknownProducerId)]).await;
    let producer = producer(&broker).await;
    for delivery in send(&producer, 0..50).await {
        delivery.await.unwrap();
    }
    producer.close().await;
    assert_eq!(broker.log(), in_order(0..50));
}

#[tokio::test]
async fn a_record_is_given_up_at_the_end_of_its_time() {
    let broker = FakeBroker::start(vec![Reaction::Refuse(ErrorCode::NotEnoughReplicas); 1_000]).await;
    let client = Client::connect(&broker.address().to_string(), ClientOptions::default()).await.unwrap();
    let options = ProducerOptions { delivery_timeout: Duration::from_millis(100), ..ProducerOptions::default() };
    let producer = Producer::new(client, options);
    let error = send(&producer, 0..1).await.remove(0).await.unwrap_err().to_string();
    assert!(error.contains("timed out") && error.contains("t-0") && error.contains("NOT_ENOUGH_REPLICAS"), "{error}");
    assert!(broker.produce_requests() < 30, "with pauses between the tries: {}", broker.produce_requests());
}
