//! What a log knows of producers and their transactions beyond the batches: restored when it opens or is cut.

use bytes::Bytes;
use raftsman_records::RecordBatch;
use raftsman_types::{Offset, WallTime};

use super::Log;
use super::partition_files::{
    list_snapshots, load_snapshot, read_snapshot, remove_snapshot, snapshot_path, write_snapshot,
};
use crate::atomic_file::{write_atomically, write_renamed};
use crate::cold_read::ColdRead;
use crate::error::{LogError, ReadError, StorageError};
use crate::index::{AbortedTransaction, TransactionIndex};
use crate::place::Place;
use crate::producer::{CompletedTransaction, ProducerState, TransactionSeal, decode_snapshot, encode_snapshot};
use crate::scanner::{BatchScanner, Scanned};
use crate::segment::LOOKUP_BLOCK_BYTES;

/// How many producers a replica is told of that begins where their batches are gone: those heard of last. So many fit into a frame.
const HANDED_OVER_MAX: usize = 1000;

/// The index entry of a transaction that was just completed, if it was aborted.
pub(super) fn aborted_transaction(
    producers: &ProducerState,
    completed: CompletedTransaction,
) -> Option<AbortedTransaction> {
    let CompletedTransaction { producer_id, first_offset, last_offset, is_aborted } = completed;
    let last_stable_offset = producers.first_open_transaction().unwrap_or(last_offset + 1);
    is_aborted.then_some(AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset })
}

impl Log {
    /// The aborted transactions with records in `from..upto`, in the order in which they ended: what a
    /// `read_committed` consumer needs besides the batches of that range.
    ///
    /// # Errors
    /// Storage, or an index file that was damaged since the log was opened.
    pub fn aborted_transactions(&self, from: Offset, upto: Offset) -> Result<Vec<AbortedTransaction>, ReadError> {
        self.check_online()?;
        Ok(self.find_aborted_transactions(&self.place, from, upto)?)
    }

    /// As [`Log::aborted_transactions`], on a thread that may not wait for a disk: as
    /// [`Log::read_without_waiting`] does, it gives back what is not in memory instead.
    ///
    /// # Errors
    /// As for [`Log::aborted_transactions`].
    pub fn aborted_transactions_without_waiting(
        &self,
        from: Offset,
        upto: Offset,
    ) -> Result<Result<Vec<AbortedTransaction>, ColdRead>, ReadError> {
        self.check_online()?;
        let (place, lack) = self.place.in_memory();
        let outcome = self.find_aborted_transactions(&place, from, upto);
        // What came of a read that lacked something says nothing.
        match lack.get() {
            Some(cold) => Ok(Err(cold.clone())),
            None => Ok(Ok(outcome?)),
        }
    }

    fn find_aborted_transactions(
        &self,
        place: &Place,
        from: Offset,
        upto: Offset,
    ) -> Result<Vec<AbortedTransaction>, StorageError> {
        let mut aborted = Vec::new();
        let first = self.segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
        for segment in &self.segments[first..] {
            for entry in segment.transactions.entries(place, segment.base_offset)? {
                if entry.last_offset >= from && entry.first_offset < upto {
                    aborted.push(entry);
                }
                if entry.last_stable_offset >= upto {
                    return Ok(aborted);
                }
            }
        }
        Ok(aborted)
    }

    /// Up to where a `read_committed` consumer may read if all below `high_watermark` is committed: no transaction below is
    /// open, nor one whose marker stands above, where it may yet be cut off (Kafka's last stable offset, KIP-98).
    pub fn last_stable_offset_below(&self, high_watermark: Offset) -> Offset {
        let undecided = self.unreplicated_transactions.first_offset(high_watermark).unwrap_or(high_watermark);
        undecided.min(self.last_stable_offset()).min(high_watermark)
    }

    /// All below `high_watermark` is committed, markers of transactions too.
    pub fn transactions_replicated(&mut self, high_watermark: Offset) {
        self.unreplicated_transactions.replicated(high_watermark);
    }

