use std::time::{Duration, Instant};

use raftsman_client::{Metadata, NewTopic};
use raftsman_testkit::disk_faults::{DiskCall, DiskFault, DiskPlace, FaultyDisk};
use raftsman_types::ErrorCode;
use rand::RngExt;
use rustix::io::Errno;

use super::{Nemesis, PATIENCE};
use crate::fault::{Disk, Target};
use crate::waiting::{last, until, until_some};
use crate::workload::{TOPIC, is_worth_a_try};

impl Nemesis<'_> {
    /// Breaks one node's disk and mends it.
    ///
    /// # Errors
    /// The node asked nothing of its disk meanwhile, or the cluster did not do without it.
    pub(super) fn break_disk(&mut self, fault: Disk, target: Target) -> Result<String, String> {
        let target = self.one(target)?;
        let disk = self.cluster.disk(target).ok_or("the nodes' disks cannot be made to fail")?.clone();
        let before = disk.hits();
        let done = match fault {
            Disk::Slow => self.slow_down(&disk, target),
            Disk::StalledFlush => {
                let long = self.duration(500..6_000);
                disk.break_down(DiskFault::Stalled(DiskCall::Flush, DiskPlace::Logs));
                last(long);
                // A load on a busy machine may write nothing for a while.
                let met = until("a flush to meet the stall", PATIENCE, || disk.hits() > before);
                disk.repair();
                met?;
                format!("flushes of node {target}'s logs stalled for {long:?}")
            }
            Disk::FailingFlush => self.fail_flushes(&disk, target)?,
            Disk::StalledStore => self.stall_store(&disk, target)?,
            Disk::FailingStore => self.fail_store(&disk, target)?,
        };
        match disk.hits() - before {
            0 => Err(format!("{done}, but it asked nothing of its disk")),
            hits => Ok(format!("{done}, {hits} calls met that")),
        }
    }

    fn slow_down(&mut self, disk: &FaultyDisk, target: i32) -> String {
        let (long, flush) = (self.duration(1_500..6_000), self.duration(20..300));
        let write = flush / 20;
        disk.break_down(DiskFault::Slow(DiskCall::Flush, DiskPlace::Everywhere, flush));
        disk.break_down(DiskFault::Slow(DiskCall::Write, DiskPlace::Everywhere, write));
        last(long);
        disk.repair();
        format!("flushes of node {target} took {flush:?} and writes {write:?} more for {long:?}")
    }

    /// Flushes fail until nobody counts on the node; then its operator puts the disk right and starts the node anew.
    fn fail_flushes(&mut self, disk: &FaultyDisk, target: i32) -> Result<String, String> {
        let broken = Instant::now();
        disk.break_down(DiskFault::Failing(DiskCall::Flush, DiskPlace::Logs, Errno::IO));
        self.wait_until_relieved(target)?;
        let relieved = broken.elapsed();
        let unseen = self.duration(0..2_500);
        last(unseen);
        disk.repair();
        self.cluster.node(target).stop(PATIENCE);
        self.cluster.node(target).start();
        Ok(format!("flushes of node {target}'s logs failed, relieved after {relieved:?}, restarted {unseen:?} later"))
    }

    fn stall_store(&mut self, disk: &FaultyDisk, target: i32) -> Result<String, String> {
        let long = self.duration(500..5_000);
        disk.break_down(DiskFault::Stalled(DiskCall::Flush, DiskPlace::Metadata));
        let took = self.create_topic_beside()?;
        last(long);
        disk.repair();
        Ok(format!("store of controller {target} stalled, a topic took {took:?}, mended {long:?} later"))
    }

    /// A controller that does not know what it has written cannot vote: its node ends.
    fn fail_store(&mut self, disk: &FaultyDisk, target: i32) -> Result<String, String> {
        disk.break_down(DiskFault::Failing(DiskCall::Flush, DiskPlace::Metadata, Errno::IO));
        let took = self.create_topic_beside()?;
        let node = self.cluster.node(target);
        until(&format!("node {target} to end"), PATIENCE, || !node.is_running())?;
        let status = node.wait_for_exit(PATIENCE);
        if status.code() != Some(1) {
            return Err(format!("node {target} ended with {status} instead of saying why"));
        }
        let unseen = self.duration(0..2_500);
        last(unseen);
        disk.repair();
        self.cluster.node(target).start();
        Ok(format!(
            "store of controller {target} failed and the node ended, a topic took {took:?}, restarted {unseen:?} later"
        ))
    }

    /// Waits until a node leads nothing of the topic and nobody counts on it.
    fn wait_until_relieved(&self, node: i32) -> Result<(), String> {
        until(&format!("node {node} to be relieved"), PATIENCE, || {
            let described = self.runtime.block_on(self.client.describe_topics(Some(&[TOPIC])));
            let is_relieved = |metadata: Metadata| {
                let partitions = &metadata.topics.get(TOPIC)?.partitions;
                let without =
                    |leader: Option<i32>, isr: &[i32]| leader.is_some_and(|id| id != node) && !isr.contains(&node);
                Some(!partitions.is_empty() && partitions.iter().all(|p| without(p.leader, &p.isr)))
            };
            described.ok().and_then(is_relieved).unwrap_or(false)
        })
    }

    /// Has the controllers write something that nobody else asks for, and answers how long that took.
    fn create_topic_beside(&mut self) -> Result<Duration, String> {
        let topic = NewTopic {
            name: format!("beside-{}", self.random.random::<u32>()),
            partitions: Some(1),
            replication_factor: Some(2),
            ..NewTopic::default()
        };
        let begun = Instant::now();
        let mut tries = 0;
        until_some("a topic to be created beside", PATIENCE, || {
            tries += 1;
            match self.runtime.block_on(self.client.create_topic(&topic, false)) {
                Ok(()) => Some(Ok(begun.elapsed())),
                // By an earlier try whose answer was lost.
                Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) && tries > 1 => {
                    Some(Ok(begun.elapsed()))
                }
                Err(error) if is_worth_a_try(&error) => None,
                Err(error) => Some(Err(format!("creating topic {}: {error}", topic.name))),
            }
        })?
    }
}
