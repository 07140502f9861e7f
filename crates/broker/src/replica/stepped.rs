//! The replicas of a broker without threads, tasks, sockets or clocks of their own: for simulations.
//!
//! Everything but the shell is what ships: appends, idempotence, waiting for commits, group commit, ISR proposals, role
//! changes, truncation, taking up metadata, starting and stopping. Whoever holds a [`SteppedReplicas`] does what the
//! shell would do, one step at a time and in whatever order it likes:
//!
//! - [`begin_flush`](SteppedReplicas::begin_flush) and [`Flush::complete`] stand for the flusher's thread,
//!   [`keep_house`](SteppedReplicas::keep_house) for the housekeeping's;
//! - [`begin_cleaning`](SteppedReplicas::begin_cleaning) and [`clean`](SteppedReplicas::clean) stand for the cleaner's thread;
//! - [`isr_request`](SteppedReplicas::isr_request) and [`IsrRequest::answered`] for the task that talks to the controller, of
//!   which there is one: it waits for the answer before it asks again;
//! - [`wanted_streams`](SteppedReplicas::wanted_streams), [`dial`](SteppedReplicas::dial) and [`FollowerStream`] for the
//!   task that keeps a stream to each leader, [`accept`](SteppedReplicas::accept) and [`AcceptedStream`] for the gRPC service.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use raftsman_log::dir::LogDirectory;
use raftsman_log::{Pace, ReadError, Stopped};
use raftsman_rpc::replica as pb;
use raftsman_types::{BrokerEpoch, BrokerId, LeaderEpoch, MonotonicTime, Offset, PartitionEpoch, TopicIdPartition};
use tokio::sync::oneshot;
use tonic::Status;

use super::cleaner::Cleaner;
use super::flusher::FlushRound;
use super::follower_end::{FollowerEnd, FollowerFrames};
use super::housekeeping::Housekeeping;
use super::isr_queue::IsrBatch;
use super::leader_end::{LeaderEnd, LeaderFrames};
use super::partition::{CompactionRun, Partition};
use super::shell::Shell;
use super::waiters::CommitOutcome;
use super::{
    AppendError, Clock, ControllerLink, DeleteRecordsError, IsrChange, IsrChangeFailure, IsrChangeResult, OpenError,
    RecordsDeleted, ReplicaConfig, ReplicaManager,
};

/// The replicas of a simulated broker.
pub struct SteppedReplicas {
    manager: ReplicaManager,
    housekeeping: Housekeeping,
    cleaner: Cleaner,
}

/// What became of a wait for a commit so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitState {
    /// Nothing yet.
    Waiting,
    /// The records are committed.
    Committed,
    /// They may be or not, and nobody here will tell.
    Failed(AppendError),
}

/// A wait for a commit.
#[derive(Debug)]
pub struct CommitWait(Option<oneshot::Receiver<CommitOutcome>>);

impl CommitWait {
    /// How it stands. Once it is not [`Waiting`](CommitState::Waiting) it is not asked again.
    pub fn state(&mut self) -> CommitState {
        let Some(receiver) = &mut self.0 else { return CommitState::Committed };
        match receiver.try_recv() {
            Ok(Ok(())) => CommitState::Committed,
            Ok(Err(error)) => CommitState::Failed(error),
            Err(oneshot::error::TryRecvError::Empty) => CommitState::Waiting,
            // The replica went away with all who waited on it.
            Err(oneshot::error::TryRecvError::Closed) => CommitState::Failed(AppendError::NotLeaderOrFollower),
        }
    }
}

/// A wait until deleted records are gone from every live replica.
pub struct DeletionWait {
    partition: Arc<Partition>,
    before: Offset,
    receiver: Option<oneshot::Receiver<CommitOutcome>>,
}

impl DeletionWait {
    /// The low watermark once it is there, as [`ReplicaManager::deleted`] answers it; `None` before. Then it is not asked again.
    ///
    /// # Errors
    /// As there.
    pub fn state(&mut self) -> Option<Result<Offset, DeleteRecordsError>> {
        match self.receiver.as_mut().map(oneshot::Receiver::try_recv) {
            None | Some(Ok(Ok(()))) => Some(Ok(self.low_watermark().unwrap_or(self.before).max(self.before))),
            Some(Ok(Err(error))) => Some(Err(error.into())),
            Some(Err(oneshot::error::TryRecvError::Empty)) => None,
            Some(Err(oneshot::error::TryRecvError::Closed)) => Some(Err(DeleteRecordsError::NotLeaderOrFollower)),
        }
    }

    /// What the leader's machine says now: less than what was answered if a broker that returned has older records.
    pub fn low_watermark(&self) -> Option<Offset> {
        self.partition.low_watermark()
    }
}

/// Where a stream to a leader should lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedStream {
    /// The leader.
    pub leader: BrokerId,
    /// The host of its inter-broker listener.
    pub host: Arc<str>,
    /// The port of its inter-broker listener.
    pub port: u16,
}

