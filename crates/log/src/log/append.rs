use bytes::{Bytes, BytesMut};
use raftsman_records::{
    BatchHeader, ControlRecord, RecordBatch, TimestampType, patch_base_offset_and_epoch, patch_log_append_time,
    split_batches,
};
use raftsman_types::{LeaderEpoch, Offset, WallTime};

use super::Log;
use super::partition_files::{snapshot_path, write_snapshot};
use super::transactions::aborted_transaction;
use crate::error::{AppendError, LogError, StorageError};
use crate::producer::SequenceCheck;
use crate::segment::Segment;

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record; for a duplicate that of the original.
    pub first_offset: Offset,
    /// Offset of the last record; for a duplicate that of the original.
    pub last_offset: Offset,
    /// The broker's timestamp, ms since 1970, if the topic uses `LogAppendTime`.
    pub log_append_time: Option<i64>,
    /// Bytes written; 0 for a duplicate.
    pub appended_bytes: usize,
    /// First and last offset of the batch in the log that this one repeats; nothing was appended then.
    pub duplicate_of: Option<(Offset, Offset)>,
    /// The batches as stored, for replication; empty for a duplicate.
    pub bytes: Bytes,
}

/// Batches about to be written, with what is needed to know of each.
struct Checked {
    bytes: Bytes,
    headers: Vec<BatchHeader>,
    controls: Vec<Option<ControlRecord>>,
}

