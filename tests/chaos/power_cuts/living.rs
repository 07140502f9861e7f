//! Topics whose old records go while they are written, so that power is cut in the midst of it.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use raftsman_client::{Client, ClientError, ClientOptions, Found, History, Verdict};
use raftsman_testkit::{Load, LoadOptions, key_of, read_log, wait_until};
use raftsman_types::TopicPartition;
use tokio::runtime::Runtime;

use super::rig::Rig;

const PATIENCE: Duration = Duration::from_secs(120);
/// How long a leader that is new may take until it shows all that was acknowledged.
const LOSS_PATIENCE: Duration = Duration::from_secs(5);
const KEYS: usize = 7;
const VALUE_BYTES: usize = 300;
/// More than the log holds of a record in a batch of its own beyond its value.
const OVERHEAD_BYTES_MAX: usize = 120;
const RETENTION_BYTES: usize = 30_000;
/// A few entries, one for each KiB: a segment is full after about six.
const TINY_SEGMENTS: [(&str, &str); 2] = [("index.interval.bytes", "1024"), ("segment.index.bytes", "48")];

/// Why old records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// By compaction: the newest of each key stays.
    Compacted,
    /// By `retention.bytes`: the newest segments stay.
    Retained,
}

/// A topic of one partition that is written and cared for all the time.
pub struct LivingTopic {
    pub name: String,
    care: Care,
    load: Load,
}

/// What a topic's life came to.
pub struct LifeReport {
    pub topic: String,
    pub care: Care,
    pub acked: usize,
    /// Acked records that went as they were to.
    pub gone: usize,
    pub given_up: usize,
    /// What must not be, if anything is.
    pub fault: Option<String>,
}

impl fmt::Display for LifeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LifeReport { topic, acked, gone, given_up, fault, .. } = self;
        write!(f, "{topic}: {acked} acked, {gone} gone, {given_up} given up: {}", fault.as_deref().unwrap_or("well"))
    }
}

impl LivingTopic {
    pub fn start(rig: &Rig, number: usize, care: Care) -> LivingTopic {
        let retention = RETENTION_BYTES.to_string();
        let (name, mut configs) = match care {
            Care::Compacted => (
                format!("compacted-{number}"),
                vec![("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")],
            ),
            Care::Retained => {
                (format!("retained-{number}"), vec![("cleanup.policy", "delete"), ("retention.bytes", &*retention)])
            }
        };
        configs.extend(TINY_SEGMENTS);
        rig.create_topic(&name, 1, &configs);
        let mut options = LoadOptions::new(&name, 1);
        options.value_bytes = VALUE_BYTES;
        options.keys = KEYS;
        // It goes on beside the others: batches of few records.
        options.on_the_way_max = 5;
        LivingTopic { load: Load::start(&rig.cluster.bootstrap_servers(), options), name, care }
    }

    /// Waits until old records have begun to go on one of these nodes.
    pub fn wait_until_records_go(&self, rig: &Rig, nodes: &[usize]) {
        let folder = format!("{}-0", self.name);
        let has_deleted = |at: &usize| {
            let files = std::fs::read_dir(rig.data_of(*at).join(&folder)).into_iter().flatten().flatten();
            files.map(|file| file.path()).any(|path| path.extension().is_some_and(|suffix| suffix == "deleted"))
        };
        wait_until(&format!("segments of {} to be deleted", self.name), PATIENCE, || nodes.iter().any(has_deleted));
    }

    /// Waits until it was written anew, ends the writer, and holds what is there against what was acknowledged.
    pub fn finish(self, bootstrap: &str) -> LifeReport {
        self.load.wait_for_acks(50, PATIENCE);
        let report = self.load.stop();
        let runtime = Runtime::new().expect("a runtime can be made");
        let give_up = Instant::now() + LOSS_PATIENCE;
        loop {
            let read = runtime.block_on(read(bootstrap, &self.name, self.care));
            let judged = match read {
                Ok((found, log_start)) => judge(self.care, &report.history, &found, log_start),
                Err(error) => Err(error.to_string()),
            };
            if judged.is_ok() || Instant::now() > give_up {
                return LifeReport {
                    topic: self.name,
                    care: self.care,
                    acked: report.history.len(),
                    gone: *judged.as_ref().unwrap_or(&0),
                    given_up: report.given_up.len(),
                    fault: judged.err(),
                };
            }
        }
    }
}

