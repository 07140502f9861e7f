use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raftsman_broker::coordinator::stepped::SteppedCoordinator;
use raftsman_broker::replica::stepped::{ReplicaInspection, SteppedReplicas};
use raftsman_metadata::{Durability, MetadataImage};
use raftsman_records::split_batches;
use raftsman_types::{BrokerEpoch, LeaderEpoch, Offset, TopicId, TopicIdPartition};

use super::compaction::{self, KeyedRecord, records_of};
use super::election_safety::ElectionSafety;
use super::groups::{GroupTruth, OFFSETS_TOPIC};
use super::log_matching::LogMatching;
use super::log_starts::LogStarts;
use super::metadata_log_matching::MetadataLogMatching;
use super::{
    BatchMark, Checked, Truth, Violation, candidate_completeness, image_rules, leader_completeness, offsets_in_order,
    quorum_superset,
};
use crate::simulation::broker::DeletionNews;
use crate::simulation::raft::RaftStanding;
use crate::simulation::topics::{Keeping, TopicPlan};

const READ_BYTES: usize = 1 << 20;

/// What was last seen of one replica.
#[derive(Debug)]
struct Seen {
    inspection: ReplicaInspection,
    batches: Vec<BatchMark>,
    /// Its records, if its topic is compacted.
    held: BTreeMap<Offset, KeyedRecord>,
}

/// Looks at nodes after each step, and at what changed there asks the rules.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Observer {
    pub truth: Truth,
    pub groups: GroupTruth,
    pub log_starts: LogStarts,
    /// What topics keep that do not keep all, by name, and by id once they are there.
    plans: BTreeMap<String, Keeping>,
    keeping: BTreeMap<TopicId, Keeping>,
    replicas: BTreeMap<(i32, TopicIdPartition), Seen>,
    /// The version of the image that each running controller has.
    versions: BTreeMap<i32, u64>,
    /// Who lost power and did not register since.
    without_power: BTreeSet<i32>,
    newest_leader_epochs: BTreeMap<TopicIdPartition, LeaderEpoch>,
    /// Up to where leaders had committed whose disk failed in the same step: it could not be read there.
    unread_commits: BTreeMap<TopicIdPartition, Offset>,
    matching: LogMatching,
    metadata: MetadataLogMatching,
    elections: ElectionSafety,
}

