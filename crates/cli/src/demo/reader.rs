//! The consumer's side of the demo: one that follows live, and one that reads everything back in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftsman_client::{Client, ClientError, Consumer, ConsumerOptions, ConsumerRecord, Found, OffsetReset, StartAt};
use raftsman_types::TopicPartition;

use super::load::name_of;
use super::progress::SharedProgress;

/// How long one look for records waits.
const POLL: Duration = Duration::from_millis(200);
/// Reading back is given up when no record came for so long.
const SILENCE: Duration = Duration::from_secs(20);

/// Reads every partition from its beginning.
async fn reader(client: Client, topic: &Arc<str>, partitions: i32) -> Result<Consumer, ClientError> {
    let options = ConsumerOptions {
        // An offset out of range would be a loss: it must not be skipped over.
        offset_reset: OffsetReset::Fail,
        max_wait: POLL,
        ..ConsumerOptions::default()
    };
    let consumer = Consumer::new(client, options);
    let all = (0..partitions).map(|partition| (TopicPartition { topic: topic.clone(), partition }, StartAt::Earliest));
    consumer.assign(all.collect()).await?;
    Ok(consumer)
}

/// Follows the topic and counts what comes, until it is dropped or something ends it.
pub async fn follow(client: Client, topic: Arc<str>, partitions: i32, progress: SharedProgress) {
    let failure = async {
        let mut consumer = reader(client, &topic, partitions).await?;
        loop {
            let records = consumer.poll(POLL).await?;
            progress.lock().read += records.len();
        }
    };
    let failure: Result<(), ClientError> = failure.await;
    progress.lock().reader_failure = failure.err().map(|error| error.to_string());
}

/// Reads everything there is, each partition in the order of offsets.
///
/// # Errors
/// A partition cannot be read to its end.
pub async fn read_back(client: Client, topic: &Arc<str>, partitions: i32) -> Result<Vec<Found>, String> {
    let mut consumer = reader(client, topic, partitions).await.map_err(|error| error.to_string())?;
    let mut place = Place::new(partitions);
    let mut found = Vec::new();
    let mut last_came = Instant::now();
    loop {
        let records = consumer.poll(POLL).await.map_err(|error| error.to_string())?;
        if !records.is_empty() {
            last_came = Instant::now();
        }
        for record in &records {
            place.read(record)?;
            let name = name_of(record.value.as_deref().unwrap_or_default());
            found.push(Found { partition: record.partition, offset: record.offset, name });
        }
        let ends = consumer.high_watermarks().await.map_err(|error| error.to_string())?;
        let missing = place.missing(ends.into_iter().map(|(at, end)| (at.partition, end)));
        match missing.first() {
            None => return Ok(found),
            Some(partition) if last_came.elapsed() > SILENCE => {
                return Err(format!("partition {partition} cannot be read to its end: nothing came for {SILENCE:?}"));
            }
            Some(_) => (),
        }
    }
}

/// How far each partition is read.
struct Place {
    next: BTreeMap<i32, i64>,
}

impl Place {
    fn new(partitions: i32) -> Place {
        Place { next: (0..partitions).map(|partition| (partition, 0)).collect() }
    }

    /// Takes a record in. Offsets never go back, or the reader itself is at fault.
    fn read(&mut self, record: &ConsumerRecord) -> Result<(), String> {
        let next = self.next.entry(record.partition).or_default();
        if record.offset < *next {
            return Err(format!("partition {} gave offset {} after {}", record.partition, record.offset, *next - 1));
        }
        *next = record.offset + 1;
        Ok(())
    }

    /// The partitions that are not read up to their high watermark, which is unknown until it was told.
    fn missing(&self, ends: impl Iterator<Item = (i32, i64)>) -> Vec<i32> {
        let ends: BTreeMap<i32, i64> = ends.collect();
        let is_missing = |(partition, next): &(&i32, &i64)| ends.get(partition).is_none_or(|end| next < &end);
        self.next.iter().filter(is_missing).map(|(partition, _)| *partition).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64) -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition,
            offset,
            leader_epoch: 0,
            timestamp_ms: 0,
            is_log_append_time: false,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    #[test]
    fn done_is_when_every_partition_is_read_to_its_end() {
        let mut place = Place::new(2);
        assert_eq!(place.missing([(0, 0)].into_iter()), [1], "nobody told the end of partition 1");
        assert_eq!(place.missing([(0, 2), (1, 0)].into_iter()), [0]);
        place.read(&record(0, 0)).unwrap();
        place.read(&record(0, 1)).unwrap();
        assert_eq!(place.missing([(0, 2), (1, 0)].into_iter()), [0_i32; 0]);
        assert!(place.read(&record(0, 1)).is_err());
    }
}
