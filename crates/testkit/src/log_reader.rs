use std::time::Duration;

use raftsman_client::{Client, ClientError, ClientOptions, Consumer, ConsumerOptions, Found, OffsetReset, StartAt};
use raftsman_types::TopicPartition;

/// Reads a topic's partitions 0 to `partitions` from their beginning to their high watermarks, each in the order of
/// its offsets.
///
/// # Errors
/// A partition cannot be read to its end within `at_most`.
pub async fn read_log(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    at_most: Duration,
) -> Result<Vec<Found>, ClientError> {
    let reading = read_to_the_end(bootstrap, topic, partitions);
    let timed_out = |_| ClientError::TimedOut { ms: at_most.as_millis(), what: format!("reading topic {topic}") };
    tokio::time::timeout(at_most, reading).await.map_err(timed_out)?
}

async fn read_to_the_end(bootstrap: &str, topic: &str, partitions: i32) -> Result<Vec<Found>, ClientError> {
    let options = ClientOptions { request_timeout: Duration::from_secs(2), ..ClientOptions::default() };
    let client = Client::connect(bootstrap, options).await?;
    client.topic(topic).await?;
    let options = ConsumerOptions {
        offset_reset: OffsetReset::Fail,
        max_wait: Duration::from_millis(100),
        ..ConsumerOptions::default()
    };
    let mut consumer = Consumer::new(client, options);
    let at = |partition| (TopicPartition { topic: topic.into(), partition }, StartAt::Earliest);
    consumer.assign((0..partitions).map(at).collect()).await?;
    let mut found: Vec<Found> = Vec::new();
    let mut ends = vec![0; partitions as usize];
    loop {
        let records = consumer.poll(Duration::from_millis(200)).await?;
        let is_quiet = records.is_empty();
        for record in records {
            let name = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
            ends[record.partition as usize] = record.offset + 1;
            found.push(Found { partition: record.partition, offset: record.offset, name });
        }
        let watermarks = consumer.high_watermarks().await?;
        let is_at_end =
            |(at, watermark): &(TopicPartition, i64)| *watermark >= 0 && ends[at.partition as usize] >= *watermark;
        if is_quiet && watermarks.len() == ends.len() && watermarks.iter().all(is_at_end) {
            break;
        }
    }
    // Within a partition they came in order.
    found.sort_by_key(|record| record.partition);
    Ok(found)
}
