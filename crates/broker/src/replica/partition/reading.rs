use std::sync::Arc;

use raftsman_log::{ColdRead, ReadData};
use raftsman_types::{LeaderEpoch, Offset};
use tokio::sync::Notify;

use super::{LeaderRole, Partition, Role, Standing, State};
use crate::replica::{FetchError, FetchRead, Fetched, Isolation, ListedOffset};

/// ListOffsets' special timestamps.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;

/// A read lacks an index entry, a batch's header, its bytes. If it lacks more than so often, what was brought in does not stay, and
/// it waits for the disk.
pub(in crate::replica) const COLD_READS_MAX: usize = 6;

impl Fetched {
    fn with(mut self, data: ReadData) -> Fetched {
        (self.chunks, self.next_offset) = (data.chunks, data.next_offset);
        self
    }
}

impl Partition {
    /// Reads for a consumer, up to what is committed. Waits for the disk if need be.
    pub fn fetch(&self, read: FetchRead) -> Result<Fetched, FetchError> {
        let state = self.state.lock();
        let (fetched, upto) = self.terms_of(&state, &read)?;
        let Some(upto) = upto else { return Ok(fetched) };
        match state.log.read(read.fetch_offset, read.max_bytes, upto, read.at_least_one) {
            Ok(data) => Ok(fetched.with(data)),
            Err(error) => {
                drop(state);
                Err(self.read_failed(&error))
            }
        }
    }

    /// As [`fetch`](Partition::fetch), but never waits for the disk: what it lacks comes back instead.
    pub fn fetch_without_waiting(&self, read: FetchRead) -> Result<Result<Fetched, ColdRead>, FetchError> {
        let state = self.state.lock();
        let (fetched, upto) = self.terms_of(&state, &read)?;
        let Some(upto) = upto else { return Ok(Ok(fetched)) };
        match state.log.read_without_waiting(read.fetch_offset, read.max_bytes, upto, read.at_least_one) {
            Ok(outcome) => Ok(outcome.map(|data| fetched.with(data))),
            Err(error) => {
                drop(state);
                Err(self.read_failed(&error))
            }
        }
    }

    /// Goes on with a fetch on a thread that may wait. What was lacking is read without the replica's lock first, lest the disk
    /// hold up those who append.
    pub fn fetch_from_disk(&self, read: FetchRead, mut cold: ColdRead) -> Result<Fetched, FetchError> {
        for _ in 0..COLD_READS_MAX {
            if !cold.bring_in() {
                break;
            }
            match self.fetch_without_waiting(read)? {
                Ok(fetched) => return Ok(fetched),
                Err(next) => cold = next,
            }
        }
        self.fetch(read)
    }

    /// All that is to be said to a fetch but records, and up to where those may go if there may be any.
    fn terms_of(&self, state: &State, read: &FetchRead) -> Result<(Fetched, Option<Offset>), FetchError> {
        let leader = self.serving_leader(state, read.current_leader_epoch)?;
        let (start, end) = (state.log.log_start_offset(), state.log.log_end_offset());
        let mut fetched = Fetched {
            next_offset: read.fetch_offset,
            high_watermark: state.high_watermark,
            last_stable_offset: state.last_stable_offset(),
            log_start_offset: start,
            ..Default::default()
        };
        if let Some(epoch) = read.last_fetched_epoch {
            // Without an epoch to compare with, the client has to reset its position.
            let known = state.log.end_offset_for(epoch).ok_or(FetchError::OffsetOutOfRange { start, end })?;
            if known.0 < epoch || known.1 < read.fetch_offset {
                fetched.diverging = Some(known);
                return Ok((fetched, None));
            }
        }
        if read.fetch_offset < start || read.fetch_offset > end {
            return Err(FetchError::OffsetOutOfRange { start, end });
        }
        let upto = match read.isolation {
            Isolation::ReadUncommitted => fetched.high_watermark,
            Isolation::ReadCommitted => fetched.last_stable_offset,
        };
        if read.fetch_offset >= upto {
            if !leader.machine.high_watermark_is_current() && read.fetch_offset > fetched.high_watermark {
                return Err(FetchError::OffsetNotAvailable);
            }
            return Ok((fetched, None));
        }
        Ok((fetched, Some(upto)))
    }

