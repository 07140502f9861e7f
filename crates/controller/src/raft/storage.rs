use std::io;
use std::path::Path;
use std::sync::Arc;

use raftsman_types::{BrokerId, DirectoryId};
use rustix::io::Errno;

use super::feed::MetadataFeed;
use super::identity::{Identity, IdentityError};
use super::log_store::LogStore;
use super::snapshot_file::SnapshotDirectory;
use super::state_machine::StateMachine;
use super::store::{GroupCommit, MetaStore, SledStore};

/// Why a controller's metadata directory cannot be used, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// It cannot be opened or is damaged.
    #[error("{reason}\n{}", what_to_do(path))]
    Unusable {
        /// The directory.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: io::Error,
    },
    /// It cannot be opened for want of room on its disk, or of files: that says nothing of what is in it.
    #[error(
        "{reason}\nThe metadata log in {path} cannot be opened for want of {lacks}. Nothing is wrong with what is in it: {remedy}, \
         and start the node again."
    )]
    Lacks {
        /// The directory.
        path: std::path::PathBuf,
        /// What the system says.
        reason: io::Error,
        /// What there is too little of.
        lacks: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// It is in order, but not this node's.
    #[error("the metadata log in {path} cannot be used by this node: {reason}")]
    NotOurs {
        /// The directory.
        path: std::path::PathBuf,
        /// Whose it is.
        reason: IdentityError,
    },
}

impl OpenError {
    pub(super) fn of(path: &Path, reason: io::Error) -> OpenError {
        let path = path.to_owned();
        match Errno::from_io_error(&reason) {
            Some(Errno::NOSPC | Errno::DQUOT) => {
                OpenError::Lacks { path, reason, lacks: "room on its disk", remedy: "make some" }
            }
            Some(Errno::MFILE | Errno::NFILE) => {
                OpenError::Lacks { path, reason, lacks: "open files", remedy: "raise the limit of them" }
            }
            _ => OpenError::Unusable { path, reason },
        }
    }
}

/// What an operator does with a metadata directory that cannot be opened.
pub(super) fn what_to_do(path: &Path) -> String {
    let path = path.display();
    format!(
        "The metadata log in {path} cannot be opened. If another process uses it, stop that one. Otherwise, if a majority of the other \
         controllers is up, stop this node, move {path} away and start it again: it comes back as a new member and copies \
         the metadata from them. If this is the only controller, put {path} back from a backup."
    )
}

/// Everything that one controller keeps on its disk, opened.
pub(crate) struct Storage {
    /// Who this controller is.
    pub identity: Identity,
    /// Raft's log.
    pub log: LogStore,
    /// The image, as of the newest snapshot.
    pub state_machine: StateMachine,
    /// What the state machine tells everybody else.
    pub feed: Arc<MetadataFeed>,
}

impl Storage {
    /// Opens or creates a metadata directory: the store in `store/`, snapshots in `snapshots/`.
    ///
    /// # Errors
    /// What is wrong with it and what to do.
    pub fn open(
        path: &Path,
        node_id: BrokerId,
        directory_id: DirectoryId,
        cluster_id: Option<&str>,
    ) -> Result<Storage, OpenError> {
        let unusable = |reason| OpenError::of(path, reason);
        std::fs::create_dir_all(path).map_err(unusable)?;
        let store: Arc<dyn MetaStore> = Arc::new(SledStore::open(&path.join("store")).map_err(unusable)?);
        let commit = Arc::new(GroupCommit::start(store.clone()).map_err(unusable)?);
        let identity =
            Identity::open(store.clone(), commit.clone(), node_id, directory_id, cluster_id).map_err(|reason| {
                match reason {
                    IdentityError::Io(reason) => unusable(reason),
                    reason => OpenError::NotOurs { path: path.to_owned(), reason },
                }
            })?;
        let feed = Arc::new(MetadataFeed::default());
        let snapshots = SnapshotDirectory::open(path.join("snapshots")).map_err(unusable)?;
        let state_machine = StateMachine::open(snapshots, feed.clone()).map_err(unusable)?;
        let log = LogStore::new(store, commit);
        // Reads the newest entry, so that damage is met here and not by the first election.
        log.is_pristine().map_err(unusable)?;
        Ok(Storage { identity, log, state_machine, feed })
    }
}
