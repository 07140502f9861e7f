use raftsman_coordinator::Request;
use raftsman_protocol::Str;
use raftsman_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use raftsman_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
};
use raftsman_records::split_batches;
use raftsman_types::{ErrorCode, LeaderEpoch, Offset, Uuid};

use super::{Asked, Member, Stage, TIMEOUT};
use crate::simulation::client::ClientContext;
use crate::simulation::event::{ClientRequest, FetchedData};
use crate::simulation::group_history::commit_text;
use crate::simulation::invariants::{Checked, LoggedCommit, Violation};

impl Member {
    /// What a member does while it is one.
    pub(super) fn stay(&mut self, context: &mut ClientContext<'_>) {
        if self.rejoins && !self.waits_for(|asked| matches!(asked, Asked::Commit { .. })) {
            self.give_back();
            return self.join(context);
        }
        self.beat(context);
        if context.fabric.now() >= self.commit_at {
            self.commit(context);
        }
        self.ask_for_offsets(context);
        self.fetch(context);
    }

    fn topic_id(&self) -> Uuid {
        let known = self.links.topics().find(|(name, _, _)| **name == self.setup.topic);
        known.map(|(_, id, _)| id.0).unwrap_or_default()
    }

    /// Asks where the group is in partitions of which it does not know, now and then in all.
    fn ask_for_offsets(&mut self, context: &mut ClientContext<'_>) {
        if self.owned.is_empty() || self.waits_for(|asked| matches!(asked, Asked::Offsets { .. })) {
            return;
        }
        let all = std::mem::take(&mut self.looks_again);
        let wanted = self.owned.iter().filter(|(_, position)| all || position.next.is_none());
        let indexes: Vec<i32> = wanted.map(|(partition, _)| *partition).collect();
        if indexes.is_empty() {
            return;
        }
        let group = &self.setup.group;
        let known = indexes.iter().map(|index| (*index, context.history.groups.newest(group, *index))).collect();
        let request = OffsetFetchRequestGroup {
            group_id: group.clone(),
            topics: Some(vec![OffsetFetchRequestTopics {
                topic_id: self.topic_id(),
                name: Str::copy_from(&self.setup.topic),
                partition_indexes: indexes,
            }]),
            ..OffsetFetchRequestGroup::default()
        };
        let asked = Asked::Offsets { generation: self.generation, known };
        self.ask_coordinator(Request::OffsetFetch(request), TIMEOUT, asked, context);
    }

