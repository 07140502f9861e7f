use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raftsman_broker::replica::Acks;
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, TopicIdPartition};

use super::ClientContext;
use super::links::{Heard, Links};
use crate::simulation::event::{ClientRequest, ClientResponse, ClientTimer, ConnectionId, EndEvent, Event};
use crate::simulation::history::Outcome;
use crate::simulation::invariants::{Checked, Observer, Violation};
use crate::simulation::time::SimTime;
use crate::simulation::world::is_dead;

const QUEUE_MAX: usize = 10;
const RECORDS_MAX: u64 = 4;
/// How many keys there are.
const KEYS: u64 = 5;
/// With keys, one record in so many is a tombstone.
const TOMBSTONE_EACH: u64 = 7;
/// A broker remembers so many batches of a producer (KIP-98): what is repeated must be among them.
const REMEMBERED_BATCHES: u64 = 5;

/// What a producer does.
#[derive(Debug, Clone)]
pub(in crate::simulation) struct ProducerSetup {
    pub id: i32,
    pub brokers: i32,
    pub topic: Arc<str>,
    pub partition: i32,
    pub acks: Acks,
    pub idempotent: bool,
    /// Whether records have keys, and some are tombstones: the topic is compacted.
    pub keyed: bool,
    pub in_flight_max: usize,
    pub request_timeout: Duration,
    pub delivery_timeout: Duration,
    /// The longest pause between two batches, in milliseconds.
    pub pause_ms_max: u64,
}

/// A producer to one partition that retries like librdkafka: in order, until a batch's time is up.
#[derive(Debug)]
pub(in crate::simulation) struct Producer {
    setup: ProducerSetup,
    links: Links,
    at: Option<TopicIdPartition>,
    producer_id: Option<i64>,
    /// Whether a batch was acknowledged under this producer id: before that the log takes any sequence for its first,
    /// and a second batch must not overtake the first one.
    is_known: bool,
    asked_for_id: Option<u64>,
    next_sequence: i32,
    next_value: u64,
    next_number: u64,
    queue: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    /// Which batch of its producer it is.
    number: u64,
    sequence: i32,
    first_value: u64,
    count: u64,
    expires: SimTime,
    in_flight: Option<u64>,
    was_sent: bool,
}

impl Producer {
    pub fn new(setup: ProducerSetup) -> Producer {
        Producer {
            links: Links::new(setup.id, setup.brokers),
            setup,
            at: None,
            producer_id: None,
            is_known: false,
            asked_for_id: None,
            next_sequence: 0,
            next_number: 0,
            next_value: 0,
            queue: VecDeque::new(),
        }
    }

    /// Whether every batch is answered, but for those that nobody ever will.
    pub fn is_done(&self, observer: &Observer) -> bool {
        self.queue.is_empty() || self.waits_in_vain(observer)
    }

    /// Whether its topic is gone, or nobody may lead its partition any more.
    fn waits_in_vain(&self, observer: &Observer) -> bool {
        let image = observer.image();
        let topic = image.topics.values().find(|topic| topic.name == self.setup.topic);
        topic.and_then(|topic| topic.partition(self.setup.partition)).is_none_or(|state| is_dead(state))
    }

