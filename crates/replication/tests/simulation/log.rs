use raftsman_replication::LogPosition;
use raftsman_types::{LeaderEpoch, Offset};

/// A record: the epoch it was appended in, and which one of all it is.
pub type Record = (LeaderEpoch, u64);

/// A replica's log: records, epochs and how much of it the disk has.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub records: Vec<Record>,
    epochs: Vec<(LeaderEpoch, Offset)>,
    flushed: usize,
}

impl Log {
    pub fn end(&self) -> Offset {
        self.records.len() as Offset
    }

    pub fn position(&self) -> LogPosition {
        LogPosition { start: 0, end: self.end(), flushed: self.flushed as Offset }
    }

    pub fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(LeaderEpoch::NONE, |(epoch, _)| *epoch)
    }

    pub fn last_record_epoch(&self) -> LeaderEpoch {
        self.records.last().map_or(LeaderEpoch::NONE, |(epoch, _)| *epoch)
    }

    pub fn epoch_before(&self, offset: Offset) -> LeaderEpoch {
        if offset == 0 { LeaderEpoch::NONE } else { self.records[offset as usize - 1].0 }
    }

    pub fn assign_epoch_start(&mut self, epoch: LeaderEpoch) {
        assert!(epoch > self.latest_epoch(), "epochs never fall");
        self.epochs.push((epoch, self.end()));
    }

    pub fn append(&mut self, record: Record) {
        if record.0 > self.latest_epoch() {
            self.epochs.push((record.0, self.end()));
        }
        assert_eq!(record.0, self.latest_epoch(), "a record of an epoch that is over");
        self.records.push(record);
    }

    /// The largest epoch known at or below one, and its end; for one older than all, that one and the first's start.
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let above = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let end = self.epochs.get(above).map_or(self.end(), |(_, start)| *start);
        match above.checked_sub(1) {
            Some(i) => Some((self.epochs[i].0, end)),
            None if self.epochs.is_empty() => None,
            None => Some((epoch, end)),
        }
    }

    pub fn flush(&mut self, upto: usize) {
        self.flushed = self.flushed.max(upto.min(self.records.len()));
    }

    pub fn unflushed(&self) -> usize {
        self.records.len() - self.flushed
    }

    pub fn truncate(&mut self, to: Offset) {
        self.records.truncate(to as usize);
        self.epochs.retain(|(_, start)| *start < to);
        self.flushed = self.flushed.min(self.records.len());
    }

    pub fn reset(&mut self, at: Offset) {
        assert_eq!(at, 0, "nothing is deleted from the beginning here");
        *self = Log::default();
    }

    /// The power goes: of what was not flushed some of the beginning may have got through. Epoch starts are written
    /// when they are assigned; one that lies beyond the new end is gone with what was below it.
    pub fn crash(&mut self, survives: usize) {
        self.records.truncate(self.flushed + survives);
        let end = self.end();
        self.epochs.retain(|(_, start)| *start <= end);
        self.flushed = self.records.len();
    }
}
