use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use raftsman_types::{TopicId, TopicPartition, validate_topic_name};

use super::{DirectoryError, LogDirectory};
use crate::atomic_file::remove_if_there;
use crate::error::{IoContext, LogError};
use crate::fs::DirectoryEntry;
use crate::log::read_topic_id;

const DELETE_SUFFIX: &str = "-delete";
const STRAY_SUFFIX: &str = "-stray";
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
    /// What is wrong with `partition.metadata`, if it is there and does not say whose the replica is.
    pub malformed: Option<String>,
    /// The partition's directory.
    pub path: PathBuf,
}

impl LogDirectory {
    /// The partitions in the directory, by name. The controllers' metadata log is none of them.
    ///
    /// # Errors
    /// Storage.
    pub fn partitions(&self) -> Result<Vec<PartitionDirectory>, DirectoryError> {
        let mut partitions = Vec::new();
        for entry in self.fs.list(&self.path).context("list", &self.path)? {
            let Some(TopicPartition { topic, partition }) = partition_of(&entry) else { continue };
            let path = self.path.join(&entry.name);
            let (topic_id, malformed) = match read_topic_id(&*self.fs, &path) {
                Ok(topic_id) => (topic_id, None),
                Err(error @ LogError::MalformedFile { .. }) => (None, Some(error.to_string())),
                Err(error) => return Err(error.into()),
            };
            partitions.push(PartitionDirectory { topic: topic.to_string(), partition, topic_id, malformed, path });
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

    /// Takes the directory of a partition that is to be deleted out of use, in one durable step: it is
    /// `<topic>-<partition>.<id>-delete` from here on, and nothing else speaks of it. Its log must be closed or dropped. Returns
    /// the new path, for [`remove_retired`](LogDirectory::remove_retired).
    ///
    /// # Errors
    /// Storage.
    pub fn retire_partition(&self, directory: &Path) -> Result<PathBuf, DirectoryError> {
        self.set_aside(directory, DELETE_SUFFIX)
    }

    /// Takes the directory of a partition that nobody knows out of use, as `<topic>-<partition>.<id>-stray`. It stays like that
    /// until somebody looks after it: it may be that its `partition.metadata` is wrong and it is somebody's only copy.
    ///
    /// # Errors
    /// Storage.
    pub fn set_stray_aside(&self, directory: &Path) -> Result<PathBuf, DirectoryError> {
        self.set_aside(directory, STRAY_SUFFIX)
    }

    fn set_aside(&self, directory: &Path, suffix: &str) -> Result<PathBuf, DirectoryError> {
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if let Some(partition) = parse_name(&name) {
            self.forget_offsets(&partition)?;
        }
        let topic_id = read_topic_id(&*self.fs, directory).ok().flatten().unwrap_or(TopicId::ZERO);
        // Kafka's is random. It has to differ only from those that are there.
        let mut unique = u128::from_be_bytes(topic_id.0.0);
        let aside = loop {
            let ending = format!(".{unique:032x}{suffix}");
            let kept = name.len().min(MAX_NAME_BYTES - ending.len());
            let aside = self.path.join(format!("{}{ending}", &name[..kept]));
            if !self.fs.exists(&aside).context("look at", &aside)? {
                break aside;
            }
            unique = unique.wrapping_add(1);
        };
        self.fs.rename(directory, &aside).context("rename", directory)?;
        self.fs.sync_directory(&self.path).context("sync", &self.path)?;
        Ok(aside)
    }

    /// The directories of deleted partitions that are still there.
    ///
    /// # Errors
    /// Storage.
    pub fn retired_partitions(&self) -> Result<Vec<PathBuf>, DirectoryError> {
        let entries = self.fs.list(&self.path).context("list", &self.path)?;
        let retired = entries.into_iter().filter(|entry| entry.is_directory && entry.name.ends_with(DELETE_SUFFIX));
        Ok(retired.map(|entry| self.path.join(entry.name)).collect())
    }

    /// Removes at most so many files of a deleted partition's directory, and the directory after the last. Says whether it is
    /// gone.
    ///
    /// # Errors
    /// Storage.
    pub fn remove_retired(&self, retired: &Path, files_max: usize) -> Result<bool, DirectoryError> {
        let entries = match self.fs.list(retired) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            listed => listed.context("list", retired)?,
        };
        let files: Vec<_> = entries.iter().filter(|entry| !entry.is_directory).collect();
        for file in files.iter().take(files_max) {
            remove_if_there(&*self.fs, &retired.join(&file.name))?;
        }
        if files.len() > files_max {
            return Ok(false);
        }
        self.fs.remove_directory(retired).context("remove", retired)?;
        Ok(true)
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
