use std::io::{self, Cursor};
use std::sync::Arc;

use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend};
use raftsman_metadata::{EntryOutcome, MetadataEntry, MetadataImage};
use raftsman_rpc::ConvertError;
use raftsman_rpc::metadata::Batch;

use super::feed::MetadataFeed;
use super::snapshot_file::{self, SnapshotDirectory};
use super::types::{
    Applied, EncodedEntry, Entry, LogId, SnapshotMeta, StorageError, StorageIOError, StoredMembership, TypeConfig,
};

/// The metadata image, in memory: rebuilt at a start from the newest snapshot and the log after it.
pub(crate) struct StateMachine {
    state: Applying,
    snapshots: SnapshotDirectory,
    feed: Arc<MetadataFeed>,
}

#[derive(Debug, Clone, Default)]
struct Applying {
    image: MetadataImage,
    last_applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    /// The state of the newest snapshot, or an empty one.
    ///
    /// # Errors
    /// The snapshot cannot be read. Its log may be purged already: there is no older state to go back to.
    pub(super) fn open(snapshots: SnapshotDirectory, feed: Arc<MetadataFeed>) -> io::Result<StateMachine> {
        let mut state = Applying::default();
        if let Some(bytes) = snapshots.read_current()? {
            let (meta, image) = snapshot_file::decode(&bytes)?;
            state = Applying { image, last_applied: meta.last_log_id, membership: meta.last_membership };
            feed.replace(state.image.clone());
        }
        Ok(StateMachine { state, snapshots, feed })
    }

    fn apply_batch(
        image: &mut MetadataImage,
        entry: EncodedEntry,
        applied: &mut Vec<(Arc<Batch>, usize)>,
    ) -> Result<Applied, ConvertError> {
        let bytes = entry.0.len();
        let batch = Batch::from_bytes(entry.0)?;
        let outcome = image.replay(&MetadataEntry::try_from(&batch)?);
        if outcome == EntryOutcome::Applied {
            applied.push((Arc::new(batch), bytes));
        }
        Ok(Applied::Entry { outcome, version: image.version })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.state.last_applied, self.state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batches = Vec::new();
        let mut replies = Vec::new();
        for entry in entries {
            let reply = match entry.payload {
                EntryPayload::Blank => Applied::Nothing,
                EntryPayload::Normal(encoded) => Self::apply_batch(&mut self.state.image, encoded, &mut batches)
                    .map_err(|e| {
                        tracing::error!(entry = %entry.log_id, error = %e, "the metadata log cannot be replayed; this controller stops");
                        StorageIOError::apply(entry.log_id, &e)
                    })?,
                EntryPayload::Membership(membership) => {
                    self.state.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Applied::Nothing
                }
            };
            self.state.last_applied = Some(entry.log_id);
            replies.push(reply);
        }
        if !batches.is_empty() {
            self.feed.advance(self.state.image.clone(), batches);
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { state: self.state.clone(), snapshots: self.snapshots.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let (snapshots, meta, bytes) = (self.snapshots.clone(), meta.clone(), snapshot.into_inner());
        let failed = {
            let signature = meta.signature();
            move |e: io::Error| StorageIOError::write_snapshot(Some(signature), &e)
        };
        let installed = off_thread(move || {
            let (_, image) = snapshot_file::decode(&bytes)?;
            snapshots.write(&meta, &bytes)?;
            Ok(Applying { image, last_applied: meta.last_log_id, membership: meta.last_membership })
        });
        self.state = installed.await.map_err(failed)?;
        self.feed.replace(self.state.image.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let snapshots = self.snapshots.clone();
        let current = off_thread(move || {
            let Some(bytes) = snapshots.read_current()? else { return Ok(None) };
            let meta = snapshot_file::decode_meta(&bytes)?;
            Ok(Some(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
        });
        Ok(current.await.map_err(|e| StorageIOError::read_snapshot(None, &e))?)
    }
}

/// Builds a snapshot of the image as it was when the builder was made.
pub(crate) struct SnapshotBuilder {
    state: Applying,
    snapshots: SnapshotDirectory,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let (state, snapshots) = (self.state.clone(), self.snapshots.clone());
        let built = off_thread(move || {
            let last = state.last_applied.map_or_else(|| "none".to_owned(), |log_id| log_id.to_string());
            let meta = SnapshotMeta {
                last_log_id: state.last_applied,
                last_membership: state.membership,
                snapshot_id: format!("{last}-v{}", state.image.version),
            };
            let bytes = snapshot_file::encode(&meta, &state.image);
            snapshots.write(&meta, &bytes)?;
            Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
        });
        Ok(built.await.map_err(|e| StorageIOError::write_snapshot(None, &e))?)
    }
}

/// Runs what reads or writes whole snapshots where it cannot delay heartbeats.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(io::Error::other(e)))
}
