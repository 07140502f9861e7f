use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raftsman_coordinator::{Record, State};
use raftsman_records::{BatchError, ControlRecordType, RecordBatch, split_batches};
use raftsman_types::{LeaderEpoch, Offset, ProducerId, TopicIdPartition};

use super::OffsetsLog;
use super::service::Shared;
use super::shard_driver::ShardDriver;
use crate::replica::{AppendError, FetchError, ReplicaRole};

/// Bytes of one read (`offsets.load.buffer.size`).
const READ_BYTES: usize = 5 << 20;
/// The pause before a failed load is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(200);
/// How long the commit of what was there before is waited for at a time.
const COMMIT_WAIT: Duration = Duration::from_secs(10);

/// Why a partition could not be loaded. Each is tried again while this broker leads.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("this broker does not lead the partition yet")]
    NotLeader,
    #[error("what the last leader wrote is not committed: {0}")]
    NotCommitted(#[from] AppendError),
    #[error("the log could not be read: {0}")]
    Read(#[from] FetchError),
    #[error("the log holds a damaged batch: {0}")]
    Damaged(#[from] BatchError),
    #[error("the log ends at offset {found} and should go on to {expected}")]
    Short { found: Offset, expected: Offset },
    #[error("the broker is stopping")]
    Stopping,
}

/// Loads a shard in the background and activates it, unless it is retired before.
pub(super) async fn run(shared: Arc<Shared>, driver: Arc<ShardDriver>) {
    let started = Instant::now();
    while !driver.is_retired() {
        match load(&shared, driver.at, driver.leader_epoch).await {
            Ok(state) => {
                let (groups, ms) = (state.groups().count(), started.elapsed().as_millis());
                // A broker leads dozens of these, most of them empty.
                if groups > 0 {
                    tracing::info!(partition = driver.at.partition, groups, ms, "group coordinator loaded");
                }
                driver.activate(state);
                return;
            }
            Err(error) => {
                tracing::debug!(partition = driver.at.partition, "group coordinator not loaded: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn load(shared: &Arc<Shared>, at: TopicIdPartition, leader_epoch: LeaderEpoch) -> Result<State, LoadError> {
    let log = Arc::clone(&shared.log);
    let plan = Plan::make(&*log, at, leader_epoch)?;
    if let Some(last_offset) = plan.must_commit() {
        log.committed(at, leader_epoch, last_offset, COMMIT_WAIT).await?;
    }
    // Reading blocks, and a broker that takes over all partitions of another one has much to read.
    let _place = shared.loads.acquire().await.map_err(|_| LoadError::Stopping)?;
    tokio::task::spawn_blocking(move || plan.read(&*log)).await.map_err(|_| LoadError::Stopping)?
}

/// What a shard is to be made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    at: TopicIdPartition,
    leader_epoch: LeaderEpoch,
    start: Offset,
    end: Offset,
}

impl Plan {
    /// Everything in the log of a leader in this epoch: nobody but its shard, which is not there yet, adds to it.
    pub fn make(log: &dyn OffsetsLog, at: TopicIdPartition, leader_epoch: LeaderEpoch) -> Result<Plan, LoadError> {
        let now = log.state(at).filter(|state| state.role == ReplicaRole::Leader).ok_or(LoadError::NotLeader)?;
        if now.leader_epoch != leader_epoch {
            return Err(LoadError::NotLeader);
        }
        Ok(Plan { at, leader_epoch, start: now.log_start_offset, end: now.log_end_offset })
    }

    /// What has to be committed before it is read: nothing may be served that a later leader would not know.
    pub fn must_commit(&self) -> Option<Offset> {
        (self.end > self.start).then_some(self.end - 1)
    }

    /// Adds up what is in the log.
    pub fn read(&self, log: &dyn OffsetsLog) -> Result<State, LoadError> {
        read_all(log, self.at, self.leader_epoch, self.start, self.end)
    }
}

/// Replays everything from `start` to `end`.
pub(super) fn read_all(
    log: &dyn OffsetsLog,
    at: TopicIdPartition,
    leader_epoch: LeaderEpoch,
    start: Offset,
    end: Offset,
) -> Result<State, LoadError> {
    let mut replayer = Replayer::default();
    let mut next = start;
    while next < end {
        let fetched = log.read(at, leader_epoch, next, READ_BYTES)?;
        if fetched.next_offset <= next {
            return Err(LoadError::Short { found: next, expected: end });
        }
        for chunk in fetched.chunks {
            replayer.replay_batches(chunk)?;
        }
        next = fetched.next_offset;
    }
    Ok(replayer.finish())
}

/// Adds records up; those of a transaction once it is committed.
#[derive(Default)]
struct Replayer {
    state: State,
    open: HashMap<ProducerId, Vec<Record>>,
    unknown: u64,
}

impl Replayer {
    fn replay_batches(&mut self, bytes: Bytes) -> Result<(), LoadError> {
        for batch in split_batches(bytes, false) {
            let batch = batch?;
            if batch.is_control() {
                self.end_transaction(&batch)?;
            } else {
                self.replay_batch(&batch)?;
            }
        }
        Ok(())
    }

    fn replay_batch(&mut self, batch: &RecordBatch) -> Result<(), LoadError> {
        for record in batch.records() {
            let record = record?;
            let Some(key) = record.key else { continue };
            let decoded = match Record::decode(key, record.value) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => {
                    self.unknown += 1;
                    continue;
                }
                Err(error) => {
                    // Refusing the whole partition would take every group in it down with this one record.
                    tracing::error!(offset = record.offset, "a record of the offsets topic is left out: {error}");
                    continue;
                }
            };
            if batch.is_transactional() {
                self.open.entry(batch.header().producer_id).or_default().push(decoded);
            } else {
                self.state.replay(&decoded);
            }
        }
        Ok(())
    }

    fn end_transaction(&mut self, batch: &RecordBatch) -> Result<(), LoadError> {
        let Some(marker) = batch.control_record()? else { return Ok(()) };
        let records = self.open.remove(&batch.header().producer_id).unwrap_or_default();
        if marker.control_type == ControlRecordType::Commit {
            records.iter().for_each(|record| self.state.replay(record));
        }
        Ok(())
    }

    fn finish(self) -> State {
        if self.unknown > 0 {
            let records = self.unknown;
            tracing::warn!(records, "records of group types that this version does not serve were left alone");
        }
        if !self.open.is_empty() {
            let transactions = self.open.len();
            tracing::warn!(transactions, "offsets of transactions that are still open were left out");
        }
        self.state
    }
}
