//! A shard with a log of its own: appends succeed and commit at once unless a test says otherwise.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod script;

use std::convert::Infallible;
use std::sync::Arc;

use raftsman_coordinator::{
    Caller, CoordinatorConfig, DeletedTopic, Effect, Event, Now, Record, Reply, Request, RequestId, Shard, State,
    WriteId,
};
use raftsman_types::{ErrorCode, MonotonicTime, WallTime};
use rand::TryRng;

/// Wall time at monotonic zero.
pub const EPOCH_MS: i64 = 1_000_000;

/// Counts instead of drawing, so that ids can be foretold.
#[derive(Debug, Default)]
pub struct CountingRng(u64);

impl TryRng for CountingRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 += 1;
        Ok(self.0 as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 += 1;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0 += 1;
        bytes.fill(0);
        let count = self.0.to_be_bytes();
        let start = bytes.len() - count.len();
        bytes[start..].copy_from_slice(&count);
        Ok(())
    }
}

/// What a request got.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Reply(Box<Reply>),
    Refused(ErrorCode),
}

/// Something to see from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Wrote(Record),
    NotWritten(Record),
    Answered(RequestId, Answer),
    Reloaded,
}

pub struct Bench {
    pub shard: Shard,
    pub config: Arc<CoordinatorConfig>,
    pub log: Vec<Record>,
    pub commits: bool,
    pub refuse_next: Option<ErrorCode>,
    now_ms: u64,
    next_request: u64,
    last_write: WriteId,
    rng: CountingRng,
}

impl Bench {
    pub fn new(config: CoordinatorConfig) -> Bench {
        let config = Arc::new(config);
        Bench {
            shard: Shard::load(Arc::clone(&config), State::default(), now(0)),
            config,
            log: Vec::new(),
            commits: true,
            refuse_next: None,
            now_ms: 0,
            next_request: 1,
            last_write: WriteId(0),
            rng: CountingRng::default(),
        }
    }

    /// Asks, and sees what happens at once.
    pub fn ask(&mut self, version: i16, client_id: &'static str, request: &Request) -> (RequestId, Vec<Seen>) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let caller = Caller { request: id, version, client_id: client_id.into(), client_host: "/127.0.0.1".into() };
        (id, self.step(Event::Request(&caller, request)))
    }

    /// Asks what is answered at once.
    pub fn answer(&mut self, version: i16, client_id: &'static str, request: &Request) -> Reply {
        let (id, seen) = self.ask(version, client_id, request);
        let answer = seen.into_iter().find_map(|seen| match seen {
            Seen::Answered(answered, Answer::Reply(reply)) if answered == id => Some(*reply),
            _ => None,
        });
        answer.unwrap_or_else(|| panic!("{request:?} was not answered at once"))
    }

    /// Lets time pass, stopping at each deadline.
    pub fn pass_to(&mut self, ms: u64) -> Vec<(u64, Vec<Seen>)> {
        let mut all = Vec::new();
        while self.shard.next_deadline().as_millis() <= ms {
            self.now_ms = self.now_ms.max(self.shard.next_deadline().as_millis());
            all.push((self.now_ms, self.step(Event::Tick)));
        }
        self.now_ms = ms;
        all
    }

    /// The id that the next request gets.
    pub fn next_request(&self) -> u64 {
        self.next_request
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub fn delete_topics(&mut self, topics: &[DeletedTopic]) -> Vec<Seen> {
        self.step(Event::TopicsDeleted(topics))
    }

    /// Everything appended so far is committed.
    pub fn commit(&mut self) -> Vec<Seen> {
        self.step(Event::Committed(self.last_write))
    }

    /// The partition has moved away.
    pub fn abandon(&mut self, error: ErrorCode) -> Vec<Seen> {
        self.step(Event::Abandoned(error))
    }

    /// What another broker would know: the log, from bytes.
    pub fn replayed(&self) -> State {
        let mut state = State::default();
        for record in &self.log {
            let (key, value) = record.encode().expect("a shard writes what can be encoded");
            let read = Record::decode(key, value).expect("a shard writes what can be read").expect("of a known kind");
            assert_eq!(read, *record);
            state.replay(&read);
        }
        state
    }

    /// The shard is loaded anew from its log.
    pub fn reload(&mut self) {
        self.shard = Shard::load(Arc::clone(&self.config), self.replayed(), now(self.now_ms));
        self.last_write = WriteId(0);
    }

    fn step(&mut self, event: Event<'_>) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut effects = Vec::new();
        self.shard.step(now(self.now_ms), event, &mut self.rng, &mut effects);
        self.carry_out(effects, &mut seen);
        seen
    }

    fn carry_out(&mut self, effects: Vec<Effect>, seen: &mut Vec<Seen>) {
        for effect in effects {
            match effect {
                Effect::Append { write, records } => self.append(write, &records, seen),
                Effect::Reply { request, reply } => seen.push(Seen::Answered(request, Answer::Reply(Box::new(reply)))),
                Effect::Refuse { request, error } => seen.push(Seen::Answered(request, Answer::Refused(error))),
                Effect::Reload => {
                    seen.extend(self.step(Event::Abandoned(ErrorCode::CoordinatorNotAvailable)));
                    self.reload();
                    seen.push(Seen::Reloaded);
                }
            }
        }
    }

    fn append(&mut self, write: WriteId, records: &[Record], seen: &mut Vec<Seen>) {
        if let Some(error) = self.refuse_next.take() {
            seen.extend(records.iter().cloned().map(Seen::NotWritten));
            seen.extend(self.step(Event::NotAppended(error)));
            return;
        }
        self.last_write = write;
        self.log.extend_from_slice(records);
        seen.extend(records.iter().cloned().map(Seen::Wrote));
        seen.extend(self.step(Event::Appended));
        if self.commits {
            seen.extend(self.step(Event::Committed(write)));
        }
    }
}

pub fn now(ms: u64) -> Now {
    Now { monotonic: MonotonicTime::from_millis(ms), wall: WallTime(EPOCH_MS + ms as i64) }
}
