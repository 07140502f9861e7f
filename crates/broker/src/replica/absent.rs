//! Replicas that the metadata has on this broker and that are not here. The first image with a registration shows which: what comes
//! later is new.
//!
//! Some are, or may be, in a log directory that has failed (KIP-858). Made anew elsewhere they would be empty, and what the directory
//! holds would be given up without a word: they stay offline. Others are gone from a directory that is there, or were never made.
//! Made anew they would be empty, too, and might be elected with that: while the metadata counts on them they are not made, and the
//! broker registers again without them.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use raftsman_metadata::{MetadataImage, PartitionImage};
use raftsman_types::{DirectoryId, TopicIdPartition, TopicPartition};

use super::publish::recorded_directory;
use super::{AppendError, DeleteRecordsError, FetchError, ReplicaManager};

/// What is known of them.
#[derive(Default)]
pub(super) struct Absent {
    /// Those that are gone from a log directory that is there: they were flushed to once, or cannot be told to be the metadata's.
    gone: BTreeSet<TopicPartition>,
    /// Those that have a directory and do not say whose they are: they were being made, and making them completes them.
    begun: BTreeSet<TopicPartition>,
    /// Those that were there before this broker started, nobody knows in which directory.
    unplaced: Mutex<BTreeSet<TopicIdPartition>>,
    /// Those that are not made because they may be in a failed directory.
    withheld: Mutex<BTreeSet<TopicIdPartition>>,
    missing: Mutex<MissingReplicas>,
    is_missing_some: AtomicBool,
}

/// Replicas that are counted on and are not here, though no directory failed in which they could be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingReplicas {
    /// They were there, and records in them may be gone.
    pub gone: BTreeSet<TopicIdPartition>,
    /// Nothing tells that they ever were: nothing was acknowledged while they were counted on.
    pub never_made: BTreeSet<TopicIdPartition>,
}

/// Why a replica is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// Others have it, or nobody.
    NotHere,
    /// Its log directory has failed.
    Offline,
}

/// Where a replica may be that is not here.
enum Whereabouts {
    FailedDirectory,
    Nowhere,
}

impl Absent {
    pub fn new(gone: BTreeSet<TopicPartition>, begun: BTreeSet<TopicPartition>) -> Absent {
        Absent { gone, begun, ..Absent::default() }
    }

    /// Why there is none of this partition.
    pub fn reason(&self, at: TopicIdPartition) -> Absence {
        if self.withheld.lock().contains(&at) { Absence::Offline } else { Absence::NotHere }
    }

    /// This broker shall not have it any more.
    pub fn forget(&self, at: TopicIdPartition) {
        self.unplaced.lock().remove(&at);
        self.withheld.lock().remove(&at);
    }

    /// Another registration: its image says who is counted on.
    pub fn registered(&self) {
        self.set_missing(MissingReplicas::default());
    }

    fn set_missing(&self, missing: MissingReplicas) {
        let is_some = missing != MissingReplicas::default();
        *self.missing.lock() = missing;
        self.is_missing_some.store(is_some, Ordering::Release);
    }
}

impl ReplicaManager {
    /// Whether replicas are counted on that are not here: this broker had better register again before it is unfenced.
    pub fn has_missing(&self) -> bool {
        self.inner.absent.is_missing_some.load(Ordering::Acquire)
    }

    /// Replicas that this broker must not claim to have when it registers again.
    pub fn missing(&self) -> MissingReplicas {
        self.inner.absent.missing.lock().clone()
    }