/// A replica as it is, for whoever checks what must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaInspection {
    /// Set if it leads.
    pub leader: Option<LeaderInspection>,
    /// Whom it follows in which epoch, if it does.
    pub follows: Option<(BrokerId, LeaderEpoch)>,
    /// The newest leader epoch that the metadata told.
    pub leader_epoch: LeaderEpoch,
    /// The newest leader epoch that the log knows.
    pub log_epoch: LeaderEpoch,
    /// Everything below is committed, as far as the replica knows.
    pub high_watermark: Offset,
    /// The log's first offset.
    pub log_start_offset: Offset,
    /// Everything below is on the disk.
    pub flushed_offset: Offset,
    /// The offset after the last record.
    pub log_end_offset: Offset,
    /// Rises whenever the log is cut or begun anew.
    pub cuts: u64,
    /// Rises whenever a compacted segment takes its place.
    pub swaps: u64,
    /// Its directory failed.
    pub is_offline: bool,
}

/// What a leader goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderInspection {
    /// The epoch it leads in.
    pub leader_epoch: LeaderEpoch,
    /// The ISR as it was committed last.
    pub committed_isr: Vec<BrokerId>,
    /// The ISR its watermark counts: what is committed, and what may be.
    pub maximal_isr: Vec<BrokerId>,
    /// The partition epoch of the committed ISR.
    pub partition_epoch: PartitionEpoch,
}

impl SteppedReplicas {
    /// Opens the replicas in these directories, as [`ReplicaManager::open`] does.
    ///
    /// # Errors
    /// As there.
    pub fn open(
        config: ReplicaConfig,
        directories: Vec<LogDirectory>,
        link: Arc<dyn ControllerLink>,
        clock: Arc<dyn Clock>,
    ) -> Result<SteppedReplicas, OpenError> {
        // A key of its own for each run would give the keys' hashes another order in each.
        let cleaner = Cleaner::new(config.cleaner, [0x5e; 16]);
        let manager = ReplicaManager::open_in(Shell::Stepped, config, directories, link, clock)?;
        let housekeeping = Housekeeping::new(manager.core());
        Ok(SteppedReplicas { manager, housekeeping, cleaner })
    }

    /// The replicas, as request handlers and the metadata's publisher see them.
    pub fn manager(&self) -> &ReplicaManager {
        &self.manager
    }

    /// The broker epoch these replicas act under.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.manager.core().broker_epoch()
    }

    /// The controller answered a heartbeat that was sent at this time: as [`ReplicaManager::controller_heard`].
    pub fn controller_heard(&self, sent: MonotonicTime, fenced: bool) -> bool {
        self.manager.core().controller_heard(sent, fenced)
    }

    /// Whether leaders here may serve: the controller was heard of within a session.
    pub fn may_serve(&self) -> bool {
        self.manager.core().may_serve()
    }

    /// Begins to wait for the commit of what was appended.
    ///
    /// # Errors
    /// As [`ReplicaManager::committed`].
    pub fn wait_for_commit(
        &self,
        at: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        last_offset: Offset,
    ) -> Result<CommitWait, AppendError> {
        let partition = self.manager.partition(at).ok_or(AppendError::NotLeaderOrFollower)?;
        partition.wait_for_commit(leader_epoch, last_offset).map(CommitWait)
    }

    /// Begins to wait until deleted records are gone everywhere.
    ///
    /// # Errors
    /// As [`ReplicaManager::deleted`].
    pub fn wait_for_deletion(
        &self,
        at: TopicIdPartition,
        deleted: RecordsDeleted,
    ) -> Result<DeletionWait, DeleteRecordsError> {
        let partition = self.manager.partition(at).ok_or(DeleteRecordsError::NotLeaderOrFollower)?;
        let receiver = partition.wait_for_deletion(deleted)?.err();
        Ok(DeletionWait { partition, before: deleted.before, receiver })
    }

    /// A replica as it is; `None` if there is none here.
    pub fn inspect(&self, at: TopicIdPartition) -> Option<ReplicaInspection> {
        self.manager.partition(at).map(|partition| partition.inspect())
    }

    /// Batches of a replica's log from an offset on, committed or not.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn inspect_log(&self, at: TopicIdPartition, from: Offset, max_bytes: usize) -> Result<Vec<Bytes>, ReadError> {
        self.manager.partition(at).map_or(Ok(Vec::new()), |partition| partition.inspect_log(from, max_bytes))
    }

    /// Does what is wanted and due. To be called every 100 ms or so; sooner after
    /// [`is_urgent`](SteppedReplicas::is_urgent).
    pub fn keep_house(&mut self) {
        let wanted = self.manager.core().attention.take();
        self.housekeeping.keep(&self.manager.inner, wanted);
    }

    /// Whether the housekeeping's thread would wake at once.
    pub fn is_urgent(&self) -> bool {
        self.manager.core().attention.is_urgent()
    }

    /// Begins one group commit of each directory that has something to flush. The thread of a directory completes one
    /// before it begins the next.
    pub fn begin_flush(&self) -> Vec<Flush> {
        let mut flushes = Vec::new();
        for (index, directory) in self.manager.inner.directories.iter().enumerate() {
            let dirty = directory.flushes.take();
            if !dirty.is_empty() && !directory.is_offline() {
                flushes
                    .push(Flush { directory: index, round: FlushRound::begin(self.manager.core(), directory, dirty) });
            }
        }
        flushes
    }

    /// Begins a compaction of the log whose turn it is. The cleaner's thread ends one before it begins the next.
    pub fn begin_cleaning(&self) -> Option<Cleaning> {
        self.cleaner.choose(&self.manager.inner).map(Cleaning)
    }

    /// Takes a compaction one step further; `None` once it is over. Between two steps anything may happen to the log.
    pub fn clean(&self, mut cleaning: Cleaning) -> Option<Cleaning> {
        let outcome = match cleaning.0.step(&Unhurried) {
            Ok(true) => return Some(cleaning),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        self.cleaner.ended(&cleaning.0, &outcome);
        None
    }

    /// The next request for the controller, if there is something to ask for.
    pub fn isr_request(&self) -> Option<IsrRequest> {
        self.manager.core().isr_queue.take().map(IsrRequest)
    }

    /// The streams that are wanted now. The task that keeps one dials again, after a pause, when it has broken.
    pub fn wanted_streams(&self) -> Vec<WantedStream> {
        let streams = self.manager.inner.streams.lock();
        let wanted = streams.values().filter_map(|stream| stream.wanted_now().map(|target| (stream.leader, target)));
        wanted.map(|(leader, target)| WantedStream { leader, host: target.host, port: target.port }).collect()
    }

    /// Begins a connection to a leader that is wanted; `None` if there never was a stream to it.
    pub fn dial(&self, leader: BrokerId) -> Option<FollowerStream> {
        let stream = self.manager.inner.streams.lock().get(&leader).cloned()?;
        let end = FollowerEnd::begin(self.manager.core(), &stream);
        let frames = end.frames();
        Some(FollowerStream { end, frames })
    }

    /// Takes in a follower's connection with its first frame.
    ///
    /// # Errors
    /// What the follower is told if another broker or another cluster is meant.
    pub fn accept(&self, first: pb::FollowerFrame) -> Result<AcceptedStream, Status> {
        let end = LeaderEnd::open(&self.manager, first)?;
        let frames = end.frames();
        Ok(AcceptedStream { end, frames })
    }
}