    pub(super) fn told_offsets(
        &mut self,
        generation: i32,
        known: &[(i32, Option<LoggedCommit>)],
        answer: &OffsetFetchResponseGroup,
        context: &mut ClientContext<'_>,
    ) -> Checked {
        let error = ErrorCode::from_code(answer.error_code);
        if error != ErrorCode::None {
            self.heed(error, context);
            return Ok(());
        }
        for told in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            let Some((_, before)) = known.iter().find(|(index, _)| *index == told.partition_index) else { continue };
            let text = told.metadata.clone().unwrap_or_default();
            let which = (&self.setup.group, told.partition_index);
            context.history.groups.fetched(context.observer, which, *before, (told.committed_offset, &text))?;
            let is_current = self.stage == Stage::Member && self.generation == generation;
            if let Some(position) = self.owned.get_mut(&told.partition_index).filter(|_| is_current)
                && position.next.is_none()
            {
                // `auto.offset.reset=earliest`
                position.next = Some(told.committed_offset.max(0));
                position.committed = Some(told.committed_offset).filter(|offset| *offset >= 0);
                position.epoch = told.committed_leader_epoch;
            }
        }
        Ok(())
    }

    pub(super) fn fetch(&mut self, context: &mut ClientContext<'_>) {
        let partitions: Vec<i32> = self.owned.keys().copied().collect();
        for partition in partitions {
            let Some(position) = self.owned.get(&partition) else { continue };
            let Some((at, Some(leader), epoch)) = self.links.find(&self.setup.topic, partition) else { continue };
            let wants = epoch.0 >= position.epoch && !position.is_at_end;
            let Some(offset) = position.next.filter(|_| wants) else { continue };
            if self.waits_for(|asked| matches!(asked, Asked::Fetch { partition: waits, .. } if *waits == partition)) {
                continue;
            }
            let leader_epoch = context.fabric.one_in(2).then_some(epoch);
            let request = ClientRequest::Fetch { at, offset, leader_epoch };
            self.ask(leader.0, request, TIMEOUT, Asked::Fetch { partition, epoch }, context);
        }
    }

    pub(super) fn fetched(
        &mut self,
        partition: i32,
        epoch: LeaderEpoch,
        result: Result<FetchedData, ErrorCode>,
        context: &mut ClientContext<'_>,
    ) {
        let is_at_end = result.as_ref().map_or(true, |data| data.chunks.is_empty());
        if let Some(position) = self.owned.get_mut(&partition) {
            position.is_at_end = is_at_end;
        }
        let Ok(data) = result else { return self.links.refresh(context.fabric) };
        let Some((at, _, _)) = self.links.find(&self.setup.topic, partition) else { return };
        let Some(position) = self.owned.get_mut(&partition) else { return };
        let Some(next) = &mut position.next else { return };
        // What is read is held against the truth by the consumers without a group.
        for batch in data.chunks.iter().flat_map(|chunk| split_batches(chunk.clone(), false)).flatten() {
            for record in batch.records().flatten().filter(|record| record.offset >= *next) {
                context.history.groups.delivered(&self.setup.group, at, record.offset);
            }
            *next = (*next).max(batch.last_offset() + 1);
        }
        position.epoch = position.epoch.max(epoch.0);
    }

    /// Commits how far it has read, if that is further than it committed.
    pub(super) fn commit(&mut self, context: &mut ClientContext<'_>) {
        if self.waits_for(|asked| matches!(asked, Asked::Commit { .. })) {
            return;
        }
        self.commit_at = context.fabric.now() + self.setup.commit_interval;
        let further = |(partition, position): (&i32, &super::Position)| {
            let next = position.next.filter(|next| *next > position.committed.unwrap_or(0))?;
            Some((*partition, next, position.epoch))
        };
        let positions: Vec<(i32, Offset, i32)> = self.owned.iter().filter_map(further).collect();
        if positions.is_empty() {
            return;
        }
        self.commits += 1;
        let text = commit_text(self.generation, self.setup.id, self.commits);
        let partition = |(partition, offset, epoch): &(i32, Offset, i32)| OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            committed_leader_epoch: *epoch,
            commit_timestamp: -1,
            committed_metadata: Some(text.clone()),
        };
        let request = OffsetCommitRequest {
            group_id: self.setup.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: None,
            retention_time_ms: -1,
            topics: vec![OffsetCommitRequestTopic {
                topic_id: self.topic_id(),
                name: Str::copy_from(&self.setup.topic),
                partitions: positions.iter().map(partition).collect(),
            }],
        };
        let positions = positions.iter().map(|(partition, offset, _)| (*partition, *offset)).collect();
        let asked = Asked::Commit { generation: self.generation, text, positions };
        self.ask_coordinator(Request::OffsetCommit(request), TIMEOUT, asked, context);
    }

    pub(super) fn committed(
        &mut self,
        generation: i32,
        text: &Str,
        positions: &[(i32, Offset)],
        answer: &OffsetCommitResponse,
        context: &mut ClientContext<'_>,
    ) -> Checked {
        let results = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let is_current = self.stage == Stage::Member && self.generation == generation;
        for (result, (partition, offset)) in results.zip(positions) {
            let error = ErrorCode::from_code(result.error_code);
            if error != ErrorCode::None {
                if matches!(error, ErrorCode::UnknownServerError | ErrorCode::InvalidCommitOffsetSize) {
                    let what = format!("{}: {error} for {text}", self.setup.group);
                    return Err(Violation::new("well-formed commits of offsets are taken", what));
                }
                if is_current {
                    self.heed(error, context);
                }
                return Ok(());
            }
            let which = (&self.setup.group, *partition);
            context.history.groups.acked(context.observer, which, text, *offset)?;
            if let Some(position) = self.owned.get_mut(partition).filter(|_| is_current) {
                position.committed = position.committed.max(Some(*offset));
            }
        }
        Ok(())
    }
}