impl Observer {
    /// Clients are going to make these topics.
    pub fn expect_topics<'a>(&mut self, plans: impl Iterator<Item = &'a TopicPlan>) {
        self.plans.extend(plans.map(|plan| (plan.name.to_string(), plan.keeping)));
    }

    /// What a partition's topic keeps of its records.
    pub fn keeping(&self, at: TopicIdPartition) -> Keeping {
        self.keeping.get(&at.topic_id).copied().unwrap_or(Keeping::All)
    }

    /// A process is gone: what comes back after it is looked at anew.
    pub fn process_ended(&mut self, node: i32) {
        self.replicas.retain(|(of, _), _| *of != node);
        self.versions.remove(&node);
        self.groups.process_ended(node);
    }

    /// A node lost power: nobody else can know before it registers again.
    pub fn lost_power(&mut self, node: i32) {
        self.without_power.insert(node);
    }

    /// Up to where a partition is committed.
    pub fn committed_end(&self, at: TopicIdPartition) -> Offset {
        let unread = self.unread_commits.get(&at).copied().unwrap_or_default();
        self.truth.partition(at).end().max(unread)
    }

    /// Whether all that is committed of a partition was read: not if the disk of its leader failed in the same step.
    pub fn is_read(&self, at: TopicIdPartition) -> bool {
        self.committed_end(at) == self.truth.partition(at).end()
    }

    /// The newest image that any controller has applied, if there is one.
    pub fn newest_image(&self) -> Option<&MetadataImage> {
        self.metadata.newest()
    }

    /// The newest image that any controller has applied.
    pub fn image(&self) -> MetadataImage {
        self.metadata.newest().cloned().unwrap_or_default()
    }

    /// A controller may have changed. An image of one version is the same as long as its controller runs: each is looked at once.
    pub fn controller_stepped(&mut self, node: i32, standing: RaftStanding, image: &MetadataImage) -> Checked {
        self.elections.check(node, standing)?;
        if image.version == 0 || self.versions.insert(node, image.version) == Some(image.version) {
            return Ok(());
        }
        for topic in image.topics.values() {
            let planned = || self.plans.get(&*topic.name).copied().unwrap_or(Keeping::All);
            self.keeping.entry(topic.id).or_insert_with(planned);
        }
        if let Some(before) = self.metadata.check(node, image)? {
            image_rules::check(&before, image)?;
            let ats: Vec<TopicIdPartition> = self.truth.partitions().map(|(at, _)| *at).collect();
            for at in ats {
                self.check_candidates(at)?;
            }
        }
        Ok(())
    }

    /// A broker may have changed.
    pub fn broker_stepped(&mut self, node: i32, replicas: &SteppedReplicas) -> Checked {
        if !self.without_power.is_empty() && replicas.broker_epoch() != BrokerEpoch::NONE {
            self.without_power.remove(&node);
        }
        for at in replicas.manager().partitions() {
            let Some(now) = replicas.inspect(at) else { continue };
            let before = self.replicas.get(&(node, at));
            if before.is_some_and(|seen| seen.inspection == now) {
                continue;
            }
            offsets_in_order::check(node, at, before.map(|seen| &seen.inspection), &now)?;
            self.log_starts.check(node, at, self.keeping.get(&at.topic_id).copied().unwrap_or(Keeping::All), &now)?;
            self.replica_changed(node, at, now, replicas)?;
        }
        Ok(())
    }

    /// A broker's group coordinator may have changed.
    pub fn coordinator_stepped(&mut self, node: i32, coordinator: &SteppedCoordinator) -> Checked {
        let Some(image) = self.metadata.newest() else { return Ok(()) };
        let (truth, unread) = (&self.truth, &self.unread_commits);
        let is_read = |at| unread.get(&at).copied().unwrap_or_default() <= truth.partition(at).end();
        self.groups.coordinator_stepped(node, coordinator, image, is_read)
    }

    fn replica_changed(
        &mut self,
        node: i32,
        at: TopicIdPartition,
        now: ReplicaInspection,
        replicas: &SteppedReplicas,
    ) -> Checked {
        if now.is_offline {
            // Nobody reads it before it is opened anew.
            self.replicas.remove(&(node, at));
            if now.leader.is_some() && now.high_watermark > self.committed_end(at) {
                self.unread_commits.insert(at, now.high_watermark);
            }
            return Ok(());
        }
        let mut seen = match self.replicas.remove(&(node, at)) {
            Some(seen) if (seen.inspection.cuts, seen.inspection.swaps) == (now.cuts, now.swaps) => seen,
            _ => Seen { inspection: now.clone(), batches: Vec::new(), held: BTreeMap::new() },
        };
        let keeping = self.keeping(at);
        let from = seen.batches.last().map_or(now.log_start_offset, |batch| batch.last + 1);
        let (marks, chunks) = read(replicas, at, from, now.log_end_offset)?;
        let compacted_upto = if keeping == Keeping::Keys { self.committed_end(at) } else { 0 };
        self.matching.check(node, at, &marks, compacted_upto)?;
        seen.batches.extend_from_slice(&marks);
        if keeping == Keeping::Keys {
            seen.held.append(&mut records_of(at, &chunks)?);
        }
        let checked_to = if marks.is_empty() { seen.inspection.high_watermark } else { from.min(now.high_watermark) };
        let checked_to = checked_to.min(seen.inspection.high_watermark);
        let new_leader = now.leader.as_ref().is_some_and(|leader| {
            let newest = self.newest_leader_epochs.entry(at).or_insert(LeaderEpoch::NONE);
            std::mem::replace(newest, leader.leader_epoch.max(*newest)) < leader.leader_epoch
        });
        seen.inspection = now;
        self.committed_by(node, at, &seen, replicas, checked_to, chunks)?;
        if new_leader {
            let (end, committed) = (seen.inspection.log_end_offset, self.committed_end(at));
            leader_completeness::is_long_enough(node, at, end, committed)?;
            self.agree("LeaderCompleteness", (node, at), &seen, (0, self.truth.partition(at).end()))?;
        }
        if let (Some(leader), Some(state)) =
            (&seen.inspection.leader, self.metadata.newest().and_then(|image| image.partition(at)))
        {
            quorum_superset::check(node, at, leader, state)?;
        }
        self.replicas.insert((node, at), seen);
        self.check_candidates(at)
    }

    /// What the replica holds for committed has to be the committed truth; a leader may add to it.
    fn committed_by(
        &mut self,
        node: i32,
        at: TopicIdPartition,
        seen: &Seen,
        replicas: &SteppedReplicas,
        checked_to: Offset,
        mut chunks: Vec<Bytes>,
    ) -> Checked {
        let high_watermark = seen.inspection.high_watermark;
        let end = self.truth.partition(at).end();
        self.agree("NoCommittedRecordLost", (node, at), seen, (checked_to, high_watermark.min(end)))?;
        if high_watermark <= end {
            return Ok(());
        }
        let committed = self.unread_commits.get(&at).copied().unwrap_or_default().max(end);
        if seen.inspection.leader.is_none() && high_watermark > committed {
            let what =
                format!("{at}: follower {node} holds {high_watermark} for committed, and no leader beyond {committed}");
            return Err(Violation::new("followers learn of commits", what));
        }
        let first = seen.batches.partition_point(|batch| batch.last < end);
        let last = seen.batches.partition_point(|batch| batch.last < high_watermark);
        let marks = &seen.batches[first..last];
        if marks.first().is_some_and(|mark| chunks.is_empty() || first_offset(&chunks) > mark.base) {
            chunks = read(replicas, at, end, high_watermark)?.1;
        }
        self.truth.extend(at, marks, &chunks, self.keeping(at) == Keeping::Keys)?;
        let topic = self.metadata.newest().and_then(|image| image.topic(at.topic_id));
        match topic {
            Some(topic) if *topic.name == *OFFSETS_TOPIC => self.groups.committed(at, (end, high_watermark), &chunks),
            _ => Ok(()),
        }
    }

    /// What a replica holds between two offsets are the committed records: all of them from its log's start on, or what compaction has
    /// to leave of them.
    fn agree(
        &self,
        rule: &'static str,
        (node, at): (i32, TopicIdPartition),
        seen: &Seen,
        (from, upto): (Offset, Offset),
    ) -> Checked {
        let truth = self.truth.partition(at);
        // What is below its start nobody reads, whatever it was.
        let from = from.max(seen.inspection.log_start_offset);
        match self.keeping(at) {
            Keeping::Keys => compaction::check(node, at, (&seen.batches, &seen.held), truth, (from, upto)),
            _ => leader_completeness::agree(rule, node, at, &seen.batches, truth, from, upto),
        }
    }

    /// A leader may have moved a log's start: that it may is known before its log is looked at.
    pub fn deletion_begun(&mut self, news: &DeletionNews) {
        if let DeletionNews::Begun { at, before } = news {
            self.log_starts.asked(*at, *before);
        }
    }

    /// A leader may have said that records are gone everywhere.
    pub fn deletion_done(&mut self, news: &DeletionNews) -> Checked {
        let DeletionNews::Done { at, low_watermark, live } = news else { return Ok(()) };
        let seen = |node: &i32| Some((*node, self.replicas.get(&(*node, *at))?.inspection.log_start_offset));
        let starts: Vec<(i32, Offset)> = live.iter().filter_map(seen).collect();
        self.log_starts.deleted(*at, *low_watermark, &starts)
    }

    fn check_candidates(&self, at: TopicIdPartition) -> Checked {
        let Some(image) = self.metadata.newest() else { return Ok(()) };
        let Some(state) = image.partition(at) else { return Ok(()) };
        let end_of = |node: i32| {
            // What was only written is lost with the power. The controllers learn of it when the broker registers again, and take
            // the replica out in the same entry: until then it only seems to be a candidate.
            let seems = state.durability == Durability::Written && self.without_power.contains(&node);
            self.replicas.get(&(node, at)).filter(|_| !seems).map(|seen| seen.inspection.log_end_offset)
        };
        candidate_completeness::check(at, state, self.truth.partition(at).end(), end_of)
    }
}

