use std::collections::HashMap;

use raftsman_records::{BatchHeader, ControlRecord, ControlRecordType, NO_SEQUENCE};
use raftsman_types::{Offset, ProducerEpoch, ProducerId, WallTime};

use super::entry::{BATCHES_PER_PRODUCER, ProducerEntry};
use crate::error::AppendError;

/// The producers of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProducerState {
    producers: HashMap<ProducerId, ProducerEntry>,
}

/// A transaction whose marker was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompletedTransaction {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    /// Of the marker.
    pub(crate) last_offset: Offset,
    pub(crate) is_aborted: bool,
}

/// Where compaction finds the last sequence of a producer, which it must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// Last offset of the producer's last batch of data; `None` if only a marker is known of it.
    pub(crate) data_offset: Option<Offset>,
    pub(crate) epoch: ProducerEpoch,
}

/// What to do with a producer's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    /// Append it.
    Next,
    /// It is in the log already, at these first and last offsets.
    Duplicate(Offset, Offset),
}

impl ProducerState {
    /// The producers of a snapshot: the last entry of an id says how it stands, those before it in the same epoch which
    /// batches came before.
    pub(crate) fn from_batches(entries: impl Iterator<Item = (ProducerId, ProducerEntry)>) -> ProducerState {
        let mut producers: HashMap<ProducerId, ProducerEntry> = HashMap::new();
        for (id, mut entry) in entries {
            if let Some(before) = producers.remove(&id).filter(|before| before.epoch == entry.epoch) {
                let surplus = (before.batches.len() + entry.batches.len()).saturating_sub(BATCHES_PER_PRODUCER);
                let mut batches: Vec<_> = before.batches.into_iter().skip(surplus).collect();
                batches.append(&mut entry.batches);
                entry.batches = batches;
            }
            producers.insert(id, entry);
        }
        ProducerState { producers }
    }

    /// All producers by ascending id.
    pub(crate) fn entries(&self) -> Vec<(ProducerId, &ProducerEntry)> {
        let mut entries: Vec<_> = self.producers.iter().map(|(id, entry)| (*id, entry)).collect();
        entries.sort_unstable_by_key(|(id, _)| *id);
        entries
    }

    /// What is known from batches below an offset, of the `limit` producers heard of last.
    pub(crate) fn below(&self, offset: Offset, limit: usize) -> ProducerState {
        let earlier = |(id, entry): (&ProducerId, &ProducerEntry)| {
            let batches: Vec<_> = entry.batches.iter().filter(|batch| batch.last_offset < offset).copied().collect();
            let entry = ProducerEntry { batches, transaction_start: -1, ..entry.clone() };
            (!entry.batches.is_empty()).then_some((*id, entry))
        };
        let mut entries: Vec<_> = self.producers.iter().filter_map(earlier).collect();
        entries.sort_unstable_by_key(|(id, entry)| (std::cmp::Reverse(entry.last_timestamp), *id));
        entries.truncate(limit);
        ProducerState { producers: entries.into_iter().collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.producers.len()
    }

    pub(crate) fn clear(&mut self) {
        self.producers = HashMap::new();
    }

    /// Judges a batch a client sent, against what the log holds: Kafka's rules, with the duplicate
    /// looked for first.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<SequenceCheck, AppendError> {
        if !header.has_producer_id() {
            return Ok(SequenceCheck::Next);
        }
        let producer_id = header.producer_id;
        // An unknown producer may begin anywhere: retention may have removed what it wrote before (KIP-360).
        let Some(entry) = self.producers.get(&producer_id) else { return Ok(SequenceCheck::Next) };
        let (current, got) = (entry.epoch.0, header.producer_epoch.0);
        if got < current {
            return Err(AppendError::InvalidProducerEpoch { producer_id, current, got });
        }
        if header.is_control() {
            return Ok(SequenceCheck::Next);
        }
        if let Some(batch) = entry.duplicate_of(header) {
            return Ok(SequenceCheck::Duplicate(batch.first_offset(), batch.last_offset));
        }
        let expected = match (got == current, entry.last_sequence()) {
            (false, _) => 0,
            // Known by its marker only: the data is gone, so any sequence may follow.
            (true, NO_SEQUENCE) => return Ok(SequenceCheck::Next),
            (true, i32::MAX) => 0,
            (true, last) => last + 1,
        };
        if header.base_sequence != expected {
            return Err(AppendError::OutOfOrderSequence { producer_id, expected, got: header.base_sequence });
        }
        Ok(SequenceCheck::Next)
    }

    /// Takes in a batch that is in the log; `control` is its record if it is a control batch, `seen_at`
    /// (ms since 1970) what its producer's idle time counts from. Returns the transaction it ends.
    pub(crate) fn append(
        &mut self,
        header: &BatchHeader,
        control: Option<&ControlRecord>,
        seen_at: i64,
    ) -> Option<CompletedTransaction> {
        // A marker that compaction emptied speaks of a transaction nothing is left of.
        if !header.has_producer_id() || (header.is_control() && control.is_none()) {
            return None;
        }
        let entry =
            self.producers.entry(header.producer_id).or_insert_with(|| ProducerEntry::new(header.producer_epoch));
        // A follower may see an older epoch only from a log written before the fence; it changes nothing.
        if header.producer_epoch < entry.epoch {
            return None;
        }
        let Some(record) = control else {
            entry.append(header, seen_at);
            return None;
        };
        let is_aborted = match record.control_type {
            ControlRecordType::Abort => true,
            ControlRecordType::Commit => false,
            _ => return None,
        };
        let first_offset = entry.transaction_start;
        entry.end_transaction(header, record.coordinator_epoch, seen_at);
        let (producer_id, last_offset) = (header.producer_id, header.last_offset());
        (first_offset >= 0).then_some(CompletedTransaction { producer_id, first_offset, last_offset, is_aborted })
    }

    /// Where the last record of each producer is.
    pub(crate) fn last_records(&self) -> HashMap<ProducerId, LastRecord> {
        let last = |entry: &ProducerEntry| LastRecord {
            data_offset: entry.batches.last().map(|batch| batch.last_offset),
            epoch: entry.epoch,
        };
        self.producers.iter().map(|(id, entry)| (*id, last(entry))).collect()
    }

    /// First offset of the oldest open transaction.
    pub(crate) fn first_open_transaction(&self) -> Option<Offset> {
        self.producers.values().map(|entry| entry.transaction_start).filter(|start| *start >= 0).min()
    }

    /// Forgets producers idle for `expiration_ms`, then the longest idle above `limit`. One with an open
    /// transaction stays: its marker has to find it.
    pub(crate) fn expire(&mut self, now: WallTime, expiration_ms: i64, limit: usize) {
        self.producers.retain(|_, entry| {
            entry.transaction_start >= 0 || now.0.saturating_sub(entry.last_timestamp) < expiration_ms
        });
        self.enforce_limit(limit);
    }

    /// Keeps at most `limit` producers. Goes a sixteenth below it, so that a flood of new producers does
    /// not make every append look through all of them.
    pub(crate) fn enforce_limit(&mut self, limit: usize) {
        if self.producers.len() <= limit {
            return;
        }
        let mut idle: Vec<(i64, ProducerId)> = self
            .producers
            .iter()
            .filter(|(_, entry)| entry.transaction_start < 0)
            .map(|(id, entry)| (entry.last_timestamp, *id))
            .collect();
        idle.sort_unstable();
        let surplus = self.producers.len() - (limit - limit / 16);
        for (_, id) in idle.into_iter().take(surplus) {
            self.producers.remove(&id);
        }
    }
}
