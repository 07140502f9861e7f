//! The group coordinator of a broker without tasks, clocks or random numbers of its own: for simulations.
//!
//! Everything but the shell is what ships: which partitions are its own, loading them, the shards, what they write and when they
//! answer. Whoever holds a [`SteppedCoordinator`] does what the tasks would do, one step at a time and in whatever order it likes:
//! [`load`](SteppedCoordinator::load) stands for the tasks that read logs, [`take_up_commits`](SteppedCoordinator::take_up_commits)
//! for those that wait for commits, [`tick`](SteppedCoordinator::tick) for the one that keeps time, a [`Question`] for a request's.

use std::sync::Arc;
use std::time::Duration;

use raftsman_coordinator::{CoordinatorConfig, Reply, Request, State};
use raftsman_metadata::{MetadataDelta, MetadataImage};
use raftsman_types::{BrokerId, LeaderEpoch, MonotonicTime, TopicIdPartition};
use rand::rngs::StdRng;
use tokio::sync::oneshot;

use super::loader::{Plan, RETRY};
use super::service::{LATE, UNANSWERED};
use super::shard_driver::{Answer, ShardDriver, Uncommitted};
use super::shell::{Shell, Work};
use super::{Asker, CoordinatorService};
use crate::replica::Clock;
use crate::replica::stepped::{CommitState, CommitWait, SteppedReplicas};

/// The groups of a simulated broker.
pub struct SteppedCoordinator {
    service: CoordinatorService,
    loads: Vec<Load>,
    commits: Vec<Commit>,
}

/// A shard that is being loaded.
struct Load {
    driver: Arc<ShardDriver>,
    stage: LoadStage,
}

enum LoadStage {
    /// Nothing is done yet, or not before this time.
    Waits(Option<MonotonicTime>),
    Commits(Plan, CommitWait),
    Reads(Plan),
    Ended,
}

/// A shard whose writes are waited for.
struct Commit {
    driver: Arc<ShardDriver>,
    stage: CommitStage,
}

enum CommitStage {
    Begins,
    Waits(Uncommitted, CommitWait),
    Pauses(MonotonicTime),
    Ended,
}

/// A request that was put to the coordinator.
#[derive(Debug)]
pub struct Question {
    request: Request,
    version: i16,
    answer: Result<Option<Answer>, oneshot::Receiver<Answer>>,
    gives_up_at: Option<MonotonicTime>,
}

impl SteppedCoordinator {
    /// A coordinator without groups over these replicas; `rng` makes the ids of new members. `answer_timeout` is
    /// `offsets.commit.timeout.ms`.
    pub fn new(
        config: CoordinatorConfig,
        answer_timeout: Duration,
        broker_id: BrokerId,
        replicas: &SteppedReplicas,
        clock: Arc<dyn Clock>,
        rng: StdRng,
    ) -> SteppedCoordinator {
        let log = Arc::new(replicas.manager().clone());
        let shell = Shell::stepped(rng);
        let service = CoordinatorService::within(shell, log, config, broker_id, answer_timeout, clock);
        SteppedCoordinator { service, loads: Vec::new(), commits: Vec::new() }
    }

    /// Takes a change of the metadata, which the replicas have taken before: as [`CoordinatorService::publish`].
    pub fn publish(&mut self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        self.service.publish(delta, image);
        self.collect();
    }

    /// Puts a request to the coordinator.
    pub fn ask(&mut self, asker: &Asker, request: Request) -> Question {
        let shared = &self.service.shared;
        let gives_up_at = shared.patience(&request).map(|patience| shared.now().monotonic + patience);
        let answer = self.service.put(asker, &request).map(Some);
        self.collect();
        Question { request, version: asker.version, answer, gives_up_at }
    }

    /// Whether a shard is to be loaded, or may be a step further.
    pub fn wants_load(&self) -> bool {
        !self.loads.is_empty()
    }

    /// Takes every load as far as it goes now.
    pub fn load(&mut self, replicas: &SteppedReplicas) {
        for load in &mut self.loads {
            load.advance(&self.service, replicas);
        }
        self.loads.retain(|load| !matches!(load.stage, LoadStage::Ended));
        self.collect();
    }

    /// Tells shards which of their writes are committed by now.
    pub fn take_up_commits(&mut self, replicas: &SteppedReplicas) {
        for commit in &mut self.commits {
            commit.advance(&self.service, replicas);
        }
        self.commits.retain(|commit| !matches!(commit.stage, CommitStage::Ended));
        self.collect();
    }

    /// Does what is due.
    pub fn tick(&mut self) {
        let now = self.service.shared.now().monotonic;
        for driver in self.service.shared.drivers() {
            driver.tick(now);
        }
        self.collect();
    }

    /// When [`tick`](SteppedCoordinator::tick) has something to do.
    pub fn next_deadline(&self) -> Option<MonotonicTime> {
        self.service.shared.drivers().iter().filter_map(|driver| driver.next_deadline()).min()
    }

