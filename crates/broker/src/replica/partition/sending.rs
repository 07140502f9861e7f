use std::sync::Arc;

use bytes::Bytes;
use raftsman_log::ColdRead;
use raftsman_metadata::ThrottledSide;
use raftsman_replication::SubscriptionKey;
use raftsman_types::{LeaderEpoch, Offset};

use super::leading::producers_for;
use super::{LeaderRole, Partition, Role};

/// What a follower is to be sent next.
pub(in crate::replica) struct FollowerRead {
    pub key: SubscriptionKey,
    pub from: Offset,
    pub max_bytes: usize,
    /// For the disk; what is lacking in memory is not read otherwise.
    pub may_wait: bool,
    /// What the follower's own quota allows it; `None` if it has none.
    pub allowance: Option<u64>,
}

/// A piece of the log for a follower.
pub(in crate::replica) struct Piece {
    pub records: Bytes,
    pub previous_offset: Offset,
    pub previous_epoch: LeaderEpoch,
    pub next_offset: Offset,
    pub high_watermark: Offset,
    pub log_start_offset: Offset,
    /// Whether the log goes on after this piece.
    pub more: bool,
}

/// Why there is nothing for a follower now, though there is more in the log.
pub(in crate::replica) enum NotNow {
    /// It is to be read from the disk first.
    Cold(ColdRead),
    /// A quota is used up, the follower's or this broker's.
    Throttled,
}

/// How much a follower may be sent.
struct Pace {
    max_bytes: usize,
    /// Whether it counts against this broker's quota.
    counts: bool,
}

impl Partition {
    /// The next records for a follower; `None` if there are none, or the subscription is over.
    pub fn read_for_follower(self: &Arc<Self>, read: &FollowerRead) -> Result<Option<Piece>, NotNow> {
        let &FollowerRead { key, from, may_wait, .. } = read;
        let state = self.state.lock();
        let Role::Leader(leader) = &state.role else { return Ok(None) };
        if !leader.subscribers.iter().any(|(other, _)| *other == key) {
            return Ok(None);
        }
        let end = state.log.log_end_offset();
        if from >= end {
            return Ok(None);
        }
        let pace = self.pace(leader, read)?;
        let max_bytes = read.max_bytes.min(pace.max_bytes);
        let read = match may_wait {
            true => state.log.read(from, max_bytes, end, true),
            false => match state.log.read_without_waiting(from, max_bytes, end, true) {
                Ok(Err(cold)) => return Err(NotNow::Cold(cold)),
                Ok(Ok(read)) => Ok(read),
                Err(error) => Err(error),
            },
        };
        match read {
            Ok(read) => {
                let records = join(read.chunks);
                if pace.counts {
                    self.core.throttle.spend(ThrottledSide::Leader, records.len(), self.core.now());
                }
                Ok(Some(Piece {
                    previous_offset: from,
                    previous_epoch: state.epoch_before(from),
                    next_offset: read.next_offset,
                    high_watermark: state.high_watermark,
                    log_start_offset: state.log.log_start_offset(),
                    more: read.next_offset < end,
                    records,
                }))
            }
            Err(error) => {
                let session = leader.subscribers.iter().find(|(other, _)| *other == key).map(|(_, s)| Arc::clone(s));
                let (code, log_start_offset) = (error.error_code(), state.log.log_start_offset());
                let producers = producers_for(&state.log, code, log_start_offset);
                drop(state);
                self.read_failed(&error);
                if let Some(session) = session {
                    // It asks again, and is told then where the log starts if that is why.
                    session.refuse_knowing(key.subscription, code, log_start_offset, producers);
                }
                Ok(None)
            }
        }
    }

    fn pace(&self, leader: &LeaderRole, read: &FollowerRead) -> Result<Pace, NotNow> {
        let now = self.core.now();
        if leader.machine.waits_for(read.key.broker, now) {
            // Acks wait for it.
            return Ok(Pace { max_bytes: usize::MAX, counts: false });
        }
        let of_follower = read.allowance.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let counts = self.core.throttle.is_set(ThrottledSide::Leader)
            && self.settings.read().throttled_leaders.contains(self.at.partition, self.core.me());
        let own = match counts && of_follower > 0 {
            true => self.core.throttle.allowance(ThrottledSide::Leader, now),
            false => usize::MAX,
        };
        match own.min(of_follower) {
            0 => Err(NotNow::Throttled),
            max_bytes => Ok(Pace { max_bytes, counts }),
        }
    }

    /// The watermarks as they are now, for a follower that has got all records.
    pub fn watermarks(&self) -> (Offset, Offset) {
        let state = self.state.lock();
        (state.high_watermark, state.log.log_start_offset())
    }
}

/// One run of bytes out of a log's chunks; a single chunk stays what it is.
fn join(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        0 => Bytes::new(),
        1 => chunks.swap_remove(0),
        _ => {
            let mut joined = Vec::with_capacity(chunks.iter().map(Bytes::len).sum());
            for chunk in &chunks {
                joined.extend_from_slice(chunk);
            }
            joined.into()
        }
    }
}
