use std::path::PathBuf;
use std::sync::Arc;

use raftsman_types::Offset;

use super::ReplicaManager;
use super::directory::Directory;

/// A log directory and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryDescription {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it failed: then nothing more is known of it.
    pub is_offline: bool,
    /// The size of its volume in bytes, and what of it may still be written, if the system tells.
    pub volume: Option<(u64, u64)>,
    /// The replicas in it, in the order of their names.
    pub replicas: Vec<ReplicaDescription>,
}

/// How a log directory is doing, as far as that is known without waiting for its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryState {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it failed.
    pub is_offline: bool,
    /// Whether its disk is full up to the reserve, so that clients' writes are refused.
    pub is_full: bool,
    /// The bytes that were free at the last look; none before the first.
    pub free_bytes: Option<u64>,
}

/// A replica on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaDescription {
    /// Its topic's name.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Bytes of its segments.
    pub size_bytes: u64,
    /// By how many records its log's end is behind the high watermark it knows.
    pub offset_lag: Offset,
}

impl ReplicaManager {
    /// How the log directories are doing.
    pub fn directory_states(&self) -> Vec<DirectoryState> {
        let state = |directory: &Arc<Directory>| DirectoryState {
            path: directory.path.clone(),
            is_offline: directory.is_offline(),
            is_full: directory.is_full(),
            free_bytes: directory.free_bytes(),
        };
        let unusable =
            |path: &PathBuf| DirectoryState { path: path.clone(), is_offline: true, is_full: false, free_bytes: None };
        self.inner.directories.iter().map(state).chain(self.inner.unusable.iter().map(unusable)).collect()
    }

    /// The log directories with their replicas.
    pub fn describe_directories(&self) -> Vec<DirectoryDescription> {
        let replicas = self.inner.replicas();
        let describe = |directory: &Arc<Directory>| {
            let is_offline = directory.is_offline();
            let mut held = Vec::new();
            if !is_offline {
                let here = replicas.iter().filter(|replica| Arc::ptr_eq(&replica.directory, directory));
                held.extend(here.filter_map(|replica| replica.describe()));
                held.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
            }
            let space = (!is_offline).then(|| directory.files.file_system().space(&directory.path));
            let volume = space.and_then(|space| match space {
                Ok(space) => Some((space.total, space.free)),
                Err(error) => {
                    tracing::warn!(directory = %directory.path.display(), "cannot tell how full its disk is: {error}");
                    None
                }
            });
            DirectoryDescription { path: directory.path.clone(), is_offline, volume, replicas: held }
        };
        let unusable = |path: &PathBuf| DirectoryDescription {
            path: path.clone(),
            is_offline: true,
            volume: None,
            replicas: Vec::new(),
        };
        self.inner.directories.iter().map(describe).chain(self.inner.unusable.iter().map(unusable)).collect()
    }
}
