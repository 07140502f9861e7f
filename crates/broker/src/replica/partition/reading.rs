use std::sync::Arc;

use raftsman_log::{AbortedTransaction, ColdRead, Log, ReadData, ReadError};
use raftsman_types::{LeaderEpoch, Offset};
use tokio::sync::Notify;

use super::{LeaderRole, Partition, Role, Standing, State};
use crate::replica::{FetchError, FetchRead, Fetched, Isolation};

/// A read lacks an index entry, a batch's header, its bytes. If it lacks more than so often, what was brought in does not stay, and
/// it waits for the disk.
pub(in crate::replica) const COLD_READS_MAX: usize = 6;

/// The aborted transactions among what was read, if they are wanted.
type Aborted = Option<Vec<AbortedTransaction>>;

impl Fetched {
    fn with(mut self, data: ReadData, aborted: Aborted) -> Fetched {
        (self.chunks, self.next_offset, self.aborted) = (data.chunks, data.next_offset, aborted);
        self
    }
}

/// The batches of a read and the aborted transactions among them, or what of either is not in memory.
fn read_without_waiting(
    log: &Log,
    read: FetchRead,
    upto: Offset,
) -> Result<Result<(ReadData, Aborted), ColdRead>, ReadError> {
    let data = match log.read_without_waiting(read.fetch_offset, read.max_bytes, upto, read.at_least_one)? {
        Ok(data) => data,
        Err(cold) => return Ok(Err(cold)),
    };
    if read.isolation == Isolation::ReadUncommitted {
        return Ok(Ok((data, None)));
    }
    let aborted = log.aborted_transactions_without_waiting(read.fetch_offset, data.next_offset)?;
    Ok(aborted.map(|aborted| (data, Some(aborted))))
}

impl Partition {
    /// Reads for a consumer, up to what is committed. Waits for the disk if need be.
    pub fn fetch(&self, read: FetchRead) -> Result<Fetched, FetchError> {
        let state = self.state.lock();
        let (fetched, upto) = self.terms_of(&state, &read)?;
        let Some(upto) = upto else { return Ok(fetched) };
        let log = &state.log;
        let outcome = log.read(read.fetch_offset, read.max_bytes, upto, read.at_least_one).and_then(|data| {
            let aborted = match read.isolation {
                Isolation::ReadUncommitted => None,
                Isolation::ReadCommitted => Some(log.aborted_transactions(read.fetch_offset, data.next_offset)?),
            };
            Ok(fetched.with(data, aborted))
        });
        drop(state);
        outcome.map_err(|error| self.read_failed(&error))
    }

    /// As [`fetch`](Partition::fetch), but never waits for the disk: what it lacks comes back instead.
    pub fn fetch_without_waiting(&self, read: FetchRead) -> Result<Result<Fetched, ColdRead>, FetchError> {
        let state = self.state.lock();
        let (fetched, upto) = self.terms_of(&state, &read)?;
        let Some(upto) = upto else { return Ok(Ok(fetched)) };
        let outcome = read_without_waiting(&state.log, read, upto);
        drop(state);
        match outcome {
            Ok(outcome) => Ok(outcome.map(|(data, aborted)| fetched.with(data, aborted))),
            Err(error) => Err(self.read_failed(&error)),
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
            aborted: (read.isolation == Isolation::ReadCommitted).then(Vec::new),
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
    pub(super) fn read_failed(&self, error: &ReadError) -> FetchError {
        match error {
            ReadError::OutOfRange { start, end, .. } => FetchError::OffsetOutOfRange { start: *start, end: *end },
            ReadError::Damaged { .. } => {
                tracing::error!(
                    partition = %self.name(),
                    "a read found damage; stop the broker and move the partition's directory away, and it is copied anew: {error}"
                );
                FetchError::Damaged
            }
            ReadError::Storage(error) if error.is_out_of_files() => {
                self.directory.out_of_files(&self.core, error);
                FetchError::TooManyOpenFiles
            }
            ReadError::Storage(error) if error.is_damage() => {
                tracing::error!(partition = %self.name(), "a read found damage: {error}");
                FetchError::Damaged
            }
            ReadError::Storage(_) => {
                self.directory.fail(&self.core, error);
                FetchError::Storage
            }
        }
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
    pub(super) fn serving_leader<'a>(
        &self,
        state: &'a State,
        current: Option<LeaderEpoch>,
    ) -> Result<&'a LeaderRole, FetchError> {
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
    pub(super) fn last_stable_offset(&self) -> Offset {
        self.log.last_stable_offset_below(self.high_watermark)
    }
}