fn first_offset(chunks: &[Bytes]) -> Offset {
    let first = chunks.iter().flat_map(|chunk| split_batches(chunk.clone(), false)).next();
    first.and_then(Result::ok).map_or(Offset::MAX, |batch| batch.base_offset())
}

/// Reads a replica's batches from one offset to another.
fn read(
    replicas: &SteppedReplicas,
    at: TopicIdPartition,
    from: Offset,
    upto: Offset,
) -> Result<(Vec<BatchMark>, Vec<Bytes>), Violation> {
    let unreadable = |why: String| Violation::new("logs are readable", format!("{at}: {why}"));
    let (mut marks, mut chunks, mut next) = (Vec::new(), Vec::new(), from);
    while next < upto {
        let read = replicas.inspect_log(at, next, READ_BYTES).map_err(|error| unreadable(error.to_string()))?;
        let before = next;
        for batch in read.iter().flat_map(|chunk| split_batches(chunk.clone(), false)) {
            let batch = batch.map_err(|error| unreadable(error.to_string()))?;
            if batch.last_offset() < next {
                continue;
            }
            let header = batch.header();
            let epoch = header.partition_leader_epoch.0;
            marks.push(BatchMark { base: batch.base_offset(), last: batch.last_offset(), epoch, crc: header.crc });
            next = batch.last_offset() + 1;
        }
        chunks.extend(read);
        if next == before {
            return Err(unreadable(format!("nothing can be read at {next} of {upto}")));
        }
    }
    Ok((marks, chunks))
}