    /// Rebuilds the producers from the newest snapshot at or below the log's end and the batches behind
    /// it, and removes snapshots that are of no more use. Where the aborted transactions of a segment are in doubt,
    /// begins with a snapshot from before it and finds them on the way.
    ///
    /// `snapshots` are those there are, rising.
    pub(super) fn restore_producers(&mut self, snapshots: Vec<Offset>, now: WallTime) -> Result<(), StorageError> {
        self.check_transaction_indexes()?;
        let end = self.log_end_offset;
        let in_doubt = self.segments.iter().find(|segment| segment.transactions_in_doubt);
        let limit = in_doubt.map_or(end, |segment| segment.base_offset.min(end));
        let snapshot = load_snapshot(&self.place, &snapshots, limit)?;
        let (from, producers) = snapshot.unwrap_or((self.segments[0].base_offset, Default::default()));
        self.producers = producers;
        self.unreplicated_transactions.truncate(from);
        self.replay_producers(from, now)?;
        self.producers.enforce_limit(self.config.max_producer_ids);
        self.refresh_first_open_transaction();
        // Snapshots are taken again on the way where segments end, of which the newest is none.
        let snapshots = match snapshots.is_empty() && self.segments.len() == 1 {
            true => snapshots,
            false => list_snapshots(&self.place)?,
        };
        let newest = snapshots.iter().rfind(|offset| **offset <= end).copied();
        for offset in snapshots {
            let is_base = self.segments.iter().any(|segment| segment.base_offset == offset);
            if offset > end || (!is_base && Some(offset) != newest) {
                remove_snapshot(&self.place, offset)?;
            }
        }
        Ok(())
    }

    /// What is known of producers from batches below `offset`, of as many of them as [`HANDED_OVER_MAX`] says, as a snapshot of there:
    /// for a replica that begins at `offset` and never gets those batches.
    pub fn producers_below(&self, offset: Offset) -> Bytes {
        let producers = self.producers.below(offset, HANDED_OVER_MAX);
        if producers.len() == 0 {
            return Bytes::new();
        }
        encode_snapshot(&producers, offset, TransactionSeal::of(&[])).into()
    }

    /// Takes over what another replica knows of producers from batches that this log never had: an empty log, which begins where
    /// [`producers_below`](Log::producers_below) was asked about. What is no such snapshot is passed over. It is on
    /// disk when this returns, or after the first flush that finds room, and a file, for it.
    ///
    /// # Errors
    /// Storage; the log is then offline.
    pub fn adopt_producers(&mut self, snapshot: &[u8]) -> Result<(), LogError> {
        self.check_online()?;
        let at = self.log_end_offset;
        if self.log_start_offset != at || snapshot.is_empty() {
            return Ok(());
        }
        match decode_snapshot(snapshot, at) {
            Ok(snapshot) => self.producers = snapshot.producers,
            Err(reason) => {
                tracing::warn!(log = %self.place.directory.display(), "passes over what its leader says of producers: {reason}");
                return Ok(());
            }
        }
        self.producers.enforce_limit(self.config.max_producer_ids);
        Ok(self.keep_producers()?)
    }

    /// Leaves a snapshot where an empty log begins: no batch in it says what its producers are.
    pub(super) fn keep_producers(&mut self) -> Result<(), StorageError> {
        self.refresh_first_open_transaction();
        if self.producers.len() == 0 {
            return Ok(());
        }
        let at = self.log_end_offset;
        let snapshot = encode_snapshot(&self.producers, at, TransactionSeal::of(&[]));
        match write_atomically(&*self.place.fs, &snapshot_path(&self.place, at), &snapshot) {
            Err(error) if error.is_passing() => {
                tracing::warn!(log = %self.place.directory.display(), %error, "its producers are not written down yet");
                self.put_off_snapshot = Some((at, snapshot.into()));
                Ok(())
            }
            written => self.latch(written),
        }
    }

