use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raftsman_coordinator::partition_for;
use raftsman_protocol::Str;
use raftsman_types::{Offset, TopicIdPartition};

use super::invariants::{Checked, LoggedCommit, OFFSETS_TOPIC, Observer, Violation};

/// What members of groups were told and read.
#[derive(Debug, Default)]
pub(super) struct GroupHistory {
    topics: BTreeMap<Str, Arc<str>>,
    /// Who was told to own each partition, by group and generation.
    owners: BTreeMap<(Str, i32), BTreeMap<i32, Str>>,
    /// Every acknowledged commit: group, partition, the text sent with it, the offset.
    acked: Vec<(Str, i32, Str, Offset)>,
    /// The newest commit of each partition that anybody was told of.
    newest: BTreeMap<(Str, i32), LoggedCommit>,
    delivered: BTreeMap<(Str, TopicIdPartition), BTreeSet<Offset>>,
}

/// The text a member sends with a commit; no two are the same.
pub(super) fn commit_text(generation: i32, client: i32, number: u64) -> Str {
    Str::from(format!("{generation} by {client}, {number}"))
}

/// The generation in the text of a commit.
pub(super) fn generation_of(text: &Str) -> Option<i32> {
    text.as_str().split(' ').next()?.parse().ok()
}

/// What a member's assignment says: the partitions of its group's one topic.
pub(super) fn assigned(assignment: &[u8]) -> Vec<i32> {
    assignment
        .chunks_exact(4)
        .map(|bytes| bytes.iter().rev().fold(0, |all, byte| all << 8 | i32::from(*byte)))
        .collect()
}

/// The bytes of an assignment.
pub(super) fn assignment(partitions: impl Iterator<Item = i32>) -> bytes::Bytes {
    partitions.flat_map(i32::to_le_bytes).collect()
}

/// Where a group is kept.
fn home(observer: &Observer, group: &str) -> Option<TopicIdPartition> {
    let topic = observer.newest_image()?.topic_by_name(OFFSETS_TOPIC)?;
    Some(TopicIdPartition { topic_id: topic.id, partition: partition_for(group, topic.partitions.len() as i32) })
}

impl GroupHistory {
    pub fn group(&mut self, group: Str, topic: Arc<str>) {
        self.topics.insert(group, topic);
    }

    /// A member was told what it owns.
    pub fn owns(&mut self, group: &Str, generation: i32, member: &Str, partitions: &[i32]) -> Checked {
        let owners = self.owners.entry((group.clone(), generation)).or_default();
        for partition in partitions {
            let before = owners.insert(*partition, member.clone());
            if let Some(before) = before.filter(|before| before != member) {
                let what = format!("{group}: partition {partition} in generation {generation}: {before} and {member}");
                return Err(Violation::new("no partition has two owners in one generation", what));
            }
        }
        Ok(())
    }

    /// A commit was acknowledged: it has to be committed by now.
    pub fn acked(
        &mut self,
        observer: &Observer,
        (group, partition): (&Str, i32),
        text: &Str,
        offset: Offset,
    ) -> Checked {
        self.acked.push((group.clone(), partition, text.clone(), offset));
        match observer.groups.commit(group, partition, text) {
            Some(commit) => {
                self.told(group, partition, commit);
                Ok(())
            }
            None if home(observer, group).is_some_and(|at| !observer.is_read(at)) => Ok(()),
            None => {
                let what = format!("{group}: {offset} of partition {partition}, {text}");
                Err(Violation::new("a commit of offsets is answered after it is committed", what))
            }
        }
    }

    fn told(&mut self, group: &Str, partition: i32, commit: LoggedCommit) {
        let newest = self.newest.entry((group.clone(), partition)).or_insert(commit);
        if commit.place > newest.place {
            *newest = commit;
        }
    }

    /// The newest commit that anybody was told of so far.
    pub fn newest(&self, group: &Str, partition: i32) -> Option<LoggedCommit> {
        self.newest.get(&(group.clone(), partition)).copied()
    }

    /// Somebody who asked after `before` had been told of was told of an offset, or of none (-1).
    pub fn fetched(
        &mut self,
        observer: &Observer,
        (group, partition): (&Str, i32),
        before: Option<LoggedCommit>,
        (offset, text): (Offset, &Str),
    ) -> Checked {
        let broken = |why: &str| {
            let what = format!("{group}: {offset} of partition {partition}, {text:?}: {why}, after {before:?}");
            Err(Violation::new("committed offsets are neither lost nor go back", what))
        };
        if offset < 0 {
            return if before.is_some() { broken("nothing") } else { Ok(()) };
        }
        let Some(commit) = observer.groups.commit(group, partition, text) else {
            let unread = home(observer, group).is_some_and(|at| !observer.is_read(at));
            return if unread { Ok(()) } else { broken("never committed") };
        };
        if commit.offset != offset {
            return broken("another offset was committed");
        }
        if before.is_some_and(|before| commit.place < before.place) {
            return broken("an older one");
        }
        self.told(group, partition, commit);
        Ok(())
    }

    /// A record came to a member that owned the partition.
    pub fn delivered(&mut self, group: &Str, at: TopicIdPartition, offset: Offset) {
        self.delivered.entry((group.clone(), at)).or_default().insert(offset);
    }

    /// The partition of each group with what is committed for it.
    fn committed<'a>(
        &'a self,
        observer: &'a Observer,
    ) -> impl Iterator<Item = (&'a Str, TopicIdPartition, Option<Offset>)> + 'a {
        self.topics.iter().flat_map(move |(group, name)| {
            let topic = observer.newest_image().and_then(|image| image.topic_by_name(name));
            let stored = home(observer, group).and_then(|at| observer.groups.state(at)?.group(group));
            let partitions =
                topic.into_iter().flat_map(|topic| topic.partitions.keys().map(|index| (topic.id, *index)));
            partitions.map(move |(topic_id, partition)| {
                let value = stored.and_then(|stored| stored.offsets.get(&Str::copy_from(name))?.get(&partition));
                (group, TopicIdPartition { topic_id, partition }, value.map(|value| value.offset))
            })
        })
    }

    /// A group that has not committed all there is, if there is one.
    pub fn restlessness(&self, observer: &Observer) -> Option<String> {
        let mut behind = self.committed(observer).map(|(group, at, offset)| {
            let end = observer.truth.partition(at).end();
            (offset.unwrap_or(0) < end).then(|| format!("group {group} has {offset:?} of {end} in {at}"))
        });
        behind.find_map(|behind| behind)
    }

    /// Nothing was lost of what was acknowledged, and nothing passed over of what was committed as read.
    pub fn judge(&self, observer: &Observer) -> Checked {
        for (group, partition, text, offset) in &self.acked {
            if observer.groups.commit(group, *partition, text).is_none_or(|commit| commit.offset != *offset) {
                let what = format!("{group}: {offset} of partition {partition}, {text}");
                return Err(Violation::new("no acknowledged commit of offsets is lost", what));
            }
        }
        let nothing = BTreeSet::new();
        for (group, at, offset) in self.committed(observer) {
            let delivered = self.delivered.get(&(group.clone(), at)).unwrap_or(&nothing);
            let values = observer.truth.partition(at).values.range(..offset.unwrap_or(0));
            if let Some((missed, _)) = values.into_iter().find(|(offset, _)| !delivered.contains(*offset)) {
                let what = format!("{group}: {missed} of {at}, and {offset:?} is committed");
                return Err(Violation::new("every record is delivered to the group", what));
            }
        }
        Ok(())
    }
}
