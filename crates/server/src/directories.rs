//! Data directories: whose they are (`meta.properties`), formatted at the first start, checked at every other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsman_log::LogError;
use raftsman_log::dir::{DirectoryError, LogDirectory, MetaProperties};
use raftsman_log::fs::RealFs;
use raftsman_types::{BrokerId, DirectoryId, Uuid};

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

/// A node's data directories, each formatted, known to be its own, and locked.
#[derive(Debug, Default)]
pub struct Directories {
    node_id: i32,
    formatted: Vec<(PathBuf, MetaProperties)>,
    /// Those not handed on to the broker: held for their locks.
    locked: Vec<LogDirectory>,
    any_replica: Option<PathBuf>,
}

impl Directories {
    /// Opens every directory, makes and formats those that are new, and checks that all belong to this node and to one
    /// cluster. `random` draws the ids of new ones.
    ///
    /// # Errors
    /// The first directory that cannot be used, and what to do about it.
    pub fn prepare(
        paths: &[PathBuf],
        node_id: i32,
        mut random: impl FnMut() -> [u8; 16],
    ) -> Result<Directories, DirectoriesError> {
        let mut directories = Directories { node_id, ..Directories::default() };
        for path in paths {
            let (locked, properties) = directories.prepare_one(path, &mut random)?;
            directories.formatted.push((path.clone(), properties));
            directories.locked.push(locked);
        }
        Ok(directories)
    }

    fn prepare_one(
        &mut self,
        path: &Path,
        random: &mut impl FnMut() -> [u8; 16],
    ) -> Result<(LogDirectory, MetaProperties), DirectoriesError> {
        let unusable = |error| match error {
            DirectoryError::InUse { path } => DirectoriesError::Locked { path },
            DirectoryError::Log(reason @ LogError::MalformedFile { .. }) => DirectoriesError::Damaged { reason },
            error => DirectoriesError::Unusable { path: path.to_owned(), error },
        };
        let directory = LogDirectory::open(Arc::new(RealFs), path).map_err(unusable)?;
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
        self.any_replica.as_ref().map(|path| format!("{} is there", path.display())).or_else(joined)
    }