/// A compaction under way.
pub struct Cleaning(CompactionRun);

/// How fast a compaction may be is no matter of a step.
struct Unhurried;

impl Pace for Unhurried {
    fn moved(&self, _bytes: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

/// A group commit under way.
pub struct Flush {
    /// Which of the broker's directories it is of.
    pub directory: usize,
    round: FlushRound,
}

impl Flush {
    /// Syncs, and tells the replicas.
    pub fn complete(self) {
        self.round.complete();
    }
}

/// A request of the leaders here for other in-sync replicas.
pub struct IsrRequest(IsrBatch);

impl IsrRequest {
    /// What it asks for.
    pub fn changes(&self) -> Vec<IsrChange> {
        self.0.changes()
    }

    /// Tells the leaders what became of it.
    pub fn answered(self, answer: Result<Vec<IsrChangeResult>, IsrChangeFailure>) {
        self.0.answered(answer);
    }
}

/// A follower's end of a connection to a leader.
pub struct FollowerStream {
    end: FollowerEnd,
    frames: FollowerFrames,
}

impl FollowerStream {
    /// The next frame to send, if there is something to say. The first one says hello.
    pub fn next_frame(&self) -> Option<pb::FollowerFrame> {
        ready(self.frames.poll_frame(&mut Context::from_waker(Waker::noop())))
    }

    /// The leader has answered the hello.
    pub fn stands(&mut self) {
        self.end.stands();
    }

    /// A frame of the leader's came.
    pub fn take_in(&mut self, frame: pb::LeaderFrame) {
        self.end.take_in(frame);
    }

    /// When [`retry`](FollowerStream::retry) is due, if at all.
    pub fn retry_at(&self) -> Option<MonotonicTime> {
        self.end.retry_at()
    }

    /// Those who were refused look whether it is time to ask again.
    pub fn retry(&mut self) {
        self.end.retry();
    }

    /// Whether the broker wants this connection to be given up.
    pub fn is_superseded(&self) -> bool {
        self.end.is_superseded()
    }

    /// The connection is over.
    pub fn ended(self) {
        self.end.ended();
    }
}

/// A leader's end of a follower's connection.
pub struct AcceptedStream {
    end: LeaderEnd,
    frames: LeaderFrames,
}

impl AcceptedStream {
    /// The next frame to send, if there is something to say.
    pub fn next_frame(&self) -> Option<pb::LeaderFrame> {
        ready(self.frames.poll_frame(&mut Context::from_waker(Waker::noop())))
    }

    /// A frame of the follower's came.
    pub fn take_in(&self, frame: pb::FollowerFrame) {
        self.end.take_in(frame);
    }

    /// The connection is over.
    pub fn ended(self) {
        self.end.ended();
    }
}

fn ready<T>(frame: Poll<Option<T>>) -> Option<T> {
    match frame {
        Poll::Ready(frame) => frame,
        Poll::Pending => None,
    }
}
