//! All groups of one partition as one machine: events in, effects out.

mod expiry;
mod parking;
mod request;
mod serve;
mod turn;

use std::collections::HashMap;
use std::sync::Arc;

use raftsman_protocol::Str;
use raftsman_types::{ErrorCode, MonotonicTime, Uuid, WallTime};
use rand::Rng;

use crate::deadlines::{Deadlines, Timer};
use crate::group::{Group, GroupState};
use crate::offsets::decide_delete_topics;
use crate::{CoordinatorConfig, Record, State};
use parking::Parking;
pub use request::{Caller, Reply, Request, RequestId};
pub(crate) use turn::Turn;

/// Counts a shard's writes, from 1. 0 is "what was loaded".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// The time on both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// For sessions and timeouts.
    pub monotonic: MonotonicTime,
    /// For what is written down.
    pub wall: WallTime,
}

/// A topic whose offsets are no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: Str,
    /// Its id: offsets committed under another id stay.
    pub id: Uuid,
}

/// What happens to a shard.
#[derive(Debug)]
pub enum Event<'a> {
    /// A client asks. It is answered by exactly one [`Effect::Reply`] or [`Effect::Refuse`], now or later.
    Request(&'a Caller, &'a Request),
    /// The time of [`Shard::next_deadline`] has come.
    Tick,
    /// Topics were deleted.
    TopicsDeleted(&'a [DeletedTopic]),
    /// The records of the last [`Effect::Append`] are in the log, in this order and behind all earlier ones.
    Appended,
    /// The records of the last [`Effect::Append`] are definitely not in the log, for this reason.
    NotAppended(ErrorCode),
    /// All records up to this write are committed.
    Committed(WriteId),
    /// The shard is being dropped: everyone who waits is refused with this error.
    Abandoned(ErrorCode),
}

/// What a shard wants done, in this order.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Append these records together. The next event has to be [`Event::Appended`] or [`Event::NotAppended`] (or, if it
    /// cannot be known, [`Event::Abandoned`]).
    Append {
        /// Names the write when it is committed.
        write: WriteId,
        /// What to append.
        records: Arc<[Record]>,
    },
    /// Answer a request.
    Reply {
        /// Which.
        request: RequestId,
        /// With what.
        reply: Reply,
    },
    /// Answer a request with an error of the coordinator as such.
    Refuse {
        /// Which.
        request: RequestId,
        /// With what.
        error: ErrorCode,
    },
    /// Memory is ahead of the log: drop the shard ([`Event::Abandoned`]) and load it again.
    Reload,
}

/// All groups whose ids hash to one partition of `__consumer_offsets`. See the crate's documentation for its two shapes.
#[derive(Debug)]
pub struct Shard {
    config: Arc<CoordinatorConfig>,
    state: State,
    groups: HashMap<Str, Group>,
    deadlines: Deadlines,
    expiry_due: MonotonicTime,
    parking: Parking,
    in_flight: Option<InFlight>,
}

/// A turn whose records are being appended.
#[derive(Debug)]
struct InFlight {
    records: Arc<[Record]>,
    replies: Vec<(RequestId, Reply, WriteId)>,
    /// Groups have changed in memory as if the records were written.
    is_ahead: bool,
}

impl Shard {
    /// A shard of which everything in `state` is committed. Members get a whole session to show up.
    pub fn load(config: Arc<CoordinatorConfig>, state: State, now: Now) -> Shard {
        let mut deadlines = Deadlines::default();
        let mut groups = HashMap::new();
        let mut turn = Turn::new(now, &config, &mut deadlines);
        for (id, stored) in state.groups() {
            if let Some(metadata) = &stored.metadata {
                groups.insert(id.clone(), Group::restore(id.clone(), metadata, &mut turn));
            }
        }
        let expiry_due = now.monotonic + config.offsets_retention_check_interval;
        Shard { config, state, groups, deadlines, expiry_due, parking: Parking::default(), in_flight: None }
    }

