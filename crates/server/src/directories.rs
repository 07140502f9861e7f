//! Data directories: whose they are (`meta.properties`), formatted at the first start, checked at every other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsman_log::dir::{DirectoryError, LogDirectory, MetaProperties};
use raftsman_log::fs::{BoundedFs, RealFs};
use raftsman_log::{LogError, OpenFiles};
use raftsman_types::{BrokerId, DirectoryId, Uuid};

use crate::network::{Machine, open_log_files};
use crate::wiring::METADATA_DIRECTORY;

/// Why a data directory cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DirectoriesError {
    /// The directory is locked, not writable, or its files are damaged.
    #[error("data directory {path}: {error}; check that this user may write there and that the disk has room", path = path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: DirectoryError,
    },
    /// It cannot be told whose it is, for `meta.properties` is damaged.
    #[error(
        "{reason}, so whose directory this is cannot be told: put the file back from a backup, or move the directory's content \
         away to start it empty"
    )]
    Damaged {
        /// Which file, and what is wrong with it.
        reason: LogError,
    },
    /// It cannot be told whose it is: there is data, but no `meta.properties`.
    #[error(
        "{path}/meta.properties is missing, but {found} is there, so whose directory this is cannot be told: put the file back \
         (version=1, cluster.id=..., node.id=..., directory.id=... as they were), or move the directory's content away to start it empty",
        path = path.display()
    )]
    Unclaimed {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        found: String,
    },
    /// Another process works in it.
    #[error(
        "data directory {path} is locked, another process uses it: stop that one, or give this node a directory of its own in log.dirs",
        path = path.display()
    )]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The directory belongs to another node.
    #[error(
        "{path}/meta.properties says node.id={found}, but this node is node.id={configured}: set node.id={found}, or give \
         node {configured} a directory of its own in log.dirs",
        path = path.display()
    )]
    WrongNode {
        /// Which.
        path: PathBuf,
        /// The id in the file.
        found: i32,
        /// The id of this node.
        configured: i32,
    },
    /// Two directories belong to different clusters.
    #[error(
        "{one}/meta.properties says cluster.id={one_id} and {other}/meta.properties says cluster.id={other_id}: take out of \
         log.dirs the one that does not belong to this node's cluster",
        one = one.display(), other = other.display()
    )]
    TwoClusters {
        /// One directory.
        one: PathBuf,
        /// Its cluster.
        one_id: String,
        /// Another directory.
        other: PathBuf,
        /// Its cluster.
        other_id: String,
    },
    /// Two directories have one id: one was copied from the other.
    #[error(
        "{one} and {other} have the same directory.id={id} in meta.properties: one is a copy of the other; take one out of log.dirs",
        one = one.display(), other = other.display()
    )]
    Copied {
        /// One directory.
        one: PathBuf,
        /// The other.
        other: PathBuf,
        /// Their id.
        id: DirectoryId,
    },
}

impl DirectoriesError {
    /// Whether the directory itself is unusable now, so that a node with others goes on without it. All else is a mistake of
    /// who configured it: what is in such a directory is somebody's, and used all the same it may be given up.
    fn is_failure(&self) -> bool {
        match self {
            DirectoriesError::Unusable { .. }
            | DirectoriesError::Damaged { .. }
            | DirectoriesError::Unclaimed { .. } => true,
            DirectoriesError::Locked { .. }
            | DirectoriesError::WrongNode { .. }
            | DirectoriesError::TwoClusters { .. }
            | DirectoriesError::Copied { .. } => false,
        }
    }
}

/// A node's data directories, each formatted, known to be its own, and locked; but for those that failed.
#[derive(Debug, Default)]
pub struct Directories {
    node_id: i32,
    formatted: Vec<(PathBuf, MetaProperties)>,
    /// Those that cannot be used at present.
    failed: Vec<PathBuf>,
    /// Those not handed on to the broker: held for their locks.
    locked: Vec<LogDirectory>,
    any_replica: Option<PathBuf>,
}

impl Directories {
    /// Opens every directory of `log.dirs` and, for a controller, the one of its metadata log; makes and formats those that are
    /// new, and checks that all belong to this node and to one cluster. `random` draws the ids of new ones. While one of
    /// `log.dirs` is left, others that have failed are said and left out (KIP-112).
    ///
    /// # Errors
    /// The first directory without which there is no start, and what to do about it.
    pub fn prepare(
        log_dirs: &[PathBuf],
        metadata_log_dir: Option<&Path>,
        node_id: i32,
        mut random: impl FnMut() -> [u8; 16],
    ) -> Result<Directories, DirectoriesError> {
        let mut directories = Directories { node_id, ..Directories::default() };
        let mut failures = Vec::new();
        let files = Arc::new(OpenFiles::new(open_log_files(Machine::look())));
        let alone = metadata_log_dir.filter(|path| !log_dirs.iter().any(|other| other == path));
        for path in log_dirs.iter().map(PathBuf::as_path).chain(alone) {
            match directories.prepare_one(path, &files, &mut random) {
                Ok((locked, properties)) => {
                    directories.formatted.push((path.to_owned(), properties));
                    directories.locked.push(locked);
                }
                Err(error) if error.is_failure() && metadata_log_dir != Some(path) => failures.push((path, error)),
                Err(error) => return Err(error),
            }
        }
        if !failures.is_empty() && failures.len() == log_dirs.len() {
            return Err(failures.swap_remove(0).1);
        }
        for (path, error) in failures {
            tracing::error!(
                directory = %path.display(),
                "log.dirs: {error}; this node goes on without it, and what is in it stays offline until the node is started with it again"
            );
            directories.failed.push(path.to_owned());
        }
        Ok(directories)
    }

