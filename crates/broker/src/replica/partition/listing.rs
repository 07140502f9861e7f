use parking_lot::MutexGuard;
use raftsman_log::{ReadError, TimestampLookup};
use raftsman_types::{LeaderEpoch, Offset};

use super::reading::COLD_READS_MAX;
use super::{Partition, State};
use crate::replica::{FetchError, Isolation, ListedOffset};

/// ListOffsets' special timestamps.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;

/// A lookup begins anew after the log was cut meanwhile; so often, then it holds up whoever would cut it.
const LOOKUPS_MAX: usize = 3;

/// Offset, timestamp and leader epoch of a record.
type Found = (Offset, i64, LeaderEpoch);

impl Partition {
    /// Whether ListOffsets for this timestamp looks into batches, which may take a while.
    pub fn is_lookup(timestamp: i64) -> bool {
        timestamp >= 0 || timestamp == MAX_TIMESTAMP
    }

    /// ListOffsets for one timestamp. May wait for the disk, and unpack batches, but does either without the replica's lock.
    pub fn list_offset(
        &self,
        timestamp: i64,
        isolation: Isolation,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<ListedOffset, FetchError> {
        let found = match Self::is_lookup(timestamp) {
            true => self.look_up(timestamp, current_leader_epoch),
            false => Ok((self.state.lock(), None)),
        };
        let (state, found) = found?;
        let leader = self.serving_leader(&state, current_leader_epoch)?;
        let readable = match isolation {
            Isolation::ReadUncommitted => state.high_watermark,
            Isolation::ReadCommitted => state.last_stable_offset(),
        };
        let none = ListedOffset { offset: -1, timestamp_ms: -1, leader_epoch: LeaderEpoch::NONE };
        let epoch_of = |offset: Offset| state.log.epoch_of(offset).unwrap_or(state.leader_epoch);
        match timestamp {
            // A new leader may not know yet how far its predecessor had committed (KIP-207).
            LATEST if !leader.machine.high_watermark_is_current() => Err(FetchError::OffsetNotAvailable),
            LATEST => Ok(ListedOffset { offset: readable, timestamp_ms: -1, leader_epoch: state.leader_epoch }),
            EARLIEST | EARLIEST_LOCAL => {
                let offset = state.log.log_start_offset();
                Ok(ListedOffset { offset, timestamp_ms: -1, leader_epoch: epoch_of(offset) })
            }
            // The other special ones ask for tiered storage.
            special if !Self::is_lookup(special) => Ok(none),
            asked => match found {
                Some((offset, timestamp_ms, leader_epoch)) if offset < readable => {
                    Ok(ListedOffset { offset, timestamp_ms, leader_epoch })
                }
                Some(_) if asked >= 0 && !leader.machine.high_watermark_is_current() => {
                    Err(FetchError::OffsetNotAvailable)
                }
                _ => Ok(none),
            },
        }
    }

    /// The first record with a timestamp or a later one, or with the largest there is, and the replica as it is then.
    fn look_up(
        &self,
        timestamp: i64,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<(MutexGuard<'_, State>, Option<Found>), FetchError> {
        for _ in 0..LOOKUPS_MAX {
            let lookup = match self.begin_lookup(timestamp, current_leader_epoch)? {
                Begun::Lookup(lookup) => lookup,
                Begun::Nothing => return Ok((self.state.lock(), None)),
                Begun::TooCold => break,
            };
            let found = lookup.find();
            let state = self.state.lock();
            if !state.log.stands(&lookup) {
                continue;
            }
            match found {
                // It was deleted, and another segment may have one.
                Ok(None) => break,
                Ok(found) => return Ok((state, found)),
                Err(error) => {
                    drop(state);
                    return Err(self.read_failed(&error));
                }
            }
        }
        let state = self.state.lock();
        self.serving_leader(&state, current_leader_epoch)?;
        let found = asked_of(&state, timestamp).map(|timestamp| state.log.offset_for_timestamp(timestamp)).transpose();
        match found {
            Ok(found) => Ok((state, found.flatten())),
            Err(error) => {
                drop(state);
                Err(self.read_failed(&error))
            }
        }
    }

    /// Finds the batches to look at. What that takes is read without the replica's lock, if it is not in memory.
    fn begin_lookup(&self, timestamp: i64, current_leader_epoch: Option<LeaderEpoch>) -> Result<Begun, FetchError> {
        for _ in 0..=COLD_READS_MAX {
            let state = self.state.lock();
            self.serving_leader(&state, current_leader_epoch)?;
            let Some(timestamp) = asked_of(&state, timestamp) else { return Ok(Begun::Nothing) };
            let begun = state.log.timestamp_lookup_without_waiting(timestamp);
            drop(state);
            match begun {
                Ok(Ok(Some(lookup))) => return Ok(Begun::Lookup(lookup)),
                Ok(Ok(None)) => return Ok(Begun::Nothing),
                Ok(Err(cold)) if cold.bring_in() => {}
                Ok(Err(_)) => return Ok(Begun::TooCold),
                Err(error) => return Err(self.read_failed(&error)),
            }
        }
        Ok(Begun::TooCold)
    }

    /// ListOffsets of version 0: the offsets at which segments start that were last written at a time or before it, and
    /// the end of what is committed.
    pub fn list_segment_offsets(&self, timestamp: i64, offsets_max: usize) -> Result<Vec<Offset>, FetchError> {
        let state = self.state.lock();
        self.serving_leader(&state, None)?;
        let high_watermark = state.high_watermark;
        let segments = state.log.segment_times().map_err(|error: ReadError| self.read_failed(&error))?;
        let now = self.core.wall_time().0;
        let mut known: Vec<(Offset, i64)> =
            segments.iter().map(|segment| (segment.start, segment.modified_ms)).collect();
        if segments.last().is_some_and(|newest| !newest.is_empty) {
            known.push((state.log.log_end_offset(), now));
        }
        match timestamp {
            LATEST => {}
            EARLIEST => known.truncate(1),
            timestamp => {
                let until = known.iter().rposition(|(_, time)| *time <= timestamp).map_or(0, |last| last + 1);
                known.truncate(until);
            }
        }
        let mut offsets: Vec<Offset> = known.iter().rev().map(|(offset, _)| *offset).take(offsets_max).collect();
        // What is not committed yet is not there for a consumer.
        if offsets.iter().any(|offset| *offset > high_watermark) {
            offsets.retain(|offset| *offset < high_watermark);
            offsets.insert(0, high_watermark);
        }
        Ok(offsets)
    }
}

/// How a lookup began.
enum Begun {
    Lookup(TimestampLookup),
    /// No record is that late.
    Nothing,
    /// What leads there does not stay in memory, or nobody can tell whether it does.
    TooCold,
}

/// The timestamp to look for.
fn asked_of(state: &State, timestamp: i64) -> Option<i64> {
    if timestamp == MAX_TIMESTAMP { state.log.largest_timestamp() } else { Some(timestamp) }
}
