use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raftsman_records::split_batches;
use raftsman_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

use super::ClientContext;
use super::links::{Heard, Links};
use crate::simulation::event::{
    ClientRequest, ClientResponse, ClientTimer, ConnectionId, EndEvent, Event, FetchedData,
};
use crate::simulation::invariants::{Checked, Observer, Violation, known_by};

const TIMEOUT: Duration = Duration::from_millis(1500);

/// A consumer of all partitions of one topic that remembers where it is.
#[derive(Debug)]
pub(in crate::simulation) struct Consumer {
    id: i32,
    topic: Arc<str>,
    links: Links,
    positions: BTreeMap<TopicIdPartition, Offset>,
    asked: BTreeMap<u64, TopicIdPartition>,
    /// Partitions in which it is out of range, and looks where they begin: `auto.offset.reset=earliest`.
    lost_place: BTreeSet<TopicIdPartition>,
}

impl Consumer {
    pub fn new(id: i32, brokers: i32, topic: Arc<str>) -> Consumer {
        let (positions, asked, lost_place) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Consumer { id, topic, links: Links::new(id, brokers), positions, asked, lost_place }
    }

    /// It has read everything there is in the topic as it is now.
    pub fn is_done(&self, observer: &Observer) -> bool {
        let image = observer.image();
        let Some(topic) = image.topic_by_name(&self.topic) else { return true };
        topic.partitions.keys().all(|partition| {
            let at = TopicIdPartition { topic_id: topic.id, partition: *partition };
            self.positions.get(&at).copied().unwrap_or(0) >= observer.truth.partition(at).end()
        })
    }

    pub fn timer(&mut self, timer: ClientTimer, context: &mut ClientContext<'_>) {
        match timer {
            ClientTimer::Work => {
                let pause = context.fabric.millis(2, 80);
                context.fabric.after(pause, Event::Client { client: self.id, what: ClientTimer::Work });
                let unknown = !self.links.topics().any(|(name, _, _)| *name == self.topic);
                if unknown || context.fabric.one_in(12) {
                    self.links.refresh(context.fabric);
                }
                self.fetch(context);
            }
            ClientTimer::GivenUp(connection, correlation) => {
                let lost = self.links.given_up(connection, correlation, context.fabric);
                self.lost(&lost);
            }
        }
    }

    fn lost(&mut self, correlations: &[u64]) {
        self.asked.retain(|correlation, _| !correlations.contains(correlation));
    }

    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, context: &mut ClientContext<'_>) -> Checked {
        match self.links.end_event(connection, what) {
            Heard::Nothing => {}
            Heard::GoOn => self.fetch(context),
            Heard::Lost(lost) => self.lost(&lost),
            Heard::Answer { correlation, response } => {
                let Some(at) = self.asked.remove(&correlation) else { return Ok(()) };
                let result = match response {
                    ClientResponse::Fetched(result) => result,
                    ClientResponse::LogStart(start) => {
                        self.told_start(at, start, context);
                        return Ok(());
                    }
                    _ => return Ok(()),
                };
                match result {
                    Ok(data) => {
                        let more = !data.chunks.is_empty();
                        self.read(at, &data, context)?;
                        if more {
                            self.fetch(context);
                        }
                    }
                    Err(ErrorCode::OffsetOutOfRange) => {
                        let position = self.positions.get(&at).copied().unwrap_or(0);
                        if position < context.observer.log_starts.furthest(at) {
                            self.lost_place.insert(at);
                            self.fetch(context);
                            return Ok(());
                        }
                        let what = format!("{at}: consumer {} at {position} is out of range", self.id);
                        return Err(Violation::new("ConsistentRead", what));
                    }
                    Err(_) => self.links.refresh(context.fabric),
                }
            }
        }
        Ok(())
    }

    fn fetch(&mut self, context: &mut ClientContext<'_>) {
        let Some((_, topic_id, count)) = self.links.topics().find(|(name, _, _)| **name == self.topic) else {
            return;
        };
        for partition in 0..count as i32 {
            let at = TopicIdPartition { topic_id, partition };
            let Some((_, Some(leader), epoch)) = self.links.find(&self.topic.clone(), partition) else { continue };
            if self.asked.values().any(|asked| *asked == at) {
                continue;
            }
            let offset = self.positions.get(&at).copied().unwrap_or(0);
            let leader_epoch: Option<LeaderEpoch> = context.fabric.one_in(2).then_some(epoch);
            let request = match self.lost_place.contains(&at) {
                true => ClientRequest::LogStart { at },
                false => ClientRequest::Fetch { at, offset, leader_epoch },
            };
            if let Some(correlation) = self.links.ask(leader.0, request, TIMEOUT, context.fabric) {
                self.asked.insert(correlation, at);
            }
        }
    }

    fn told_start(&mut self, at: TopicIdPartition, start: Result<Offset, ErrorCode>, context: &mut ClientContext<'_>) {
        let Ok(start) = start else { return self.links.refresh(context.fabric) };
        let position = self.positions.entry(at).or_insert(0);
        *position = start.max(*position);
        self.lost_place.remove(&at);
        self.fetch(context);
    }

    /// ConsistentRead: what is read was committed, and stays; nothing is passed over but what compaction may take.
    fn read(&mut self, at: TopicIdPartition, data: &FetchedData, context: &mut ClientContext<'_>) -> Checked {
        let broken = |what: String| Err(Violation::new("ConsistentRead", format!("{at}: {what}")));
        let position = self.positions.entry(at).or_insert(0);
        let truth = context.observer.truth.partition(at);
        for batch in data.chunks.iter().flat_map(|chunk| split_batches(chunk.clone(), false)) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return broken(format!("unreadable: {error}")),
            };
            for record in batch.records() {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => return broken(format!("unreadable: {error}")),
                };
                if record.offset < *position {
                    continue;
                }
                let mut passed_over = *position..record.offset;
                if let Some(missed) = passed_over.find(|offset| !truth.may_be_compacted_away(*offset)) {
                    return broken(format!("consumer {} gets {} after {missed} is due", self.id, record.offset));
                }
                let value = known_by(&record);
                let is_committed = match truth.values.get(&record.offset) {
                    Some(committed) => committed[..] == value[..],
                    // The leader's disk failed as it committed this: what it was could be read by clients only.
                    None => record.offset < context.observer.committed_end(at),
                };
                if !is_committed {
                    return broken(format!("consumer {} read {value:?} at {}", self.id, record.offset));
                }
                context.history.read(self.id, at, record.offset);
                *position = record.offset + 1;
            }
            let mut passed_over = *position..batch.last_offset() + 1;
            if let Some(missed) = passed_over.find(|offset| !truth.may_be_compacted_away(*offset)) {
                return broken(format!("consumer {} gets a batch without {missed}", self.id));
            }
            *position = (*position).max(batch.last_offset() + 1);
        }
        Ok(())
    }
}