    fn prepare_one(
        &mut self,
        path: &Path,
        files: &Arc<OpenFiles>,
        random: &mut impl FnMut() -> [u8; 16],
    ) -> Result<(LogDirectory, MetaProperties), DirectoriesError> {
        let unusable = |error| match error {
            DirectoryError::InUse { path } => DirectoriesError::Locked { path },
            DirectoryError::Log(reason @ LogError::MalformedFile { .. }) => DirectoriesError::Damaged { reason },
            error => DirectoriesError::Unusable { path: path.to_owned(), error },
        };
        // One bound for all directories; but each may be on a file system of its own.
        let fs = BoundedFs::new(Arc::new(RealFs::new()), Arc::clone(files));
        let directory = LogDirectory::open(Arc::new(fs), path).map_err(unusable)?;
        let found = directory.read_meta_properties().map_err(unusable)?;
        let any_partition = directory.any_partition().map_err(unusable)?;
        match &found {
            Some(properties) => self.check(path, properties)?,
            None => check_empty(path, any_partition.as_deref())?,
        }
        if let Some(name) = any_partition {
            self.any_replica.get_or_insert_with(|| path.join(name));
        }
        let mut properties = found.unwrap_or(MetaProperties {
            cluster_id: None,
            node_id: BrokerId(self.node_id),
            directory_id: None,
            has_joined: false,
        });
        if properties.directory_id.is_none() {
            properties.directory_id = Some(DirectoryId(Uuid::from_random(random())));
            directory.write_meta_properties(&properties).map_err(unusable)?;
            tracing::info!(directory = %path.display(), node_id = self.node_id, "formatted a data directory");
        }
        Ok((directory, properties))
    }

    fn check(&self, path: &Path, properties: &MetaProperties) -> Result<(), DirectoriesError> {
        if properties.node_id.0 != self.node_id {
            let (found, configured) = (properties.node_id.0, self.node_id);
            return Err(DirectoriesError::WrongNode { path: path.to_owned(), found, configured });
        }
        for (earlier, theirs) in &self.formatted {
            if let (Some(one_id), Some(other_id)) = (&theirs.cluster_id, &properties.cluster_id)
                && one_id != other_id
            {
                return Err(DirectoriesError::TwoClusters {
                    one: earlier.clone(),
                    one_id: one_id.clone(),
                    other: path.to_owned(),
                    other_id: other_id.clone(),
                });
            }
            if let Some(id) = properties.directory_id.filter(|id| theirs.directory_id == Some(*id)) {
                return Err(DirectoriesError::Copied { one: earlier.clone(), other: path.to_owned(), id });
            }
        }
        Ok(())
    }

    /// What shows that this node was in a cluster before this start, in words, if anything does.
    pub fn earlier_life(&self) -> Option<String> {
        let joined = || {
            let (path, _) = self.formatted.iter().find(|(_, properties)| properties.has_joined)?;
            Some(format!("{}/meta.properties says that it joined one", path.display()))
        };
        // What cannot be read may tell of one.
        let hidden = || Some(format!("{} cannot be read, which may hold replicas", self.failed.first()?.display()));
        self.any_replica.as_ref().map(|path| format!("{} is there", path.display())).or_else(joined).or_else(hidden)
    }

    /// The cluster the directories belong to, if any of them knows.
    pub fn cluster_id(&self) -> Option<&str> {
        self.formatted.iter().find_map(|(_, properties)| properties.cluster_id.as_deref())
    }

    /// The directories that cannot be used at present.
    pub fn failed(&self) -> &[PathBuf] {
        &self.failed
    }

    /// The id of one directory.
    pub fn directory_id(&self, path: &Path) -> Option<DirectoryId> {
        self.formatted.iter().find(|(p, _)| p == path).and_then(|(_, properties)| properties.directory_id)
    }

    /// Hands on the directories of these paths, locks and all, in their order.
    pub fn take_locked(&mut self, paths: &[PathBuf]) -> Vec<LogDirectory> {
        let (mut taken, kept): (Vec<_>, Vec<_>) =
            self.locked.drain(..).partition(|directory| paths.iter().any(|path| path == directory.path()));
        self.locked = kept;
        taken.sort_by_key(|directory| paths.iter().position(|path| path == directory.path()));
        taken
    }

    /// Writes the cluster's id, now that this node belongs to it, to the directories that do not say so yet.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn complete(&mut self, cluster_id: &str) -> Result<(), DirectoriesError> {
        for (path, properties) in self.formatted.iter_mut().filter(|(_, properties)| !properties.has_joined) {
            properties.cluster_id = Some(cluster_id.to_owned());
            properties.has_joined = true;
            let written = properties.write(&RealFs::new(), path);
            written.map_err(|error| DirectoriesError::Unusable { path: path.clone(), error })?;
        }
        Ok(())
    }
}

/// A directory is formatted only where that gives nothing of an earlier owner a new one: under a new id its replicas would
/// count as lost.
fn check_empty(path: &Path, any_partition: Option<&str>) -> Result<(), DirectoriesError> {
    let metadata_log = path.join(METADATA_DIRECTORY).is_dir().then_some(METADATA_DIRECTORY);
    match any_partition.or(metadata_log) {
        Some(found) => Err(DirectoriesError::Unclaimed { path: path.to_owned(), found: found.to_owned() }),
        None => Ok(()),
    }
}