    /// Writes the snapshot for which there was no room, or no file, if there is now; to be synced by the flush that begins. Nothing
    /// is done about an error here: that flush ends with it.
    pub(super) fn write_put_off_snapshot(&mut self) -> Result<(), StorageError> {
        let Some((offset, snapshot)) = &self.put_off_snapshot else { return Ok(()) };
        let path = snapshot_path(&self.place, *offset);
        match write_renamed(&*self.place.fs, &path, snapshot, false) {
            Err(error) if error.is_passing() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.put_off_snapshot = None;
                self.unsynced_side_files.push(path);
                self.names_changed += 1;
                Ok(())
            }
        }
    }

    /// Doubts the index of each segment that is not what the snapshot says that was taken where the segment ends.
    fn check_transaction_indexes(&mut self) -> Result<(), StorageError> {
        for i in 0..self.segments.len() {
            let end = self.segments.get(i + 1).map_or(self.log_end_offset, |next| next.base_offset);
            let segment = &mut self.segments[i];
            if segment.transactions_in_doubt || segment.transactions.pending() > 0 || segment.size == 0 {
                continue;
            }
            let Some(expected) = read_snapshot(&self.place, end)?.and_then(|snapshot| snapshot.seal) else { continue };
            if segment.transactions.seal(&self.place, segment.base_offset)? != expected {
                tracing::warn!(segment = %segment.path(&self.place).display(), "its index of aborted transactions is not what it was; rebuilding it");
                segment.doubt_transactions(&self.place)?;
            }
        }
        Ok(())
    }

    /// Takes the batches from `from` on into the producer state.
    fn replay_producers(&mut self, from: Offset, now: WallTime) -> Result<(), StorageError> {
        let bases: Vec<Offset> = self.segments.iter().map(|segment| segment.base_offset).collect();
        for i in 0..self.segments.len() {
            // What recovery saw holds only until more is appended.
            let is_without_producers = std::mem::take(&mut self.segments[i].is_without_producers);
            if self.segments[i].size == 0 || bases.get(i + 1).is_some_and(|next| *next <= from) {
                continue;
            }
            let aborted = match is_without_producers {
                true => Vec::new(),
                false => self.replay_segment(i, from, now)?,
            };
            if std::mem::take(&mut self.segments[i].transactions_in_doubt) {
                self.segments[i].transactions = TransactionIndex::of(aborted);
                match bases.get(i + 1) {
                    Some(end) => self.seal_found_transactions(i, *end)?,
                    // The next one is taken when the log is closed.
                    None => remove_snapshot(&self.place, self.log_end_offset)?,
                }
            }
        }
        Ok(())
    }

    /// Writes what was found of the aborted transactions of a segment that is complete, and the snapshot taken where it ends.
    fn seal_found_transactions(&mut self, i: usize, end: Offset) -> Result<(), StorageError> {
        let segment = &mut self.segments[i];
        let base_offset = segment.base_offset;
        if segment.transactions.pending() > 0 {
            segment.transactions.write_pending(&self.place, base_offset)?;
            self.unsynced_side_files.push(TransactionIndex::path(&self.place, base_offset));
        }
        let seal = segment.transactions.seal(&self.place, base_offset)?;
        write_snapshot(&self.place, end, &self.producers, seal)?;
        self.unsynced_side_files.push(snapshot_path(&self.place, end));
        self.names_changed += 1;
        Ok(())
    }

    /// Lets the snapshot taken where a segment ends say what the segment's index of aborted transactions is now.
    pub(super) fn reseal_transactions(&mut self, segment_base: Offset, end: Offset) -> Result<(), StorageError> {
        let Ok(i) = self.segments.binary_search_by_key(&segment_base, |segment| segment.base_offset) else {
            return Ok(());
        };
        let Some(snapshot) = read_snapshot(&self.place, end)? else { return Ok(()) };
        let seal = self.segments[i].transactions.seal(&self.place, segment_base)?;
        write_snapshot(&self.place, end, &snapshot.producers, seal)?;
        self.unsynced_side_files.push(snapshot_path(&self.place, end));
        Ok(())
    }

    /// Takes the batches of one segment into the producer state; returns the aborted transactions that end there.
    fn replay_segment(
        &mut self,
        i: usize,
        from: Offset,
        now: WallTime,
    ) -> Result<Vec<AbortedTransaction>, StorageError> {
        let segment = &self.segments[i];
        let path = segment.path(&self.place);
        let file = segment.reader(&self.place)?;
        let start = segment.floor_position(&self.place, from)?;
        let mut scanner = BatchScanner::new(&*file, &path, start, segment.size, 4 * LOOKUP_BLOCK_BYTES);
        let mut aborted = Vec::new();
        while let Scanned::Batch(header) = scanner.header()? {
            if header.base_offset >= from && header.has_producer_id() {
                let control = match header.is_control() {
                    true => RecordBatch::parse(scanner.batch(&header)?).and_then(|batch| batch.control_record()),
                    false => Ok(None),
                };
                match control {
                    Ok(control) => {
                        let seen_at = if header.max_timestamp < 0 { now.0 } else { header.max_timestamp };
                        let completed = self.producers.append(&header, control.as_ref(), seen_at);
                        if let Some(completed) = completed {
                            self.unreplicated_transactions.push(completed);
                            aborted.extend(aborted_transaction(&self.producers, completed));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(segment = %path.display(), %error, "leaving out an unreadable control batch");
                    }
                }
            }
            scanner.skip(&header);
        }
        Ok(aborted)
    }
}
