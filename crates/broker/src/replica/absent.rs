//! Replicas that the metadata has on this broker and that are not here, because they are, or may be, in a log directory that has
//! failed (KIP-858). Made anew elsewhere they would be empty, and what the directory holds would be given up without a word.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use raftsman_metadata::{MetadataImage, PartitionImage};
use raftsman_types::{DirectoryId, TopicIdPartition};

use super::publish::recorded_directory;
use super::{AppendError, DeleteRecordsError, FetchError, ReplicaManager};

/// What is known of them.
#[derive(Default)]
pub(super) struct Absent {
    /// Those that were there before this broker started, nobody knows in which directory.
    unplaced: Mutex<BTreeSet<TopicIdPartition>>,
    /// Those that are not made for that reason.
    withheld: Mutex<BTreeSet<TopicIdPartition>>,
}

/// Why a replica is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// Others have it, or nobody.
    NotHere,
    /// Its log directory has failed.
    Offline,
}

impl Absent {
    /// Why there is none of this partition.
    pub fn reason(&self, at: TopicIdPartition) -> Absence {
        if self.withheld.lock().contains(&at) { Absence::Offline } else { Absence::NotHere }
    }

    /// This broker shall not have it any more.
    pub fn forget(&self, at: TopicIdPartition) {
        self.unplaced.lock().remove(&at);
        self.withheld.lock().remove(&at);
    }
}

impl ReplicaManager {
    /// Looks, in the first image that has this broker's registration, which replicas are not here: what comes later is new.
    pub(super) fn look_for_absent(&self, image: &MetadataImage) {
        if !self.has_failed_directory() {
            return;
        }
        let mut unplaced = self.inner.absent.unplaced.lock();
        let mut in_failed = 0;
        for at in self.assigned(image) {
            if self.inner.partitions.read().contains_key(&at) || self.inner.damaged.lock().contains_key(&at) {
                continue;
            }
            let recorded = image.partition(at).and_then(|state| recorded_directory(state, self.inner.core.me()));
            match recorded {
                None | Some(DirectoryId::ZERO) => {
                    unplaced.insert(at);
                }
                Some(directory) => in_failed += usize::from(!self.is_online(directory)),
            }
        }
        let replicas = unplaced.len() + in_failed;
        if replicas > 0 {
            tracing::error!(replicas, "offline until their log directory is back after a restart: it has failed");
        }
    }

    /// Whether a replica that is not here may be in a directory that has failed. It is noted as offline then.
    pub(super) fn withholds(&self, at: TopicIdPartition, state: &PartitionImage) -> bool {
        let directory = recorded_directory(state, self.inner.core.me()).unwrap_or(DirectoryId::ZERO);
        let withheld = self.has_failed_directory()
            && match directory {
                DirectoryId::ZERO => self.inner.absent.unplaced.lock().contains(&at),
                directory => !self.is_online(directory),
            };
        if withheld {
            self.inner.absent.withheld.lock().insert(at);
        }
        withheld
    }

    fn has_failed_directory(&self) -> bool {
        self.offline_directories() > 0
    }

    fn is_online(&self, id: DirectoryId) -> bool {
        self.inner.directories.iter().any(|directory| directory.id == id && !directory.is_offline())
    }
}

impl From<Absence> for AppendError {
    fn from(absence: Absence) -> AppendError {
        match absence {
            Absence::NotHere => AppendError::NotLeaderOrFollower,
            Absence::Offline => AppendError::Storage,
        }
    }
}

impl From<Absence> for DeleteRecordsError {
    fn from(absence: Absence) -> DeleteRecordsError {
        AppendError::from(absence).into()
    }
}

impl From<Absence> for FetchError {
    fn from(absence: Absence) -> FetchError {
        match absence {
            Absence::NotHere => FetchError::NotLeaderOrFollower,
            Absence::Offline => FetchError::Storage,
        }
    }
}