    /// The cluster the directories belong to, if any of them knows.
    pub fn cluster_id(&self) -> Option<&str> {
        self.formatted.iter().find_map(|(_, properties)| properties.cluster_id.as_deref())
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
            let written = properties.write(&RealFs, path);
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn counting() -> impl FnMut() -> [u8; 16] {
        let mut next = 0;
        move || {
            next += 1;
            [next; 16]
        }
    }

    fn two() -> (tempfile::TempDir, Vec<PathBuf>) {
        let root = tempfile::tempdir().unwrap();
        let paths = vec![root.path().join("a"), root.path().join("deep/b")];
        (root, paths)
    }

    #[test]
    fn empty_directories_format_themselves_once() {
        let (_root, paths) = two();
        let mut first = Directories::prepare(&paths, 7, counting()).unwrap();
        assert_eq!(first.cluster_id(), None);
        first.complete("some-cluster").unwrap();
        let ids: Vec<_> = paths.iter().map(|path| first.directory_id(path)).collect();
        drop(first);
        let again = Directories::prepare(&paths, 7, counting()).unwrap();
        assert_eq!(again.cluster_id(), Some("some-cluster"));
        for (path, id) in paths.iter().zip(ids) {
            assert_eq!(again.directory_id(path), id);
            let text = fs::read_to_string(path.join("meta.properties")).unwrap();
            for line in ["version=1", "cluster.id=some-cluster", "node.id=7", "directory.id="] {
                assert!(text.contains(line), "{text}");
            }
        }
        assert_ne!(again.directory_id(&paths[0]), again.directory_id(&paths[1]));
    }

    #[test]
    fn another_nodes_directory_is_refused() {
        let (_root, paths) = two();
        Directories::prepare(&paths, 7, counting()).unwrap();
        let error = Directories::prepare(&paths, 8, counting()).unwrap_err().to_string();
        assert!(error.contains("node.id=7") && error.contains("node.id=8") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn directories_of_two_clusters_are_refused() {
        let (_root, paths) = two();
        for (path, id) in paths.iter().zip(["one", "two"]) {
            Directories::prepare(std::slice::from_ref(path), 7, || [id.len() as u8 + id.as_bytes()[0]; 16])
                .unwrap()
                .complete(id)
                .unwrap();
        }
        let error = Directories::prepare(&paths, 7, counting()).unwrap_err().to_string();
        assert!(error.contains("cluster.id=one") && error.contains("cluster.id=two"), "{error}");
    }

    #[test]
    fn a_copied_directory_is_refused() {
        let (_root, paths) = two();
        Directories::prepare(&paths, 7, || [5; 16]).unwrap();
        let error = Directories::prepare(&paths, 7, counting()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("copy"), "{error}");
    }

    #[test]
    fn a_directory_with_data_is_never_formatted_anew() {
        let (_root, paths) = two();
        Directories::prepare(&paths, 7, counting()).unwrap();
        for (path, content) in paths.iter().zip(["orders-12", METADATA_DIRECTORY]) {
            fs::remove_file(path.join("meta.properties")).unwrap();
            fs::create_dir(path.join(content)).unwrap();
            let error = Directories::prepare(std::slice::from_ref(path), 7, counting()).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()) && error.contains(content), "{error}");
            assert!(error.contains("meta.properties") && !error.contains('\n'), "{error}");
            assert!(!path.join("meta.properties").exists());
            fs::remove_dir(path.join(content)).unwrap();
        }
        // What every mounted disk has is no data.
        fs::create_dir(paths[0].join("lost+found")).unwrap();
        assert_eq!(Directories::prepare(&paths, 7, counting()).unwrap().earlier_life(), None);
    }

    #[test]
    fn an_earlier_life_shows() {
        let (_root, paths) = two();
        assert_eq!(Directories::prepare(&paths, 7, counting()).unwrap().earlier_life(), None, "the first start");
        fs::create_dir(paths[1].join("orders-0")).unwrap();
        let with_replicas = Directories::prepare(&paths, 7, counting()).unwrap().earlier_life().unwrap();
        assert!(with_replicas.contains("deep/b/orders-0"), "{with_replicas}");
        fs::remove_dir(paths[1].join("orders-0")).unwrap();
        let mut again = Directories::prepare(&paths, 7, counting()).unwrap();
        assert_eq!(again.earlier_life(), None, "it found no cluster");
        again.complete("some-cluster").unwrap();
        drop(again);
        let joined = Directories::prepare(&paths, 7, counting()).unwrap().earlier_life().unwrap();
        assert!(joined.contains("meta.properties"), "{joined}");
    }

    #[test]
    fn a_damaged_meta_properties_is_one_clear_line() {
        let (_root, paths) = two();
        Directories::prepare(&paths, 7, counting()).unwrap();
        fs::write(paths[1].join("meta.properties"), "version=1\nnode.").unwrap();
        let error = Directories::prepare(&paths, 7, counting()).unwrap_err().to_string();
        assert!(
            error.contains("deep/b/meta.properties") && error.contains("node.") && !error.contains('\n'),
            "{error}"
        );
    }

    #[test]
    fn a_directory_of_kafka_is_taken_over_as_it_is() {
        let (_root, paths) = two();
        let text = "#\n#Fri Nov 20 10:00:00 UTC 2026\nnode.id=7\nversion=1\ndirectory.id=nv4hwGjJTYmYJDFa9B9SFw\n\
                    cluster.id=kVTQiJDNRlSb4ZNXo2IT5A\n";
        fs::create_dir(&paths[0]).unwrap();
        fs::write(paths[0].join("meta.properties"), text).unwrap();
        let mut directories = Directories::prepare(&paths[..1], 7, counting()).unwrap();
        assert_eq!(directories.cluster_id(), Some("kVTQiJDNRlSb4ZNXo2IT5A"));
        assert_eq!(directories.directory_id(&paths[0]).unwrap().to_string(), "nv4hwGjJTYmYJDFa9B9SFw");
        directories.complete("kVTQiJDNRlSb4ZNXo2IT5A").unwrap();
        let after = fs::read_to_string(paths[0].join("meta.properties")).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(after.lines().any(|l| l == line), "{line} is not in {after}");
        }
    }

    #[test]
    fn locks_last_as_long_as_the_directories_and_can_be_handed_on() {
        let (_root, paths) = two();
        let mut held = Directories::prepare(&paths, 7, counting()).unwrap();
        let refused = || {
            let error = Directories::prepare(&paths, 7, counting()).map(|_| ()).unwrap_err();
            assert!(matches!(error, DirectoriesError::Locked { .. }), "{error}");
        };
        refused();
        let taken = held.take_locked(&paths[..1]);
        assert_eq!(taken.iter().map(LogDirectory::path).collect::<Vec<_>>(), [&paths[0]]);
        drop(held);
        refused();
        drop(taken);
        Directories::prepare(&paths, 7, counting()).unwrap();
    }

    #[test]
    fn a_place_that_cannot_hold_a_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let error = Directories::prepare(&[root.path().join("file/data")], 7, counting()).unwrap_err().to_string();
        assert!(error.contains("file/data") && !error.contains('\n'), "{error}");
    }
}