    /// What is durable, as far as it has been appended.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// When the next [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> MonotonicTime {
        self.deadlines.next().map_or(self.expiry_due, |next| next.min(self.expiry_due))
    }

    /// One event. `rng` makes the ids of new members.
    ///
    /// # Panics
    /// If an [`Effect::Append`] was not followed by its outcome: every record after it would be misplaced.
    pub fn step(&mut self, now: Now, event: Event<'_>, rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        match event {
            Event::Request(caller, request) => self.run(now, effects, |shard, turn| {
                shard.serve(turn, caller, request, rng);
            }),
            Event::Tick => self.tick(now, effects),
            Event::TopicsDeleted(topics) => self.run(now, effects, |shard, turn| {
                let records = decide_delete_topics(&shard.state, topics);
                turn.write_offsets(records);
            }),
            Event::Appended => self.appended(now, effects),
            Event::NotAppended(error) => self.not_appended(error, effects),
            Event::Committed(write) => self.parking.committed(write, effects),
            Event::Abandoned(error) => self.abandoned(error, effects),
        }
    }

    /// Runs one turn and sends off what it decided: records first, replies when they are committed.
    fn run(&mut self, now: Now, effects: &mut Vec<Effect>, decide: impl FnOnce(&mut Shard, &mut Turn<'_>)) {
        assert!(self.in_flight.is_none(), "the outcome of the last append has to be the next event");
        let config = Arc::clone(&self.config);
        let mut deadlines = std::mem::take(&mut self.deadlines);
        let mut turn = Turn::new(now, &config, &mut deadlines);
        decide(self, &mut turn);
        let Turn { records, replies, writes_group, .. } = turn;
        self.deadlines = deadlines;
        if records.is_empty() {
            self.parking.park(replies, effects);
            return;
        }
        let records: Arc<[Record]> = records.into();
        effects.push(Effect::Append { write: self.parking.next_write(), records: Arc::clone(&records) });
        self.in_flight = Some(InFlight { records, replies, is_ahead: writes_group });
    }

    fn appended(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(InFlight { records, mut replies, .. }) = self.in_flight.take() else { return };
        let write = self.parking.start_write();
        for record in records.iter() {
            self.state.replay(record);
            self.parking.touch(record, write);
            if let Record::Group { group, value: None } = record {
                self.drop_group(now, group);
            }
        }
        for (_, _, after) in &mut replies {
            *after = write;
        }
        self.parking.park(replies, effects);
    }

    fn not_appended(&mut self, error: ErrorCode, effects: &mut Vec<Effect>) {
        let Some(in_flight) = self.in_flight.take() else { return };
        effects.extend(in_flight.replies.into_iter().map(|(request, _, _)| Effect::Refuse { request, error }));
        if in_flight.is_ahead {
            effects.push(Effect::Reload);
        }
    }

    fn abandoned(&mut self, error: ErrorCode, effects: &mut Vec<Effect>) {
        let in_flight = self.in_flight.take().into_iter().flat_map(|turn| turn.replies);
        effects.extend(in_flight.map(|(request, _, _)| Effect::Refuse { request, error }));
        effects.extend(self.parking.drain().map(|request| Effect::Refuse { request, error }));
        for (_, group) in self.groups.drain() {
            effects.extend(group.waiting().map(|request| Effect::Refuse { request, error }));
        }
        self.deadlines = Deadlines::default();
    }

    fn drop_group(&mut self, now: Now, group_id: &Str) {
        if let Some(mut group) = self.groups.remove(group_id) {
            group.cancel_timers(&mut Turn::new(now, &self.config, &mut self.deadlines));
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.run(now, effects, |shard, turn| {
            while let Some((_, group_id, timer)) = turn.deadlines.pop_due(now.monotonic) {
                turn.floor = shard.parking.group_write(&group_id);
                let Some(group) = shard.groups.get_mut(&group_id) else { continue };
                match timer {
                    Timer::Join => group.join_timer_due(turn),
                    Timer::Sync => group.sync_timer_due(turn),
                    Timer::Session(member_id) => group.session_timer_due(turn, &member_id),
                    Timer::Pending(member_id) => group.pending_timer_due(turn, &member_id),
                }
                shard.forget_if_vacant(&group_id);
            }
            if shard.expiry_due <= now.monotonic {
                shard.expire_offsets(turn);
            }
        });
    }

    /// Forgets a group that nobody is in and that has no record.
    fn forget_if_vacant(&mut self, group_id: &Str) {
        let has_record = self.state.group(group_id).is_some_and(|stored| stored.metadata.is_some());
        // A first record may be on its way; without one, the generation is still 0.
        if !has_record && self.groups.get(group_id).is_some_and(Group::is_untouched) {
            self.groups.remove(group_id);
        }
    }

    /// Whether the group is there and has members or is getting some.
    fn is_in_use(&self, group_id: &Str) -> bool {
        self.groups.get(group_id).is_some_and(|group| group.state() != GroupState::Empty)
    }
}
