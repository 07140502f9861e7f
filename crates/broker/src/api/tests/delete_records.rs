use raftsman_protocol::Str;
use raftsman_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use raftsman_records::Compression;
use raftsman_types::ErrorCode;

use super::TestBroker;
use super::sole::{SoleBroker, batch};

fn request(topics: &[(&str, &[(i32, i64)])]) -> DeleteRecordsRequest {
    let topics = topics.iter().map(|(name, partitions)| DeleteRecordsTopic {
        name: Str::copy_from(name),
        partitions: partitions
            .iter()
            .map(|&(partition_index, offset)| DeleteRecordsPartition { partition_index, offset })
            .collect(),
    });
    DeleteRecordsRequest { topics: topics.collect(), timeout_ms: 20_000 }
}

#[tokio::test]
async fn records_go_and_the_low_watermark_is_told() {
    let sole = SoleBroker::new(&[]);
    sole.produce(batch(Compression::None, &["a", "b", "c"]), 9).await;
    sole.committed().await;
    for (version, offset, low_watermark) in [(0, 1, 1), (1, 2, 2), (2, -1, 3)] {
        let answer = sole.broker.ask(&request(&[("orders", &[(0, offset)])]), version).await.unwrap();
        let result = &answer.topics[0].partitions[0];
        assert_eq!((&*answer.topics[0].name, result.partition_index), ("orders", 0));
        assert_eq!((result.error_code, result.low_watermark), (0, low_watermark), "version {version}");
    }
    let answer = sole.broker.ask(&request(&[("orders", &[(0, 4), (9, 0)]), ("gone", &[(0, 0)])]), 2).await.unwrap();
    let codes: Vec<(i16, i64)> =
        answer.topics.iter().flat_map(|t| &t.partitions).map(|p| (p.error_code, p.low_watermark)).collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(codes, [(ErrorCode::OffsetOutOfRange.code(), -1), (unknown, -1), (unknown, -1)]);
}

#[tokio::test]
async fn the_brokers_own_topics_and_other_brokers_partitions_are_left_alone() {
    let broker = TestBroker::of_cluster();
    let answer = broker.ask(&request(&[("__consumer_offsets", &[(0, 0)]), ("orders", &[(1, 0)])]), 2).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::InvalidTopicException.code());
    assert_eq!(answer.topics[1].partitions[0].error_code, ErrorCode::NotLeaderOrFollower.code());
}