/// Every record there is, and where the log starts on all live replicas.
async fn read(bootstrap: &str, topic: &str, care: Care) -> Result<(Vec<Found>, i64), ClientError> {
    let mut found = read_log(bootstrap, topic, 1, PATIENCE).await?;
    found.iter_mut().for_each(|record| record.name.truncate(record.name.trim_end().len()));
    if care == Care::Compacted {
        return Ok((found, 0));
    }
    // Deleting nothing tells where the logs start.
    let client = Client::connect(bootstrap, ClientOptions::default()).await?;
    let at = TopicPartition { topic: topic.into(), partition: 0 };
    let mut deleted = client.delete_records(&[(at.clone(), 0)].into()).await;
    let log_start = deleted.remove(&at).unwrap_or(Err(ClientError::Closed))?;
    Ok((found, log_start))
}

/// How many acked records went, all of them rightly; else what is wrong.
fn judge(care: Care, history: &History, found: &[Found], log_start: i64) -> Result<usize, String> {
    let mut verdict = history.judge(found);
    let gone = verdict.lost.len();
    match care {
        Care::Compacted => keep_newest_of_keys(history, &mut verdict),
        Care::Retained => {
            let offsets: HashMap<&str, Option<i64>> = history.acked().map(|(_, name, offset)| (name, offset)).collect();
            let is_above = |name: &String| offsets.get(&**name).is_none_or(|offset| *offset >= Some(log_start));
            verdict.lost.retain(is_above);
            let first = found.first().map(|record| record.offset);
            if first != Some(log_start) {
                return Err(format!("the log starts at {log_start}, its first record is at {first:?}"));
            }
            if log_start > 0 && found.len() * (VALUE_BYTES + OVERHEAD_BYTES_MAX) < RETENTION_BYTES {
                return Err(format!("only {} records are left, from {log_start} on", found.len()));
            }
        }
    }
    if verdict.is_clean() { Ok(gone) } else { Err(verdict.to_string()) }
}

/// Of what is lost only the newest acknowledged record of a key counts.
fn keep_newest_of_keys(history: &History, verdict: &mut Verdict) {
    let newest: HashMap<usize, &str> = history.acked().map(|(_, name, _)| (key_of(name, KEYS), name)).collect();
    verdict.lost.retain(|name| newest.get(&key_of(name, KEYS)) == Some(&&**name));
}

mod tests {
    use raftsman_testkit::Outcome;

    use super::*;

    /// Records 0 to `count`, each acknowledged at the offset of its number.
    fn acked(count: usize) -> History {
        let mut history = History::default();
        for number in 0..count {
            history.send(0, format!("0-{number}"));
            history.settle(&format!("0-{number}"), Outcome::Acked(Some(number as i64)));
        }
        history
    }

    fn found(numbers: impl IntoIterator<Item = usize>) -> Vec<Found> {
        let record = |number| Found { partition: 0, offset: number as i64, name: format!("0-{number}") };
        numbers.into_iter().map(record).collect()
    }

    #[test]
    fn of_a_compacted_topic_only_the_newest_of_a_key_is_missed() {
        let history = acked(5 * KEYS);
        let newest = || 4 * KEYS..5 * KEYS;
        assert_eq!(judge(Care::Compacted, &history, &found(newest()), 0), Ok(4 * KEYS));
        assert_eq!(judge(Care::Compacted, &history, &found((3..20).chain(newest())), 0), Ok(4 * KEYS - 17));
        // An older one of its key stands in for it.
        let instead = (3 * KEYS + 2..3 * KEYS + 3).chain(newest().filter(|number| *number != 4 * KEYS + 2));
        let fault = judge(Care::Compacted, &history, &found(instead), 0).expect_err("the newest is gone");
        assert!(fault.contains("1 lost [0-30]"), "{fault}");
        let fault = judge(Care::Compacted, &history, &found(4 * KEYS..5 * KEYS - 1), 0).expect_err("the last is gone");
        assert!(fault.contains("unseen [0-34]"), "{fault}");
        let mut moved = found(newest());
        moved[0].offset -= 1;
        assert!(judge(Care::Compacted, &history, &moved, 0).is_err(), "it was acked at another offset");
    }

    #[test]
    fn of_a_topic_with_retention_all_from_its_start_on_is_missed() {
        let history = acked(1000);
        assert_eq!(judge(Care::Retained, &history, &found(600..1000), 600), Ok(600));
        assert!(judge(Care::Retained, &history, &found((600..700).chain(701..1000)), 600).is_err(), "one is missing");
        assert!(judge(Care::Retained, &history, &found(601..1000), 600).is_err(), "the first one is missing");
        assert!(judge(Care::Retained, &history, &found(600..999), 600).is_err(), "the last one is missing");
        assert!(judge(Care::Retained, &history, &found(990..1000), 990).is_err(), "too much is gone");
        assert!(judge(Care::Retained, &history, &found([]), 0).is_err(), "all is gone");
    }
}
