//! A coordinator's life: requests as frames' bodies, time, commits, refused writes and reloads, in any order. Each
//! request is answered once, and the records written add up to the state.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_coordinator::{
    Caller, CoordinatorConfig, Effect, Event, Now, Record, Request, RequestId, Shard, State, WriteId,
};
use raftsman_protocol::messages::heartbeat::HeartbeatRequest;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use raftsman_protocol::messages::leave_group::LeaveGroupRequest;
use raftsman_protocol::messages::offset_commit::OffsetCommitRequest;
use raftsman_protocol::messages::sync_group::SyncGroupRequest;
use raftsman_protocol::{Message, Reader, Str, Writer};
use raftsman_types::{ErrorCode, MonotonicTime, WallTime};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::message::BESIDE;
use crate::input::{Input, piece};
use crate::memory::{bounded, measured};

/// Steps of one input.
const MAX_STEPS: usize = 48;
/// What a whole life may hold for each byte of its input: a partition of an OffsetCommit takes some twenty bytes, and is in the
/// request, in the state, in its record, in the records kept here and, for a reload, in a second state.
const LIFE_FACTOR: usize = 64;
/// What a life holds of itself: answers of every step, groups of eight members and their records.
const LIFE_BESIDE: usize = 256 << 10;

struct Bench {
    config: Arc<CoordinatorConfig>,
    shard: Shard,
    now_ms: u64,
    next_request: u64,
    open: BTreeSet<RequestId>,
    log: Vec<Record>,
    last_write: WriteId,
    refuse_next: bool,
    rng: SmallRng,
    /// Member ids the shard has given out, so that later requests can name them.
    members: Vec<Str>,
}

pub(super) fn run(data: &[u8]) {
    let ((), peak) = measured(|| live(data));
    let limit = data.len() * LIFE_FACTOR + LIFE_BESIDE;
    assert!(peak <= limit, "{peak} bytes were held in a life of {}; {limit} are allowed", data.len());
}

fn live(data: &[u8]) {
    let mut input = Input::new(data);
    let config = CoordinatorConfig { max_size: 8, max_record_bytes: 4_096, ..CoordinatorConfig::default() };
    let config = Arc::new(config);
    let mut bench = Bench {
        shard: Shard::load(Arc::clone(&config), State::default(), now(0)),
        config,
        now_ms: 0,
        next_request: 1,
        open: BTreeSet::new(),
        log: Vec::new(),
        last_write: WriteId(0),
        refuse_next: false,
        rng: SmallRng::seed_from_u64(1),
        members: Vec::new(),
    };
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        bench.one(&mut input);
    }
    bench.finish();
}

fn now(ms: u64) -> Now {
    let mut monotonic = MonotonicTime::default();
    monotonic = monotonic + std::time::Duration::from_millis(ms);
    Now { monotonic, wall: WallTime(1_000_000 + ms as i64) }
}

impl Bench {
    fn one(&mut self, input: &mut Input<'_>) {
        match input.below(12) {
            0 => self.pass(u64::from(input.short())),
            1 => self.step(Event::Committed(self.last_write)),
            2 => self.refuse_next = true,
            3 => self.reload(),
            _ => {
                let version = i16::from(input.byte() % 10);
                let member = input.byte();
                if let Some(mut request) = request(input, version) {
                    self.name_member(&mut request, member);
                    self.ask(version, &request);
                }
            }
        }
    }

    /// Puts one of the known member ids into a request, most of the time.
    fn name_member(&self, request: &mut Request, choice: u8) {
        if self.members.is_empty() || choice >= 200 {
            return;
        }
        let member = self.members[usize::from(choice) % self.members.len()].clone();
        match request {
            Request::JoinGroup(join) => join.member_id = member,
            Request::SyncGroup(sync) => sync.member_id = member,
            Request::Heartbeat(heartbeat) => heartbeat.member_id = member,
            Request::OffsetCommit(commit) => commit.member_id = member,
            _ => {}
        }
    }