    /// Shows each partition that is served, the epoch it is led in, how often its memory was made anew, and what it knows.
    pub fn inspect(&self, mut look: impl FnMut(TopicIdPartition, LeaderEpoch, u64, &State)) {
        for driver in self.service.shared.drivers() {
            driver.inspect(|incarnation, state| {
                if let Some(state) = state {
                    look(driver.at, driver.leader_epoch, incarnation, state);
                }
            });
        }
    }

    /// Takes over what tasks would have been begun for.
    fn collect(&mut self) {
        let Shell::Stepped(work) = &self.service.shared.shell else { return };
        let Work { loads, commits, .. } = &mut *work.lock();
        self.loads.extend(loads.drain(..).map(|driver| Load { driver, stage: LoadStage::Waits(None) }));
        self.commits.extend(commits.drain(..).map(|driver| Commit { driver, stage: CommitStage::Begins }));
    }
}

impl Drop for SteppedCoordinator {
    fn drop(&mut self) {
        // Drivers and what they share hold each other.
        self.service.shutdown();
        self.collect();
    }
}

impl Load {
    fn advance(&mut self, service: &CoordinatorService, replicas: &SteppedReplicas) {
        let shared = &service.shared;
        let now = shared.now().monotonic;
        let (at, leader_epoch) = (self.driver.at, self.driver.leader_epoch);
        loop {
            if self.driver.is_retired() {
                self.stage = LoadStage::Ended;
            }
            // Set anew by each arm that goes on.
            let again = LoadStage::Waits(Some(now + RETRY));
            self.stage = match std::mem::replace(&mut self.stage, LoadStage::Ended) {
                LoadStage::Waits(Some(until)) if now < until => LoadStage::Waits(Some(until)),
                LoadStage::Waits(_) => match Plan::make(&*shared.log, at, leader_epoch) {
                    Err(_) => again,
                    Ok(plan) => match plan.must_commit() {
                        None => LoadStage::Reads(plan),
                        Some(last) => match replicas.wait_for_commit(at, leader_epoch, last) {
                            Ok(wait) => LoadStage::Commits(plan, wait),
                            Err(_) => again,
                        },
                    },
                },
                LoadStage::Commits(plan, mut wait) => match wait.state() {
                    CommitState::Waiting => LoadStage::Commits(plan, wait),
                    CommitState::Committed => LoadStage::Reads(plan),
                    CommitState::Failed(_) => again,
                },
                LoadStage::Reads(plan) => match plan.read(&*shared.log) {
                    Ok(state) => {
                        self.driver.activate(state);
                        LoadStage::Ended
                    }
                    Err(_) => again,
                },
                LoadStage::Ended => LoadStage::Ended,
            };
            if !matches!(self.stage, LoadStage::Reads(_)) {
                return;
            }
        }
    }
}

impl Commit {
    fn advance(&mut self, service: &CoordinatorService, replicas: &SteppedReplicas) {
        let now = service.shared.now().monotonic;
        loop {
            self.stage = match std::mem::replace(&mut self.stage, CommitStage::Ended) {
                CommitStage::Pauses(until) if now < until => CommitStage::Pauses(until),
                CommitStage::Begins | CommitStage::Pauses(_) => match self.driver.next_uncommitted() {
                    None => CommitStage::Ended,
                    Some(newest) => {
                        let (at, epoch) = (self.driver.at, self.driver.leader_epoch);
                        match replicas.wait_for_commit(at, epoch, newest.last_offset) {
                            Ok(wait) => CommitStage::Waits(newest, wait),
                            Err(error) => self.ended(newest, Err(error), now),
                        }
                    }
                },
                CommitStage::Waits(newest, mut wait) => match wait.state() {
                    CommitState::Waiting => CommitStage::Waits(newest, wait),
                    CommitState::Committed => self.ended(newest, Ok(()), now),
                    CommitState::Failed(error) => self.ended(newest, Err(error), now),
                },
                CommitStage::Ended => CommitStage::Ended,
            };
            match &self.stage {
                CommitStage::Begins => {}
                CommitStage::Waits(..) | CommitStage::Pauses(_) | CommitStage::Ended => return,
            }
        }
    }

    fn ended(
        &self,
        newest: Uncommitted,
        outcome: Result<(), crate::replica::AppendError>,
        now: MonotonicTime,
    ) -> CommitStage {
        let pause = self.driver.commit_ended(newest, outcome);
        pause.map_or(CommitStage::Begins, |pause| CommitStage::Pauses(now + pause))
    }
}

impl Question {
    /// The answer, once it is there.
    pub fn poll(&mut self, now: MonotonicTime) -> Option<Reply> {
        let answer = match &mut self.answer {
            Ok(answer) => answer.take()?,
            Err(receiver) => match receiver.try_recv() {
                Ok(answer) => answer,
                Err(oneshot::error::TryRecvError::Closed) => Err(UNANSWERED),
                Err(oneshot::error::TryRecvError::Empty) if self.gives_up_at.is_some_and(|at| now >= at) => Err(LATE),
                Err(oneshot::error::TryRecvError::Empty) => return None,
            },
        };
        Some(answer.unwrap_or_else(|error| self.request.refusal(self.version, error)))
    }
}