    /// Looks, in the first image that has this broker's registration, which replicas are not here; `at_start` if it is the first
    /// one of this process.
    pub(super) fn look_for_absent(&self, image: &MetadataImage, at_start: bool) {
        let (absent, me) = (&self.inner.absent, self.inner.core.me());
        let (mut missing, mut in_failed) = (MissingReplicas::default(), 0);
        let places = LazyCell::new(|| self.places());
        // One that says another topic's id is in its place: it may be that the id was damaged.
        let is_taken = |name: &TopicPartition| places.contains(OsStr::new(&name.to_string()));
        for at in self.assigned(image) {
            let Some((topic, state)) = image.topic(at.topic_id).zip(image.partition(at)) else { continue };
            if self.inner.partitions.read().contains_key(&at) || self.inner.damaged.lock().contains_key(&at) {
                continue;
            }
            if let Whereabouts::FailedDirectory = self.whereabouts(at, state, at_start) {
                in_failed += 1;
                continue;
            }
            let name = TopicPartition { topic: topic.name.clone(), partition: at.partition };
            let is_counted_on = state.leader == Some(me) || state.isr.contains(&me) || state.elr.contains(&me);
            if absent.begun.contains(&name) {
                continue;
            } else if absent.gone.contains(&name) || is_taken(&name) {
                if is_counted_on || state.last_known_leader == Some(me) {
                    tracing::error!(partition = %name, "the replica is gone, and what was in it: this broker registers without it");
                    missing.gone.insert(at);
                }
            } else if is_counted_on {
                tracing::warn!(partition = %name, "there is no replica yet: this broker registers without it");
                missing.never_made.insert(at);
            }
        }
        self.forget_unassigned(image);
        if in_failed > 0 {
            tracing::error!(
                replicas = in_failed,
                "offline until their log directory is back after a restart: it has failed"
            );
        }
        absent.set_missing(missing);
    }

    /// What the checkpoint files say of replicas that did not open counts as long as they are this broker's.
    fn forget_unassigned(&self, image: &MetadataImage) {
        let name = |at: TopicIdPartition| {
            let topic = image.topic(at.topic_id)?;
            Some(TopicPartition { topic: topic.name.clone(), partition: at.partition })
        };
        let assigned: BTreeSet<TopicPartition> = self.assigned(image).into_iter().filter_map(name).collect();
        for directory in &self.inner.directories {
            directory.unopened.lock().retain(|name, _| assigned.contains(name));
        }
    }

    /// Whether a replica that is not here must not be made: it may be in a directory that has failed, and is noted as offline
    /// then, or it is counted on for records it would not have.
    pub(super) fn withholds(&self, at: TopicIdPartition, state: &PartitionImage) -> bool {
        if let Whereabouts::FailedDirectory = self.whereabouts(at, state, false) {
            self.inner.absent.withheld.lock().insert(at);
            return true;
        }
        let missing = self.inner.absent.missing.lock();
        missing.gone.contains(&at) || missing.never_made.contains(&at)
    }

    /// A replica that cannot be made, for its directory has failed since this broker registered, or all have. The controller does not know
    /// of that when a topic is made, and may have had it lead: it has to hear, or nobody leads the partition before this broker restarts.
    pub(super) fn tell_of_failed_directory(&self, at: TopicIdPartition, state: &PartitionImage) {
        let core = &self.inner.core;
        let me = core.me();
        let is_counted_on = state.leader == Some(me) || state.isr.contains(&me) || state.elr.contains(&me);
        let recorded = recorded_directory(state, me).unwrap_or(DirectoryId::ZERO);
        let directories = &self.inner.directories;
        let failed = directories.iter().find(|directory| directory.id == recorded).or_else(|| directories.first());
        let Some(failed) = failed.filter(|directory| is_counted_on && directory.is_offline()) else { return };
        if failed.id == recorded || directories.iter().all(|directory| directory.is_offline()) {
            core.link.replica_is_in(at, failed.id, DirectoryId::ZERO);
        }
    }

    /// Of a replica that nobody placed it is noted `at_start` that it may be in a failed directory.
    fn whereabouts(&self, at: TopicIdPartition, state: &PartitionImage, at_start: bool) -> Whereabouts {
        if self.offline_directories() == 0 {
            return Whereabouts::Nowhere;
        }
        let directory = recorded_directory(state, self.inner.core.me()).unwrap_or(DirectoryId::ZERO);
        let is_in_failed = if directory == DirectoryId::ZERO {
            let mut unplaced = self.inner.absent.unplaced.lock();
            (at_start && unplaced.insert(at)) || unplaced.contains(&at)
        } else {
            !self.inner.directories.iter().any(|online| online.id == directory && !online.is_offline())
        };
        if is_in_failed { Whereabouts::FailedDirectory } else { Whereabouts::Nowhere }
    }

    /// The names of the directories of all replicas that are here.
    fn places(&self) -> BTreeSet<OsString> {
        let name = |path: &Path| path.file_name().map(OsStr::to_owned);
        let whole: Vec<_> = self.inner.partitions.read().values().filter_map(|replica| name(&replica.path())).collect();
        whole.into_iter().chain(self.inner.damaged.lock().values().filter_map(|replica| name(&replica.path))).collect()
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
