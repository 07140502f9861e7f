//! Opening the replicas of one directory, several at a time.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use raftsman_log::dir::PartitionDirectory;
use raftsman_log::{FlushTicket, Log, LogError};
use raftsman_types::{Offset, TopicIdPartition, TopicPartition};

use super::core::Core;
use super::directory::Directory;
use super::flusher::{SINGLE_SYNCS_MAX, note};
use super::log_memory::LogMemory;
use super::partition::Partition;
use super::settings::TopicSettings;

/// So many replicas are recovered and then synced together: enough for a sync of the volume to be cheap for each, few
/// enough for their files to be open at once.
const TOGETHER: usize = 128;

/// A replica whose log is damaged below what was flushed, or of a format that is not served.
pub(super) struct DamagedReplica {
    pub directory: Arc<Directory>,
    pub path: PathBuf,
    /// Nothing is wrong with its files, which are not deleted when the replica is made anew.
    pub is_intact: bool,
}

/// The checkpoints of one directory.
pub(super) struct Checkpoints {
    pub clean: bool,
    /// Whether what an unclean end left has been synced since.
    pub is_synced: bool,
    pub recovery_points: BTreeMap<TopicPartition, Offset>,
    pub log_starts: BTreeMap<TopicPartition, Offset>,
    pub high_watermarks: BTreeMap<TopicPartition, Offset>,
    pub compacted: BTreeMap<TopicPartition, Offset>,
}

/// What became of one replica.
pub(super) enum OpenedReplica {
    Whole(Arc<Partition>),
    Damaged(TopicIdPartition, DamagedReplica),
}

/// One directory whose replicas are opened.
pub(super) struct Opening<'a> {
    pub core: &'a Arc<Core>,
    pub directory: &'a Arc<Directory>,
    pub checkpoints: &'a Checkpoints,
    pub memory: &'a LogMemory,
}

/// A replica that was found.
struct Found {
    at: TopicIdPartition,
    name: TopicPartition,
    path: PathBuf,
    settings: TopicSettings,
}

impl Opening<'_> {
    /// Opens what was found, on so many threads (`num.recovery.threads.per.data.dir`), of which this is one.
    pub fn open_all(&self, found: &[PartitionDirectory], threads: usize) -> Vec<OpenedReplica> {
        let groups: Vec<&[PartitionDirectory]> = found.chunks(TOGETHER).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut opened = Vec::new();
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                opened.extend(self.open_group(group));
            }
            opened
        };
        thread::scope(|scope| {
            let helper = || thread::Builder::new().name("recovery".to_owned()).spawn_scoped(scope, work);
            // Without a thread it takes longer, that is all.
            let helpers: Vec<_> = (1..threads.min(groups.len())).map_while(|_| helper().ok()).collect();
            let mut opened = work();
            for helper in helpers {
                opened.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            opened
        })
    }

    fn open_group(&self, group: &[PartitionDirectory]) -> Vec<OpenedReplica> {
        let mut opened = Vec::with_capacity(group.len());
        let mut logs = Vec::with_capacity(group.len());
        for found in group.iter().filter_map(|replica| self.identify(replica)) {
            match self.recover(&found) {
                Ok(log) => logs.push((found, log)),
                Err(error) => opened.extend(self.failed(&found, error)),
            }
        }
        let tickets = logs.iter_mut().map(|(_, log)| if log.is_flushed() { None } else { log.begin_flush() }).collect();
        for ((found, log), ticket) in logs.into_iter().zip(self.synced(tickets)) {
            match self.finish(&found, log, ticket) {
                Ok(log) => opened.push(OpenedReplica::Whole(self.replica(found, log))),
                Err(error) => opened.extend(self.failed(&found, error)),
            }
        }
        opened
    }

    /// What is known of a replica before its log is. `None` if a crash came between the directory and what belongs into
    /// it: creating the replica again completes it.
    fn identify(&self, replica: &PartitionDirectory) -> Option<Found> {
        let at = TopicIdPartition { topic_id: replica.topic_id?, partition: replica.partition };
        let name = TopicPartition { topic: replica.topic.as_str().into(), partition: replica.partition };
        // Which settings hold is known with the metadata; they change nothing in how a log is recovered.
        let settings = TopicSettings::of(&name.topic, &self.core.image(), &self.core.config);
        Some(Found { at, name, path: replica.path.clone(), settings })
    }

    fn recover(&self, found: &Found) -> Result<Log, LogError> {
        let fs = Arc::clone(self.directory.files.file_system());
        let recovery_point = self.checkpoints.recovery_points.get(&found.name).copied().unwrap_or(0);
        let (config, clean, now) = (found.settings.log.clone(), self.checkpoints.clean, self.core.wall_time());
        let (path, id) = (found.path.clone(), found.at.topic_id);
        let (log, recovery) = match self.checkpoints.is_synced {
            true => Log::open_synced(fs, path, id, config, recovery_point, now)?,
            false => Log::open_unsynced(fs, path, id, config, clean, recovery_point, now)?,
        };
        if recovery.truncated_bytes > 0 {
            tracing::warn!(
                partition = %found.name,
                bytes = recovery.truncated_bytes,
                "cut a torn tail off the log; nothing that was flushed is in it"
            );
        }
        Ok(log)
    }

    fn synced(&self, tickets: Vec<Option<FlushTicket>>) -> Vec<Option<FlushTicket>> {
        let due: Vec<&FlushTicket> = tickets.iter().flatten().collect();
        if due.len() > SINGLE_SYNCS_MAX {
            note(self.directory.files.sync_tickets(&due));
        } else {
            due.iter().for_each(|ticket| note(ticket.sync()));
        }
        tickets
    }

    /// After the sync, if one was due: all of it counts as flushed.
    fn finish(&self, found: &Found, mut log: Log, ticket: Option<FlushTicket>) -> Result<Log, LogError> {
        if let Some(ticket) = ticket {
            log.complete_flush(ticket)?;
            log.release_files();
        } else if let Some(error) = log.offline_error() {
            return Err(error.clone().into());
        }
        log.restore_compacted_upto(self.checkpoints.compacted.get(&found.name).copied().unwrap_or(0));
        if let Some(start) = self.checkpoints.log_starts.get(&found.name) {
            log.restore_log_start_offset(*start, self.core.wall_time())?;
        }
        Ok(log)
    }

    fn replica(&self, found: Found, mut log: Log) -> Arc<Partition> {
        self.memory.grant(&mut log);
        let high_watermark = self.checkpoints.high_watermarks.get(&found.name).copied().unwrap_or(0);
        let (core, directory) = (Arc::clone(self.core), Arc::clone(self.directory));
        Partition::new(core, found.at, found.name.topic, directory, log, high_watermark, found.settings)
    }

    fn failed(&self, found: &Found, error: LogError) -> Option<OpenedReplica> {
        if let LogError::Storage(error) = &error {
            self.directory.fail(self.core, error);
            return None;
        }
        let is_intact = matches!(error, LogError::LegacyFormat { .. });
        match is_intact {
            true => tracing::error!(partition = %found.name, "the replica is not served: {error}"),
            false => tracing::error!(
                partition = %found.name,
                "the replica is damaged and will be copied from its leader: {error}"
            ),
        }
        let damaged = DamagedReplica { directory: Arc::clone(self.directory), path: found.path.clone(), is_intact };
        Some(OpenedReplica::Damaged(found.at, damaged))
    }
}