    pub fn timer(&mut self, timer: ClientTimer, context: &mut ClientContext<'_>) {
        match timer {
            ClientTimer::Work => {
                let pause = context.fabric.millis(1, self.setup.pause_ms_max);
                context.fabric.after(pause, Event::Client { client: self.setup.id, what: ClientTimer::Work });
                self.expire(context);
                if !context.calm {
                    self.make_batch(context);
                }
                let unknown = self.links.find(&self.setup.topic, self.setup.partition).is_none();
                if unknown || context.fabric.one_in(8) {
                    self.links.refresh(context.fabric);
                }
            }
            ClientTimer::GivenUp(connection, correlation) => {
                let lost = self.links.given_up(connection, correlation, context.fabric);
                self.lost(&lost);
            }
        }
        self.send(context);
    }

    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, context: &mut ClientContext<'_>) -> Checked {
        let checked = match self.links.end_event(connection, what) {
            Heard::Nothing | Heard::GoOn => Ok(()),
            Heard::Lost(lost) => {
                self.lost(&lost);
                Ok(())
            }
            Heard::Answer { correlation, response } => self.answered(correlation, response, context),
        };
        self.send(context);
        checked
    }

    fn make_batch(&mut self, context: &mut ClientContext<'_>) {
        if self.queue.len() >= QUEUE_MAX {
            return;
        }
        let count = 1 + context.fabric.between(0, RECORDS_MAX);
        let expires = context.fabric.now() + self.setup.delivery_timeout;
        let (number, sequence, first_value) = (self.next_number, self.next_sequence, self.next_value);
        self.next_number += 1;
        self.next_sequence += count as i32;
        self.next_value += count;
        self.queue.push_back(Batch { number, sequence, first_value, count, expires, in_flight: None, was_sent: false });
    }

    /// Batches whose time is up are given up; what else was sent under the same producer id is as unknown as they are. Not once
    /// faults are over: then every batch has to be answered.
    fn expire(&mut self, context: &mut ClientContext<'_>) {
        let now = context.fabric.now();
        if context.calm && !self.waits_in_vain(context.observer) {
            return;
        }
        if self.queue.front().is_some_and(|batch| now >= batch.expires) {
            self.give_up_sent(context, |batch| now >= batch.expires);
        }
    }

    fn give_up_sent(&mut self, context: &mut ClientContext<'_>, also: impl Fn(&Batch) -> bool) {
        let first_sequence = self.queue.front().map_or(self.next_sequence, |batch| batch.sequence);
        let (kept, ended): (VecDeque<Batch>, VecDeque<Batch>) =
            self.queue.drain(..).partition(|batch| !batch.was_sent && !also(batch));
        let any_sent = ended.iter().any(|batch| batch.was_sent);
        for batch in ended {
            let outcome = if batch.was_sent { Outcome::Unknown } else { Outcome::NotSent };
            self.note(&batch, outcome, context);
        }
        self.queue = kept;
        if any_sent && self.setup.idempotent {
            (self.producer_id, self.is_known) = (None, false);
        }
        // Nothing of what is kept was sent: it follows on what the log may have, without a gap.
        self.next_sequence = if self.producer_id.is_none() { 0 } else { first_sequence };
        for batch in &mut self.queue {
            batch.sequence = self.next_sequence;
            self.next_sequence += batch.count as i32;
        }
    }

    fn note(&self, batch: &Batch, outcome: Outcome, context: &mut ClientContext<'_>) {
        let Some(at) = self.at else { return };
        for value in batch.first_value..batch.first_value + batch.count {
            context.history.ended(self.setup.id, at, value, outcome);
        }
    }

    fn lost(&mut self, correlations: &[u64]) {
        for batch in &mut self.queue {
            if batch.in_flight.is_some_and(|correlation| correlations.contains(&correlation)) {
                batch.in_flight = None;
            }
        }
        if self.asked_for_id.is_some_and(|correlation| correlations.contains(&correlation)) {
            self.asked_for_id = None;
        }
    }

    /// Sends what may be sent: in order, and after an error only once nothing is under way any more.
    fn send(&mut self, context: &mut ClientContext<'_>) {
        let Some((at, leader, _)) = self.links.find(&self.setup.topic, self.setup.partition) else {
            return;
        };
        if self.at.is_some_and(|known| known != at) {
            // The topic was made anew: nothing of what was sent to the old one counts.
            self.give_up_sent(context, |_| false);
        }
        self.at = Some(at);
        let Some(leader) = leader else { return };
        if self.setup.idempotent && self.producer_id.is_none() {
            return self.ask_for_id(leader.0, context);
        }
        let in_flight = self.queue.iter().filter(|batch| batch.in_flight.is_some()).count();
        let retries = self.queue.iter().any(|batch| batch.in_flight.is_none() && batch.was_sent);
        if retries && in_flight > 0 {
            return;
        }
        let unresolved = self.queue.front().map_or(0, |batch| batch.number);
        for index in 0..self.queue.len() {
            if self.setup.idempotent && self.queue[index].number >= unresolved + REMEMBERED_BATCHES {
                break;
            }
            let in_flight = self.queue.iter().filter(|batch| batch.in_flight.is_some()).count();
            if self.queue[index].in_flight.is_some() {
                continue;
            }
            let in_flight_max = if self.is_known || !self.setup.idempotent { self.setup.in_flight_max } else { 1 };
            if in_flight >= in_flight_max || !self.send_batch(index, at, leader.0, context) {
                break;
            }
        }
        if self.setup.acks == Acks::None {
            let (sent, kept) = self.queue.drain(..).partition(|batch| batch.was_sent);
            self.queue = kept;
            let sent: VecDeque<Batch> = sent;
            sent.iter().for_each(|batch| self.note(batch, Outcome::Unknown, context));
        }
    }

    fn send_batch(&mut self, index: usize, at: TopicIdPartition, leader: i32, context: &mut ClientContext<'_>) -> bool {
        let bytes = self.encode(&self.queue[index], context);
        let request = ClientRequest::Produce { at, acks: self.setup.acks, batch: bytes };
        let sent = self.links.ask(leader, request, self.setup.request_timeout, context.fabric);
        let Some(correlation) = sent else { return false };
        let batch = &mut self.queue[index];
        batch.in_flight = Some(correlation);
        if !std::mem::replace(&mut batch.was_sent, true) {
            for value in batch.first_value..batch.first_value + batch.count {
                context.history.sent(self.setup.id, at, value);
            }
        }
        true
    }

    fn encode(&self, batch: &Batch, context: &mut ClientContext<'_>) -> Bytes {
        let builder = BatchBuilder::new(Compression::None);
        let mut builder = match self.producer_id {
            Some(id) => builder.producer(ProducerId(id), ProducerEpoch(0), batch.sequence),
            None => builder,
        };
        // The same bytes each time it is sent.
        let padding = (batch.first_value % 7) as usize * 12;
        let timestamp = 1_767_225_600_000 + (context.fabric.now().0 / 1000) as i64;
        for value in batch.first_value..batch.first_value + batch.count {
            let mut bytes = crate::simulation::history::value(self.setup.id, value);
            let key = format!("key {}", value % KEYS);
            if self.setup.keyed && value % TOMBSTONE_EACH == 0 {
                builder.append(timestamp, Some(key.as_bytes()), None, &[("id", Some(&bytes))]);
                continue;
            }
            bytes.resize(bytes.len() + padding, 0);
            builder.append(timestamp, self.setup.keyed.then_some(key.as_bytes()), Some(&bytes), &[]);
        }
        builder.build(0, LeaderEpoch(0))
    }

    fn ask_for_id(&mut self, broker: i32, context: &mut ClientContext<'_>) {
        if self.asked_for_id.is_none() {
            let timeout = self.setup.request_timeout * 2;
            self.asked_for_id = self.links.ask(broker, ClientRequest::InitProducerId, timeout, context.fabric);
        }
    }

    fn answered(&mut self, correlation: u64, response: ClientResponse, context: &mut ClientContext<'_>) -> Checked {
        if self.asked_for_id == Some(correlation) {
            self.asked_for_id = None;
            if let ClientResponse::ProducerId(Ok(id)) = response {
                self.give_up_sent(context, |_| false);
                (self.producer_id, self.is_known) = (Some(id), false);
            }
            return Ok(());
        }
        let ClientResponse::Produced(result) = response else { return Ok(()) };
        let id = self.setup.id;
        context
            .fabric
            .trace
            .say(context.fabric.now(), || format!("producer {id}: {correlation} is answered {result:?}"));
        let Some(index) = self.queue.iter().position(|batch| batch.in_flight == Some(correlation)) else {
            return Ok(());
        };
        match result {
            Ok((base_offset, last_offset)) => {
                self.is_known |= self.setup.idempotent;
                let Some(batch) = self.queue.remove(index) else { return Ok(()) };
                let Some(at) = self.at else { return Ok(()) };
                self.note(&batch, Outcome::Acked { all: self.setup.acks == Acks::All }, context);
                if self.setup.acks == Acks::All && context.observer.committed_end(at) <= last_offset {
                    let what = format!("{at}: {base_offset}..={last_offset} of producer {}", self.setup.id);
                    return Err(Violation::new("acks=all is answered after the commit", what));
                }
                Ok(())
            }
            Err(error) => self.refused(index, error, context),
        }
    }

    fn refused(&mut self, index: usize, error: ErrorCode, context: &mut ClientContext<'_>) -> Checked {
        self.queue[index].in_flight = None;
        match error {
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId if index > 0 => {}
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId => {
                let lost = self.setup.acks == Acks::All;
                let what = format!("producer {}: {error} for {:?}", self.setup.id, self.queue[index]);
                self.give_up_sent(context, |_| false);
                if lost {
                    return Err(Violation::new("an idempotent producer meets no gap", what));
                }
            }
            ErrorCode::NotLeaderOrFollower
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::KafkaStorageError
            | ErrorCode::RequestTimedOut => self.links.refresh(context.fabric),
            other => {
                let what = format!("producer {}: {other} for {:?}", self.setup.id, self.queue[index]);
                return Err(Violation::new("well-formed batches are taken", what));
            }
        }
        Ok(())
    }
}
