//! Opening the replicas of one directory, several at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use raftsman_log::dir::{LogDirectory, PartitionDirectory};
use raftsman_log::{FlushTicket, LeftBehind, Log, LogError, LogOpening};
use raftsman_types::{Offset, TopicIdPartition, TopicPartition};

use super::core::Core;
use super::directory::Directory;
use super::flusher::note;
use super::log_memory::LogMemory;
use super::partition::Partition;
use super::progress::{Progress, SoFar};
use super::settings::TopicSettings;
use super::work_off::work_off;

/// So many replicas are recovered and then synced together: enough for a sync of the volume to be cheap for each, few
/// enough for their files to be open at once.
const TOGETHER_MAX: usize = 128;
/// Few enough for any limit of open files.
const TOGETHER_MIN: usize = 4;

/// How many replicas each of so many threads opens together, so that with all of them half of the files that may be open are.
pub(super) fn opened_together(files: &LogDirectory, threads: usize) -> usize {
    let limit = files.file_system().open_files().map_or(usize::MAX, |files| files.limit());
    (limit / 2 / threads.max(1)).clamp(TOGETHER_MIN, TOGETHER_MAX)
}

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
    pub progress: &'a Progress,
}

/// A replica that was found.
struct Found {
    at: TopicIdPartition,
    name: TopicPartition,
    path: PathBuf,
    settings: TopicSettings,
}

impl Opening<'_> {
    /// Opens what was found, on so many threads (`num.recovery.threads.per.data.dir`), of which this is one; in the order
    /// in which it was found, but for what is damaged.
    pub fn open_all(&self, found: &[PartitionDirectory], threads: usize, together: usize) -> Vec<OpenedReplica> {
        let groups: Vec<&[PartitionDirectory]> = found.chunks(together).collect();
        work_off(&groups, threads, |group| self.open_group(group)).into_iter().flatten().collect()
    }

    fn open_group(&self, group: &[PartitionDirectory]) -> Vec<OpenedReplica> {
        let mut opened = Vec::with_capacity(group.len());
        let mut logs = Vec::with_capacity(group.len());
        for replica in group {
            if let Some(found) = self.identify(replica) {
                match self.recover(&found) {
                    Ok(log) => logs.push((found, log)),
                    Err(error) => opened.extend(self.failed(&found, error)),
                }
            }
            self.say(self.progress.opened(self.core.now()));
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

    fn say(&self, so_far: Option<SoFar>) {
        if let Some(so_far) = so_far {
            so_far.say(&self.directory.path);
        }
    }

    fn recover(&self, found: &Found) -> Result<Log, LogError> {
        let left = match self.checkpoints {
            Checkpoints { is_synced: true, .. } => LeftBehind::KilledAndSynced,
            Checkpoints { clean: true, .. } => LeftBehind::Cleanly,
            _ => LeftBehind::Killed,
        };
        let opening = LogOpening {
            fs: Arc::clone(self.directory.files.file_system()),
            directory: found.path.clone(),
            topic_id: found.at.topic_id,
            config: Arc::new(found.settings.log.clone()),
            left,
            recovery_point: self.checkpoints.recovery_points.get(&found.name).copied().unwrap_or(0),
            now: self.core.wall_time(),
        };
        let (log, recovery) = opening.open(&|bytes| self.say(self.progress.checked(bytes, self.core.now())))?;
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
        self.directory.files.begin_syncs(&due);
        due.iter().for_each(|ticket| note(ticket.sync()));
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
