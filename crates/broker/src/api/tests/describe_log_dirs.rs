use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResult,
};
use raftsman_records::Compression;

use super::sole::{SoleBroker, batch};

async fn describe(sole: &SoleBroker, topics: Option<&[(&str, i32)]>, version: i16) -> DescribeLogDirsResult {
    let topics = topics.map(|asked| {
        let one = |(name, partition): &(&str, i32)| DescribableLogDirTopic {
            topic: Str::copy_from(name),
            partitions: vec![*partition],
        };
        asked.iter().map(one).collect()
    });
    let mut answer = sole.broker.ask(&DescribeLogDirsRequest { topics }, version).await.unwrap();
    assert_eq!((answer.error_code, answer.results.len()), (0, 1));
    answer.results.remove(0)
}

#[tokio::test]
async fn every_version_tells_of_the_directory_and_its_replicas() {
    let sole = SoleBroker::new(&[]);
    let records = batch(Compression::None, &["a", "b"]);
    sole.produce(records.clone(), 9).await;
    sole.committed().await;
    for version in 0..=5 {
        let result = describe(&sole, None, version).await;
        assert_eq!(result.error_code, 0);
        assert_eq!(*result.log_dir, *sole.broker.directory.path().display().to_string());
        let topic = &result.topics[0];
        assert_eq!((&*topic.name, topic.partitions.len()), ("orders", 1));
        let held = &topic.partitions[0];
        let expected = (0, records.len() as i64, 0, false);
        assert_eq!((held.partition_index, held.partition_size, held.offset_lag, held.is_future_key), expected);
        let (total, usable) = (result.total_bytes, result.usable_bytes);
        let told = if version >= 4 { 0 < usable && usable <= total } else { (total, usable) == (-1, -1) };
        assert!(told, "version {version}: {usable} of {total}");
    }
}

#[tokio::test]
async fn a_directory_that_holds_nothing_of_what_is_asked_for_is_told_of_too() {
    let sole = SoleBroker::new(&[]);
    assert_eq!(describe(&sole, Some(&[("orders", 0)]), 5).await.topics.len(), 1);
    for asked in [&[("orders", 1)][..], &[("gone", 0)], &[]] {
        assert!(describe(&sole, Some(asked), 5).await.topics.is_empty(), "{asked:?}");
    }
}