impl Log {
    /// Appends batches that have passed `raftsman_records::validate` (or come from a coordinator) at the
    /// log's end, under `leader_epoch`.
    ///
    /// The bytes are copied at most once, into a buffer of their own in which offsets and epoch are set:
    /// written from there in one call (at the next flush, see [`Log::defer_writes`]), and shared with the tail cache and
    /// the caller. If nobody else holds `batches`, its own buffer is used and nothing is copied.
    ///
    /// A repeat of one of a producer's last five batches is not an error: see `duplicate_of`.
    ///
    /// # Errors
    /// Nothing is in the log then, except after `Storage`, which takes it offline: what is on disk is
    /// known only after it is opened anew. (But for a full disk: then nothing was written, see
    /// [`StorageError::is_out_of_space`].)
    pub fn append_as_leader(
        &mut self,
        batches: Bytes,
        leader_epoch: LeaderEpoch,
        now: WallTime,
    ) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        self.check_epoch(leader_epoch)?;
        let mut checked = check_batches(batches, false)?;
        self.check_sizes(&checked)?;
        if let Some((first, last)) = self.check_producers(&checked, now)? {
            return Ok(AppendInfo {
                first_offset: first,
                last_offset: last,
                log_append_time: None,
                appended_bytes: 0,
                duplicate_of: Some((first, last)),
                bytes: Bytes::new(),
            });
        }
        let log_append_time = (self.config.message_timestamp_type == TimestampType::LogAppendTime).then_some(now.0);
        checked.assign(self.log_end_offset, leader_epoch, log_append_time);
        self.write(checked, log_append_time, now)
    }

    /// Appends batches as another replica's log has them: their offsets must go on where this log ends,
    /// and their epochs are entered.
    ///
    /// # Errors
    /// As for a leader; `UnexpectedOffset` for batches that do not continue the log, `Batch` for damaged
    /// ones.
    pub fn append_as_follower(&mut self, batches: Bytes, now: WallTime) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let checked = check_batches(batches, true)?;
        let start = self.log_start_offset;
        if self.begins_before_empty_log(&checked) {
            self.begin_anew_with_producers(checked.headers[0].base_offset)?;
        }
        self.check_continues(&checked)?;
        let info = self.write(checked, None, now)?;
        self.log_start_offset = self.log_start_offset.max(start);
        Ok(info)
    }

    /// Begins the empty log anew at an earlier offset, with the producers it knows: they are of batches below that one. Where it is
    /// not begun, or only the epochs are not written down, they are kept all the same: who asks again may find the log begun.
    fn begin_anew_with_producers(&mut self, start_offset: Offset) -> Result<(), StorageError> {
        let producers = self.producers.clone();
        let begun = self.reset_to(start_offset).map_err(|error| match error {
            LogError::Storage(error) => error,
            other => StorageError::new("restart", &self.place.directory, std::io::Error::other(other)),
        });
        self.producers = producers;
        if self.offline.is_none() {
            // Their snapshot is gone, whatever became of the rest.
            self.keep_producers()?;
        }
        begun
    }

    /// Whether the log is empty and starts in the middle of the first batch: the leader's log was cut at
    /// its start by DeleteRecords, which knows no batches, and what it sends is whole ones.
    fn begins_before_empty_log(&self, checked: &Checked) -> bool {
        self.log_start_offset == self.log_end_offset
            && checked.headers.first().is_some_and(|first| {
                first.base_offset < self.log_end_offset && first.last_offset() >= self.log_end_offset
            })
    }

    fn check_epoch(&self, got: LeaderEpoch) -> Result<(), AppendError> {
        match self.latest_epoch() {
            Some(latest) if got < latest => Err(AppendError::StaleLeaderEpoch { latest, got }),
            _ => Ok(()),
        }
    }

    fn check_sizes(&self, checked: &Checked) -> Result<(), AppendError> {
        let limit = self.config.max_message_bytes;
        if let Some(large) = checked.headers.iter().find(|header| header.size_in_bytes() > limit) {
            return Err(AppendError::TooLarge { bytes: large.size_in_bytes(), limit });
        }
        let limit = self.config.segment_bytes.min(i32::MAX as u64);
        if checked.bytes.len() as u64 > limit {
            return Err(AppendError::LargerThanSegment { bytes: checked.bytes.len(), limit });
        }
        Ok(())
    }

    /// Kafka's sequence rules; the offsets of the original if a batch is a duplicate.
    fn check_producers(&self, checked: &Checked, now: WallTime) -> Result<Option<(Offset, Offset)>, AppendError> {
        if let [header] = &checked.headers[..] {
            return Ok(match self.producers.check(header)? {
                SequenceCheck::Next => None,
                SequenceCheck::Duplicate(first, last) => Some((first, last)),
            });
        }
        if !checked.headers.iter().any(BatchHeader::has_producer_id) {
            return Ok(None);
        }
        // Several batches of producers at once come from no client; each is judged after those before it.
        let mut producers = self.producers.clone();
        for (header, control) in checked.headers.iter().zip(&checked.controls) {
            if let SequenceCheck::Duplicate(first, last) = producers.check(header)? {
                return Ok(Some((first, last)));
            }
            producers.append(header, control.as_ref(), now.0);
        }
        Ok(None)
    }

    fn check_continues(&self, checked: &Checked) -> Result<(), AppendError> {
        let mut expected = self.log_end_offset;
        let mut latest = self.latest_epoch();
        for header in &checked.headers {
            let got = header.base_offset;
            // Compaction leaves gaps, and the topic may have been compacted before it was not any more. That nothing was
            // left out is what the stream from the leader sees to.
            if got < expected {
                return Err(AppendError::UnexpectedOffset { expected, got });
            }
            let epoch = header.partition_leader_epoch;
            if let Some(latest) = latest.filter(|latest| epoch < *latest) {
                return Err(AppendError::StaleLeaderEpoch { latest, got: epoch });
            }
            expected = header.next_offset();
            latest = Some(epoch);
        }
        Ok(())
    }

    /// Writes batches that have passed every check, then takes them into all that is kept in memory.
    fn write(
        &mut self,
        checked: Checked,
        log_append_time: Option<i64>,
        now: WallTime,
    ) -> Result<AppendInfo, AppendError> {
        let Checked { bytes, headers, controls } = checked;
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Err(AppendError::Batch(raftsman_records::BatchError::Truncated {
                needed: raftsman_records::BATCH_HEADER_BYTES,
                available: bytes.len(),
            }));
        };
        let (first_offset, last_offset, next_offset) = (first.base_offset, last.last_offset(), last.next_offset());
        let max_timestamp = headers.iter().map(|header| header.max_timestamp).max().unwrap_or(-1);
        let rolled = self.roll_before(bytes.len() as u64, max_timestamp, first_offset, last_offset, now);
        self.latch_unless_passing(rolled)?;
        self.note_new_epochs(&headers)?;
        let interval = self.config.index_interval_bytes;
        let deferral = self.deferral();
        let active = self.segments.last_mut().expect("a log always has a segment");
        let appended = active.append(&self.place, &bytes, &headers, interval, deferral.as_ref());
        self.latch_unless_passing(appended)?;

        for (header, control) in headers.iter().zip(&controls) {
            self.note_appended(header, control.as_ref(), now);
        }
        assert!(next_offset > self.log_end_offset, "an append must move the log's end forward");
        self.log_end_offset = next_offset;
        self.tail.push(first_offset, next_offset, bytes.clone(), self.config.tail_cache_bytes);
        Ok(AppendInfo {
            first_offset,
            last_offset,
            log_append_time,
            appended_bytes: bytes.len(),
            duplicate_of: None,
            bytes,
        })
    }

    /// Writes down the epochs that begin with these batches, before any of them is written: what a process leaves behind when it
    /// is killed says of each batch whether it had that epoch. Behind a gap that compaction left an epoch begins where the gap does, as
    /// early as it can have: else the epoch before it would seem to have what it never had, and a follower would keep it.
    fn note_new_epochs(&mut self, headers: &[BatchHeader]) -> Result<(), StorageError> {
        let (mut epochs, mut expected) = (None, self.log_end_offset);
        for header in headers {
            let latest = epochs.as_ref().unwrap_or(&self.epochs).latest().map(|entry| entry.epoch);
            if latest.is_none_or(|latest| header.partition_leader_epoch > latest) {
                let noted = epochs.get_or_insert_with(|| self.epochs.clone());
                let start = if latest.is_none() { header.base_offset } else { expected };
                noted.assign(header.partition_leader_epoch, start);
            }
            expected = header.next_offset();
        }
        let version = self.epoch_version + u64::from(epochs.is_some());
        let entries = epochs.as_ref().unwrap_or(&self.epochs).entries();
        if self.epoch_file.has(version) {
            return Ok(());
        }
        let written = self.epoch_file.write_unsynced(&*self.place.fs, version, entries);
        self.latch_unless_passing(written)?;
        self.epoch_version = version;
        if let Some(noted) = epochs {
            self.epochs = noted;
        }
        Ok(())
    }

    fn note_appended(&mut self, header: &BatchHeader, control: Option<&ControlRecord>, now: WallTime) {
        if header.has_producer_id() {
            let completed = self.producers.append(header, control, now.0);
            self.producers.enforce_limit(self.config.max_producer_ids);
            match control {
                Some(_) => self.refresh_first_open_transaction(),
                None if header.is_transactional() && !header.is_control() => {
                    self.first_open_transaction.get_or_insert(header.base_offset);
                }
                None => {}
            }
            if let Some(completed) = completed {
                self.unreplicated_transactions.push(completed);
                if let Some(aborted) = aborted_transaction(&self.producers, completed) {
                    self.active().transactions.push(aborted);
                }
            }
        }
    }

    fn roll_before(
        &mut self,
        bytes: u64,
        max_timestamp: i64,
        first_offset: Offset,
        last_offset: Offset,
        now: WallTime,
    ) -> Result<(), StorageError> {
        let config = std::sync::Arc::clone(&self.config);
        if self.active().is_full_for(bytes, max_timestamp, last_offset, &config, now) {
            // A follower of a compacted log may get batches behind a gap. The new segment begins where this one ends all the
            // same, so that a segment that lost its end is told from one that has none.
            let end = self.log_end_offset;
            let reaches = last_offset - end <= i64::from(i32::MAX);
            self.roll(if reaches { end } else { first_offset }, now)?;
        }
        Ok(())
    }

    /// Begins a new segment at `base_offset`. Nothing is synced here; the next flush does all of it.
    pub(super) fn roll(&mut self, base_offset: Offset, now: WallTime) -> Result<(), StorageError> {
        let active = self.segments.last_mut().expect("a log always has a segment");
        if active.base_offset == base_offset {
            return Ok(());
        }
        // Only the newest segment may have something left to write.
        active.settle(&self.place, active.size)?;
        active.seal(&self.place, false)?;
        let seal = active.transactions.seal(&self.place, active.base_offset)?;
        write_snapshot(&self.place, base_offset, &self.producers, seal)?;
        if self.config.preallocate {
            active.release_room(&self.place)?;
        }
        let created = Segment::create(&self.place, base_offset, now, &self.config)?;
        // Until here it can be tried again, any number of times.
        self.unsynced_side_files.extend(active.index_paths(&self.place));
        self.unsynced_side_files.push(snapshot_path(&self.place, base_offset));
        if !active.is_dirty() {
            active.close_file();
        }
        self.segments.push(created);
        self.names_changed += 1;
        Ok(())
    }
}

