use std::path::Path;

use raftsman_types::{BrokerId, DirectoryId};

use super::{DirectoryError, LogDirectory};
use crate::atomic_file::{read_small, write_atomically};
use crate::error::LogError;
use crate::fs::FileSystem;

const NAME: &str = "meta.properties";

/// Whose directory this is: Kafka's `meta.properties`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster the directory belongs to; absent until the node has formed or joined one.
    pub cluster_id: Option<String>,
    /// The node it belongs to.
    pub node_id: BrokerId,
    /// The directory's own id (KIP-858); absent in files of older Kafkas.
    pub directory_id: Option<DirectoryId>,
}

impl MetaProperties {
    /// Reads the file of a directory; `None` if the directory is not formatted.
    ///
    /// # Errors
    /// Storage, or a file that lacks the node id.
    pub fn read(fs: &dyn FileSystem, directory: &Path) -> Result<Option<MetaProperties>, DirectoryError> {
        let path = directory.join(NAME);
        let Some(bytes) = read_small(fs, &path)? else { return Ok(None) };
        let malformed = |reason: String| LogError::MalformedFile { path: path.clone(), reason };
        let text = String::from_utf8_lossy(&bytes);
        let field = |name: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.trim().split_once('=')?;
                (key.trim() == name).then_some(value.trim())
            })
        };
        let node_id = field("node.id")
            .or_else(|| field("broker.id"))
            .ok_or_else(|| malformed("it has neither node.id nor broker.id".to_owned()))?;
        let node_id = node_id.parse().map_err(|_| malformed(format!("node id {node_id:?} is not a number")))?;
        let directory_id = match field("directory.id") {
            Some(id) => Some(DirectoryId(id.parse().map_err(|error| malformed(format!("directory.id: {error}")))?)),
            None => None,
        };
        let cluster_id = field("cluster.id").filter(|id| !id.is_empty()).map(str::to_owned);
        Ok(Some(MetaProperties { cluster_id, node_id: BrokerId(node_id), directory_id }))
    }

    /// Writes the file of a directory, in one durable step. The directory need not be locked by the caller, but must
    /// be by its process.
    ///
    /// # Errors
    /// Storage.
    pub fn write(&self, fs: &dyn FileSystem, directory: &Path) -> Result<(), DirectoryError> {
        let MetaProperties { cluster_id, node_id, directory_id } = self;
        let mut text = "version=1\n".to_owned();
        if let Some(id) = cluster_id {
            text.push_str(&format!("cluster.id={id}\n"));
        }
        text.push_str(&format!("node.id={node_id}\n"));
        if let Some(id) = directory_id {
            text.push_str(&format!("directory.id={id}\n"));
        }
        write_atomically(fs, &directory.join(NAME), text.as_bytes())?;
        Ok(())
    }
}

impl LogDirectory {
    /// Whose directory this is; `None` if it is not formatted.
    ///
    /// # Errors
    /// Storage, or a file that lacks the node id.
    pub fn read_meta_properties(&self) -> Result<Option<MetaProperties>, DirectoryError> {
        MetaProperties::read(&*self.fs, &self.path)
    }

    /// Formats the directory: says whose it is.
    ///
    /// # Errors
    /// Storage.
    pub fn write_meta_properties(&self, properties: &MetaProperties) -> Result<(), DirectoryError> {
        properties.write(&*self.fs, &self.path)
    }
}
