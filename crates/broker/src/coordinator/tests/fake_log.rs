use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use raftsman_records::{BatchHeader, patch_base_offset_and_epoch};
use raftsman_types::{LeaderEpoch, Offset, TopicIdPartition};
use tokio::sync::watch;

use super::super::OffsetsLog;
use crate::replica::{AppendError, Appended, FetchError, Fetched, PartitionState, ReplicaRole};

/// A log for every partition at once, of which a test says what is committed and what fails.
pub struct FakeLog {
    inner: Mutex<Inner>,
    /// Everything below is committed; `Err` ends all waiting.
    committed: watch::Sender<Result<Offset, AppendError>>,
}

struct Inner {
    batches: Vec<(Offset, Bytes)>,
    end: Offset,
    commits_at_once: bool,
    serves: bool,
    leader_epoch: LeaderEpoch,
    failures: VecDeque<AppendError>,
}

impl Default for FakeLog {
    fn default() -> FakeLog {
        let inner = Inner {
            batches: Vec::new(),
            end: 0,
            commits_at_once: true,
            serves: true,
            leader_epoch: LeaderEpoch(1),
            failures: VecDeque::new(),
        };
        FakeLog { inner: Mutex::new(inner), committed: watch::Sender::new(Ok(0)) }
    }
}

impl FakeLog {
    pub fn hold_commits(&self) {
        self.inner.lock().commits_at_once = false;
    }

    /// Commits everything, and from now on at once.
    pub fn release_commits(&self) {
        let mut inner = self.inner.lock();
        inner.commits_at_once = true;
        drop(self.committed.send_replace(Ok(inner.end)));
    }

    pub fn fail_commits(&self, error: AppendError) {
        drop(self.committed.send_replace(Err(error)));
    }

    pub fn fail_next_append(&self, error: AppendError) {
        self.inner.lock().failures.push_back(error);
    }

    pub fn lead(&self, epoch: i32, serves: bool) {
        let mut inner = self.inner.lock();
        (inner.leader_epoch, inner.serves) = (LeaderEpoch(epoch), serves);
    }

    /// How many batches are in the log.
    pub fn batch_count(&self) -> usize {
        self.inner.lock().batches.len()
    }

    /// Puts a batch into the log as somebody else wrote it.
    pub fn put(&self, batch: Bytes) -> Offset {
        self.put_into(&mut self.inner.lock(), batch)
    }

    fn put_into(&self, inner: &mut Inner, batch: Bytes) -> Offset {
        let mut bytes = batch.to_vec();
        let base = inner.end;
        patch_base_offset_and_epoch(&mut bytes, base, inner.leader_epoch);
        let last = BatchHeader::parse(&bytes).unwrap().last_offset();
        inner.end = last + 1;
        inner.batches.push((base, Bytes::from(bytes)));
        if inner.commits_at_once {
            drop(self.committed.send_replace(Ok(inner.end)));
        }
        last
    }

    fn high_watermark(&self) -> Offset {
        self.committed.borrow().clone().unwrap_or(0)
    }
}

impl OffsetsLog for FakeLog {
    fn append(&self, _at: TopicIdPartition, leader_epoch: LeaderEpoch, batch: Bytes) -> Result<Appended, AppendError> {
        let mut inner = self.inner.lock();
        if inner.leader_epoch != leader_epoch {
            return Err(AppendError::NotLeaderOrFollower);
        }
        if let Some(error) = inner.failures.pop_front() {
            return Err(error);
        }
        let base_offset = inner.end;
        let last_offset = self.put_into(&mut inner, batch);
        Ok(Appended {
            base_offset,
            last_offset,
            log_append_time_ms: -1,
            log_start_offset: 0,
            leader_epoch: inner.leader_epoch,
            duplicate: false,
        })
    }

    fn committed(
        &self,
        _at: TopicIdPartition,
        _leader_epoch: LeaderEpoch,
        last_offset: Offset,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), AppendError>> {
        let mut committed = self.committed.subscribe();
        async move {
            let reached = committed.wait_for(|upto| !matches!(upto, Ok(upto) if *upto <= last_offset));
            match tokio::time::timeout(timeout, reached).await {
                Ok(Ok(outcome)) => outcome.clone().map(|_| ()),
                Ok(Err(_)) => Err(AppendError::NotLeaderOrFollower),
                Err(_) => Err(AppendError::TimedOut),
            }
        }
        .boxed()
    }

    fn read(
        &self,
        _at: TopicIdPartition,
        _leader_epoch: LeaderEpoch,
        from: Offset,
        _max_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        let high_watermark = self.high_watermark();
        let inner = self.inner.lock();
        // One batch at a time, so that every load takes several reads.
        let found = inner.batches.iter().position(|(base, _)| *base >= from).filter(|_| from < high_watermark);
        let chunks: Vec<Bytes> = found.map(|index| inner.batches[index].1.clone()).into_iter().collect();
        let next = found.and_then(|index| inner.batches.get(index + 1)).map_or(inner.end, |(base, _)| *base);
        Ok(Fetched { chunks, next_offset: next, high_watermark, ..Fetched::default() })
    }

    fn state(&self, _at: TopicIdPartition) -> Option<PartitionState> {
        let inner = self.inner.lock();
        Some(PartitionState {
            role: if inner.serves { ReplicaRole::Leader } else { ReplicaRole::Follower },
            leader_epoch: inner.leader_epoch,
            high_watermark: self.high_watermark(),
            log_end_offset: inner.end,
            flushed_offset: inner.end,
            log_start_offset: 0,
            in_sync: 1,
        })
    }

    fn is_serving(&self, _at: TopicIdPartition, leader_epoch: LeaderEpoch) -> bool {
        let inner = self.inner.lock();
        inner.serves && inner.leader_epoch == leader_epoch
    }
}