/// Cuts the bytes into batches and reads what has to be known of each.
fn check_batches(bytes: Bytes, check_crc: bool) -> Result<Checked, AppendError> {
    let mut headers = Vec::with_capacity(1);
    let mut controls = Vec::with_capacity(1);
    for batch in split_batches(bytes.clone(), false) {
        let batch: RecordBatch = batch?;
        if check_crc {
            batch.check_crc()?;
        }
        let header = *batch.header();
        if !header.has_sane_offsets() {
            let what = "its offsets cannot be";
            return Err(raftsman_records::BatchError::Inconsistent { base_offset: header.base_offset, what }.into());
        }
        controls.push(batch.control_record()?);
        headers.push(header);
    }
    Ok(Checked { bytes, headers, controls })
}

impl Checked {
    /// Sets what the leader assigns, in the bytes and in the headers.
    fn assign(&mut self, first_offset: Offset, leader_epoch: LeaderEpoch, log_append_time: Option<i64>) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut buffer = match bytes.try_into_mut() {
            Ok(own) => own,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        let mut rest = &mut buffer[..];
        let mut offset = first_offset;
        for header in &mut self.headers {
            let (batch, behind) = rest.split_at_mut(header.size_in_bytes());
            patch_base_offset_and_epoch(batch, offset, leader_epoch);
            header.base_offset = offset;
            header.partition_leader_epoch = leader_epoch;
            if let Some(time) = log_append_time {
                patch_log_append_time(batch, time);
                header.max_timestamp = time;
            }
            offset = header.next_offset();
            rest = behind;
        }
        self.bytes = buffer.freeze();
    }
}
