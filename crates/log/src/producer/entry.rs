use raftsman_records::{BatchHeader, NO_SEQUENCE};
use raftsman_types::{Offset, ProducerEpoch};

/// Batches remembered per producer; clients keep at most five requests in flight.
pub(crate) const BATCHES_PER_PRODUCER: usize = 5;

/// One appended batch, as far as a repeat of it has to be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AppendedBatch {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    pub(crate) offset_delta: i32,
}

impl AppendedBatch {
    pub(crate) fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }

    fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        (first & i64::from(i32::MAX)) as i32
    }
}

/// One producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: ProducerEpoch,
    /// Of the coordinator that wrote the last transaction marker; -1 without one.
    pub(crate) coordinator_epoch: i32,
    /// When it was last heard of, ms since 1970: by the broker's clock while the log is open, by its
    /// records' after a restart.
    pub(crate) last_timestamp: i64,
    /// First offset of the open transaction; -1 without one.
    pub(crate) transaction_start: Offset,
    /// The last batches of this epoch, oldest first, at most [`BATCHES_PER_PRODUCER`].
    pub(crate) batches: Vec<AppendedBatch>,
}

impl ProducerEntry {
    pub(crate) fn new(epoch: ProducerEpoch) -> ProducerEntry {
        ProducerEntry { epoch, coordinator_epoch: -1, last_timestamp: -1, transaction_start: -1, batches: Vec::new() }
    }

    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.last().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// The remembered batch that `header` repeats.
    pub(crate) fn duplicate_of(&self, header: &BatchHeader) -> Option<&AppendedBatch> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        self.batches.iter().find(|batch| batch.first_sequence() == first && batch.last_sequence == last)
    }

    /// Takes in an appended batch of data, seen at `seen_at` ms since 1970.
    pub(crate) fn append(&mut self, header: &BatchHeader, seen_at: i64) {
        self.adopt_epoch(header.producer_epoch);
        if header.base_sequence != NO_SEQUENCE {
            if self.batches.len() == BATCHES_PER_PRODUCER {
                self.batches.remove(0);
            }
            self.batches.push(AppendedBatch {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
            });
        }
        self.last_timestamp = seen_at;
        if header.is_transactional() && self.transaction_start < 0 {
            self.transaction_start = header.base_offset;
        }
    }

    /// Takes in a transaction marker.
    pub(crate) fn end_transaction(&mut self, header: &BatchHeader, coordinator_epoch: i32, seen_at: i64) {
        self.adopt_epoch(header.producer_epoch);
        self.coordinator_epoch = self.coordinator_epoch.max(coordinator_epoch);
        self.last_timestamp = seen_at;
        self.transaction_start = -1;
    }

    /// A new epoch numbers from 0 again, so batches of the old one say nothing any more.
    fn adopt_epoch(&mut self, epoch: ProducerEpoch) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.batches = Vec::new();
        }
    }
}