    /// A failed read takes the directory offline, as a failed write does: the replica cannot be trusted. A damaged batch says
    /// nothing of the others: whoever reads it is told, and nobody else. Too many open files say nothing of either.
    pub(super) fn read_failed(&self, error: &raftsman_log::ReadError) -> FetchError {
        match error {
            raftsman_log::ReadError::OutOfRange { start, end, .. } => {
                FetchError::OffsetOutOfRange { start: *start, end: *end }
            }
            raftsman_log::ReadError::Damaged { .. } => {
                tracing::error!(
                    partition = %self.name(),
                    "a read found damage; stop the broker and move the partition's directory away, and it is copied anew: {error}"
                );
                FetchError::Damaged
            }
            raftsman_log::ReadError::Storage(error) if error.is_out_of_files() => {
                self.directory.out_of_files(&self.core, error);
                FetchError::TooManyOpenFiles
            }
            raftsman_log::ReadError::Storage(_) => {
                self.directory.fail(&self.core, error);
                FetchError::Storage
            }
        }
    }

    fn looked_up<T>(&self, found: Result<T, raftsman_log::ReadError>) -> Result<T, FetchError> {
        found.map_err(|error| self.read_failed(&error))
    }

    /// ListOffsets for one timestamp.
    pub fn list_offset(
        &self,
        timestamp: i64,
        isolation: Isolation,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<ListedOffset, FetchError> {
        let state = self.state.lock();
        let leader = self.serving_leader(&state, current_leader_epoch)?;
        let readable = match isolation {
            Isolation::ReadUncommitted => state.high_watermark,
            Isolation::ReadCommitted => state.last_stable_offset(),
        };
        let none = ListedOffset { offset: -1, timestamp_ms: -1, leader_epoch: LeaderEpoch::NONE };
        let at = |offset: Offset, timestamp_ms: i64| ListedOffset {
            offset,
            timestamp_ms,
            leader_epoch: state.log.epoch_of(offset).unwrap_or(state.leader_epoch),
        };
        match timestamp {
            // A new leader may not know yet how far its predecessor had committed (KIP-207).
            LATEST if !leader.machine.high_watermark_is_current() => Err(FetchError::OffsetNotAvailable),
            LATEST => Ok(ListedOffset { offset: readable, timestamp_ms: -1, leader_epoch: state.leader_epoch }),
            EARLIEST | EARLIEST_LOCAL => Ok(at(state.log.log_start_offset(), -1)),
            MAX_TIMESTAMP => Ok(match self.looked_up(state.log.max_timestamp())? {
                Some((offset, timestamp)) if offset < readable => at(offset, timestamp),
                _ => none,
            }),
            // The other special ones ask for tiered storage.
            special if special < 0 => Ok(none),
            timestamp => match self.looked_up(state.log.offset_for_timestamp(timestamp))? {
                Some((offset, found, leader_epoch)) if offset < readable => {
                    Ok(ListedOffset { offset, timestamp_ms: found, leader_epoch })
                }
                Some(_) if !leader.machine.high_watermark_is_current() => Err(FetchError::OffsetNotAvailable),
                _ => Ok(none),
            },
        }
    }

    /// ListOffsets of version 0: the offsets at which segments start that were last written at a time or before it, and
    /// the end of what is committed.
    pub fn list_segment_offsets(&self, timestamp: i64, offsets_max: usize) -> Result<Vec<Offset>, FetchError> {
        let state = self.state.lock();
        self.serving_leader(&state, None)?;
        let high_watermark = state.high_watermark;
        let segments = self.looked_up(state.log.segment_times())?;
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

    /// The largest epoch this log knows that is at most the one asked for, and its end (KIP-279).
    pub fn offset_for_leader_epoch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, FetchError> {
        let state = self.state.lock();
        self.serving_leader(&state, current_leader_epoch)?;
        Ok(state.log.end_offset_for(epoch))
    }

    pub fn add_reader(&self, id: u64, signal: &Arc<Notify>) {
        self.state.lock().readers.add(id, signal);
    }

    pub fn remove_reader(&self, id: u64) {
        self.state.lock().readers.remove(id);
    }

    /// Epochs first, then whether this broker leads and may serve.
    fn serving_leader<'a>(&self, state: &'a State, current: Option<LeaderEpoch>) -> Result<&'a LeaderRole, FetchError> {
        if state.standing == Standing::Offline {
            return Err(FetchError::Storage);
        }
        match current {
            Some(epoch) if epoch < state.leader_epoch => return Err(FetchError::FencedLeaderEpoch),
            Some(epoch) if epoch > state.leader_epoch => return Err(FetchError::UnknownLeaderEpoch),
            _ => {}
        }
        match &state.role {
            Role::Leader(leader) if self.core.may_serve() => Ok(leader),
            _ => Err(FetchError::NotLeaderOrFollower),
        }
    }
}

impl State {
    fn last_stable_offset(&self) -> Offset {
        self.high_watermark.min(self.log.last_stable_offset())
    }
}
