use std::path::{Path, PathBuf};

use raftsman_types::{TopicId, TopicPartition, validate_topic_name};

use super::{DirectoryError, LogDirectory};
use crate::error::{IoContext, StorageError};
use crate::fs::DirectoryEntry;
use crate::log::read_topic_id;

const DELETE_SUFFIX: &str = "-delete";
/// The longest name of a directory entry on the file systems in use.
const MAX_NAME_BYTES: usize = 255;

/// One partition found in a log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDirectory {
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: i32,
    /// The topic's id, if `partition.metadata` is there.
    pub topic_id: Option<TopicId>,
    /// The partition's directory.
    pub path: PathBuf,
}

impl LogDirectory {
    /// The partitions in the directory, by name. The controllers' metadata log is none of them.
    ///
    /// # Errors
    /// Storage, or a `partition.metadata` that is not readable.
    pub fn partitions(&self) -> Result<Vec<PartitionDirectory>, DirectoryError> {
        let mut partitions = Vec::new();
        for entry in self.fs.list(&self.path).context("list", &self.path)? {
            let Some(TopicPartition { topic, partition }) = partition_of(&entry) else { continue };
            let path = self.path.join(&entry.name);
            let topic_id = read_topic_id(&*self.fs, &path)?;
            partitions.push(PartitionDirectory { topic: topic.to_string(), partition, topic_id, path });
        }
        Ok(partitions)
    }

    /// The name of one partition's directory in here, if there is any at all.
    ///
    /// # Errors
    /// Storage.
    pub fn any_partition(&self) -> Result<Option<String>, DirectoryError> {
        let entries = self.fs.list(&self.path).context("list", &self.path)?;
        Ok(entries.into_iter().find(|entry| partition_of(entry).is_some()).map(|entry| entry.name))
    }

    /// Where a partition's directory is, or would be.
    pub fn partition_path(&self, topic: &str, partition: i32) -> PathBuf {
        self.path.join(format!("{topic}-{partition}"))
    }

    /// Deletes a partition's directory, whose log must be closed or dropped. It vanishes under its name
    /// in one durable step; a crash in the removal behind that is made up for by the next open.
    ///
    /// # Errors
    /// Storage.
    pub fn delete_partition(&self, directory: &Path) -> Result<(), DirectoryError> {
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if let Some(partition) = parse_name(&name) {
            self.forget_offsets(&partition)?;
        }
        let topic_id = read_topic_id(&*self.fs, directory).ok().flatten().unwrap_or(TopicId::ZERO);
        let unique: String = topic_id.0.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let suffix = format!(".{unique}{DELETE_SUFFIX}");
        let kept = name.len().min(MAX_NAME_BYTES - suffix.len());
        let doomed = self.path.join(format!("{}{suffix}", &name[..kept]));
        if self.fs.exists(&doomed).context("look at", &doomed)? {
            self.fs.remove_directory(&doomed).context("remove", &doomed)?;
        }
        self.fs.rename(directory, &doomed).context("rename", directory)?;
        self.fs.sync_directory(&self.path).context("sync", &self.path)?;
        self.fs.remove_directory(&doomed).context("remove", &doomed)?;
        Ok(())
    }

    pub(super) fn finish_deletions(&self) -> Result<(), StorageError> {
        for entry in self.fs.list(&self.path).context("list", &self.path)? {
            if entry.is_directory && entry.name.ends_with(DELETE_SUFFIX) {
                let doomed = self.path.join(&entry.name);
                self.fs.remove_directory(&doomed).context("remove", &doomed)?;
            }
        }
        Ok(())
    }
}

/// The partition whose directory this is. The controllers' metadata log is none.
fn partition_of(entry: &DirectoryEntry) -> Option<TopicPartition> {
    let partition = parse_name(&entry.name)?;
    (entry.is_directory && &*partition.topic != "__cluster_metadata").then_some(partition)
}

/// `<topic>-<partition>`, or nothing if the name is not a partition's.
fn parse_name(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let digits = !partition.is_empty() && partition.bytes().all(|b| b.is_ascii_digit());
    if !digits || validate_topic_name(topic).is_err() {
        return None;
    }
    Some(TopicPartition { topic: topic.into(), partition: partition.parse().ok()? })
}
