use std::collections::BTreeMap;
use std::fmt;
use std::sync::PoisonError;

use raftsman_types::{Offset, TopicPartition};

use super::{DirectoryError, LogDirectory};
use crate::atomic_file::{read_small, write_atomically};
use crate::checkpoint::{format_checkpoint, parse_checkpoint};
use crate::error::LogError;

const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
const COMPACTED_OFFSETS: &str = "cleaner-offset-checkpoint";

struct Line<'a>(&'a TopicPartition, Offset);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.0.topic, self.0.partition, self.1)
    }
}

/// Each read gives an empty map when the file is absent; each write replaces the whole file, durably.
impl LogDirectory {
    /// Up to where each log had been flushed.
    ///
    /// # Errors
    /// Storage, or a file that is not a checkpoint.
    pub fn read_recovery_points(&self) -> Result<BTreeMap<TopicPartition, Offset>, DirectoryError> {
        self.read_offsets(RECOVERY_POINTS)
    }

    /// Writes every log's `Log::recovery_point`; tell each log after (`Log::recovery_point_checkpointed`).
    ///
    /// # Errors
    /// Storage.
    pub fn write_recovery_points(&self, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), DirectoryError> {
        self.write_offsets(RECOVERY_POINTS, offsets)
    }

    /// The high watermark of each partition, as last written.
    ///
    /// # Errors
    /// Storage, or a file that is not a checkpoint.
    pub fn read_high_watermarks(&self) -> Result<BTreeMap<TopicPartition, Offset>, DirectoryError> {
        self.read_offsets(HIGH_WATERMARKS)
    }

    /// Writes the high watermark of each partition.
    ///
    /// # Errors
    /// Storage.
    pub fn write_high_watermarks(&self, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), DirectoryError> {
        self.write_offsets(HIGH_WATERMARKS, offsets)
    }

    /// Where each log starts that does not start at its first segment's base offset.
    ///
    /// # Errors
    /// Storage, or a file that is not a checkpoint.
    pub fn read_log_start_offsets(&self) -> Result<BTreeMap<TopicPartition, Offset>, DirectoryError> {
        self.read_offsets(LOG_START_OFFSETS)
    }

    /// Writes where logs start.
    ///
    /// # Errors
    /// Storage.
    pub fn write_log_start_offsets(&self, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), DirectoryError> {
        self.write_offsets(LOG_START_OFFSETS, offsets)
    }

    /// Up to where logs were compacted. A file that is not readable counts as absent: compaction then begins at the
    /// start of each log, and nothing else depends on it.
    ///
    /// # Errors
    /// Storage.
    pub fn read_compacted_offsets(&self) -> Result<BTreeMap<TopicPartition, Offset>, DirectoryError> {
        match self.read_offsets(COMPACTED_OFFSETS) {
            Err(DirectoryError::Log(error @ LogError::MalformedFile { .. })) => {
                tracing::warn!(%error, "compaction begins anew");
                Ok(BTreeMap::new())
            }
            read => read,
        }
    }

    /// Writes every log's `Log::compacted_upto`. Before the log hears of its recovery point being written: what a
    /// truncation took away must not count as compacted.
    ///
    /// # Errors
    /// Storage.
    pub fn write_compacted_offsets(&self, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), DirectoryError> {
        self.write_offsets(COMPACTED_OFFSETS, offsets)
    }

    /// Takes a partition out of all four files.
    pub(super) fn forget_offsets(&self, partition: &TopicPartition) -> Result<(), DirectoryError> {
        let _guard = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        for name in [RECOVERY_POINTS, HIGH_WATERMARKS, LOG_START_OFFSETS, COMPACTED_OFFSETS] {
            let mut offsets = self.read_offsets(name)?;
            if offsets.remove(partition).is_some() {
                self.replace_offsets(name, &offsets)?;
            }
        }
        Ok(())
    }

    fn read_offsets(&self, name: &str) -> Result<BTreeMap<TopicPartition, Offset>, DirectoryError> {
        let path = self.path.join(name);
        let Some(bytes) = read_small(&*self.fs, &path)? else { return Ok(BTreeMap::new()) };
        let entries = parse_checkpoint(&path, &bytes, |words| match words {
            [topic, partition, offset] => {
                let partition = TopicPartition { topic: (*topic).into(), partition: partition.parse().ok()? };
                Some((partition, offset.parse().ok()?))
            }
            _ => None,
        })?;
        Ok(entries.into_iter().collect())
    }

    fn write_offsets(&self, name: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), DirectoryError> {
        let _guard = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace_offsets(name, offsets)
    }

    fn replace_offsets(&self, name: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), DirectoryError> {
        let lines = offsets.iter().map(|(partition, offset)| Line(partition, *offset));
        write_atomically(&*self.fs, &self.path.join(name), format_checkpoint(lines).as_bytes())?;
        Ok(())
    }
}