    fn ask(&mut self, version: i16, request: &Request) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.open.insert(id);
        let caller = Caller { request: id, version, client_id: "c".into(), client_host: "/127.0.0.1".into() };
        self.step(Event::Request(&caller, request));
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        for _ in 0..64 {
            let due = self.shard.next_deadline().as_millis();
            if due > until {
                break;
            }
            self.now_ms = self.now_ms.max(due);
            self.step(Event::Tick);
        }
        self.now_ms = self.now_ms.max(until);
    }

    fn step(&mut self, event: Event<'_>) {
        let mut effects = Vec::new();
        self.shard.step(now(self.now_ms), event, &mut self.rng, &mut effects);
        let mut reload = false;
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Append { write, records } => {
                        let refused = std::mem::take(&mut self.refuse_next);
                        let outcome = match refused {
                            true => Event::NotAppended(ErrorCode::NotCoordinator),
                            false => {
                                self.last_write = write;
                                self.log.extend(records.iter().cloned());
                                Event::Appended
                            }
                        };
                        self.shard.step(now(self.now_ms), outcome, &mut self.rng, &mut effects);
                    }
                    Effect::Reply { request, reply } => {
                        assert!(self.open.remove(&request), "{request:?} is answered twice");
                        if let raftsman_coordinator::Reply::JoinGroup(joined) = &reply
                            && self.members.len() < 8
                            && !joined.member_id.is_empty()
                        {
                            self.members.push(joined.member_id.clone());
                        }
                    }
                    Effect::Refuse { request, .. } => {
                        assert!(self.open.remove(&request), "{request:?} is refused after its answer");
                    }
                    Effect::Reload => reload = true,
                }
            }
        }
        if reload {
            self.reload();
        }
    }

    /// Drops the shard and loads it again from the records written.
    fn reload(&mut self) {
        let mut effects = Vec::new();
        let event = Event::Abandoned(ErrorCode::NotCoordinator);
        self.shard.step(now(self.now_ms), event, &mut self.rng, &mut effects);
        for effect in effects {
            let Effect::Refuse { request, .. } = effect else { panic!("a dropped shard only refuses") };
            assert!(self.open.remove(&request), "{request:?} is refused after its answer");
        }
        assert!(self.open.is_empty(), "a dropped shard leaves {:?} waiting", self.open);
        let mut state = State::default();
        self.log.iter().for_each(|record| state.replay(record));
        assert_eq!(&state, self.shard.state(), "the records add up to the state");
        self.last_write = WriteId(0);
        self.shard = Shard::load(Arc::clone(&self.config), state, now(self.now_ms));
    }

    fn finish(mut self) {
        self.step(Event::Committed(self.last_write));
        self.pass(4_000_000);
        self.step(Event::Committed(self.last_write));
        self.reload();
    }
}

fn request(input: &mut Input<'_>, version: i16) -> Option<Request> {
    fn body<M: Message>(input: &mut Input<'_>, version: i16) -> Option<M> {
        let version = version.min(*M::VERSIONS.end());
        let body = Bytes::copy_from_slice(input.piece());
        bounded(body.len(), BESIDE, || M::decode(&mut Reader::new(body), version)).ok()
    }
    let text = |input: &mut Input<'_>| Str::copy_from(&String::from_utf8_lossy(input.piece()));
    Some(match input.below(9) {
        0 => Request::SyncGroup(body::<SyncGroupRequest>(input, version)?),
        1 => Request::Heartbeat(body::<HeartbeatRequest>(input, version)?),
        2 => Request::LeaveGroup(body::<LeaveGroupRequest>(input, version)?),
        3 => Request::OffsetCommit(body::<OffsetCommitRequest>(input, version)?),
        4 => Request::DescribeGroup(text(input)),
        5 => Request::ListGroups,
        6 => Request::DeleteGroup(text(input)),
        _ => Request::JoinGroup(body::<JoinGroupRequest>(input, version)?),
    })
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let encoded = |kind: u8, version: u8, message: Vec<u8>| [&[4, version, 255, kind][..], &piece(&message)].concat();
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"A") }],
        ..JoinGroupRequest::default()
    };
    let sync = SyncGroupRequest { group_id: "g".into(), generation_id: 1, ..SyncGroupRequest::default() };
    let heartbeat = HeartbeatRequest { group_id: "g".into(), generation_id: 1, ..HeartbeatRequest::default() };
    let leave = LeaveGroupRequest { group_id: "g".into(), ..LeaveGroupRequest::default() };
    let commit = OffsetCommitRequest { group_id: "g".into(), generation_id_or_member_epoch: -1, ..Default::default() };
    let mut life = encoded(7, 3, body(&join, 3));
    life.extend(&[0, 20, 0, 1]);
    let mut whole = life.clone();
    for (kind, message) in [(0, body(&sync, 3)), (1, body(&heartbeat, 3)), (3, body(&commit, 3)), (2, body(&leave, 3))]
    {
        let mut request = encoded(kind, 3, message);
        request[2] = 0;
        whole.extend(request);
    }
    let refused = [&life[..], &[2], &encoded(0, 3, body(&sync, 3)), &[3]].concat();
    vec![life, whole, refused]
}

fn body(message: &impl Message, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    message.encode(&mut w, version).expect("seeds are ours");
    w.into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use raftsman_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};

    use super::*;

    /// The densest life known, which holds 43 times its input: the bound is neither below it nor far away.
    #[test]
    fn a_life_of_commits_stays_within_what_its_input_justifies() {
        let (steps, partitions) = (4, 4_000);
        let mut input = Vec::new();
        for step in 0..steps {
            let partition = |index| OffsetCommitRequestPartition {
                partition_index: step * partitions + index,
                committed_metadata: None,
                ..OffsetCommitRequestPartition::default()
            };
            let topic = OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: (0..partitions).map(partition).collect(),
                ..OffsetCommitRequestTopic::default()
            };
            let commit = OffsetCommitRequest { group_id: "g".into(), topics: vec![topic], ..Default::default() };
            // A request, in version 3, and what was written is committed.
            input.extend([&[4, 3, 255, 3][..], &piece(&body(&commit, 3)), &[1]].concat());
        }
        input.push(3);
        run(&input);
        let ((), peak) = measured(|| live(&input));
        assert!(peak > input.len() * LIFE_FACTOR / 3, "{peak} bytes for {}: nothing was committed", input.len());
    }
}
