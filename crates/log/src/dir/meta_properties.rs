use std::path::Path;

use raftsman_types::{BrokerId, DirectoryId};

use super::{DirectoryError, LogDirectory};
use crate::atomic_file::{read_small, write_atomically};
use crate::error::LogError;
use crate::fs::FileSystem;

const NAME: &str = "meta.properties";
/// Kafka leaves keys alone that it does not know.
const JOINED: &str = "raftsman.joined";

/// Whose directory this is: Kafka's `meta.properties`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster the directory belongs to; absent until the node has formed or joined one.
    pub cluster_id: Option<String>,
    /// The node it belongs to.
    pub node_id: BrokerId,
    /// The directory's own id (KIP-858); absent in files of older Kafkas.
    pub directory_id: Option<DirectoryId>,
    /// Whether the node has been in that cluster (`raftsman.joined`, a key of ours): `cluster.id` alone may also stand in a
    /// directory that was only formatted for it.
    pub has_joined: bool,
}

impl MetaProperties {
    /// Reads the file of a directory; `None` if the directory is not formatted.
    ///
    /// # Errors
    /// Storage, or a file that is not what Kafka or this program writes: cut short, overwritten, of an unknown version.
    pub fn read(fs: &dyn FileSystem, directory: &Path) -> Result<Option<MetaProperties>, DirectoryError> {
        let path = directory.join(NAME);
        let Some(bytes) = read_small(fs, &path)? else { return Ok(None) };
        let read = std::str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned()).and_then(parse);
        read.map(Some).map_err(|reason| LogError::MalformedFile { path, reason }.into())
    }

    /// Writes the file of a directory, in one durable step. The directory need not be locked by the caller, but must
    /// be by its process.
    ///
    /// # Errors
    /// Storage.
    pub fn write(&self, fs: &dyn FileSystem, directory: &Path) -> Result<(), DirectoryError> {
        let MetaProperties { cluster_id, node_id, directory_id, has_joined } = self;
        let (version, id_name) = if self.names_nothing() { (0, "broker.id") } else { (1, "node.id") };
        let mut text = format!("version={version}\n");
        if let Some(id) = cluster_id {
            text.push_str(&format!("cluster.id={id}\n"));
        }
        text.push_str(&format!("{id_name}={node_id}\n"));
        if let Some(id) = directory_id {
            text.push_str(&format!("directory.id={id}\n"));
        }
        if *has_joined {
            text.push_str(&format!("{JOINED}=true\n"));
        }
        write_atomically(fs, &directory.join(NAME), text.as_bytes())?;
        Ok(())
    }

    /// Whether neither cluster nor directory is known. Only a file of version 0 may be so, and so it stays one.
    fn names_nothing(&self) -> bool {
        self.cluster_id.is_none() && self.directory_id.is_none()
    }
}

impl LogDirectory {
    /// Whose directory this is; `None` if it is not formatted.
    ///
    /// # Errors
    /// As [`MetaProperties::read`].
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

/// Version 0 is of Kafkas that lived on ZooKeeper: it says `broker.id`, the oldest nothing else. Version 1 says `node.id`. As in
/// Kafka neither is read for the other. A half-read file must not pass for that of a node that has not found its cluster yet: all
/// of version 1 know their directory or their cluster.
fn parse(text: &str) -> Result<MetaProperties, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let mut fields = Vec::new();
    for line in lines {
        let (key, value) = line.split_once('=').ok_or_else(|| format!("the line {line:?} is not key=value"))?;
        fields.push((key.trim(), value.trim()));
    }
    let field = |name: &str| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let version = field("version").ok_or("it has no version")?;
    if !["0", "1"].contains(&version) {
        return Err(format!("version {version:?} is unknown, 0 and 1 are known"));
    }
    let id_name = if version == "0" { "broker.id" } else { "node.id" };
    let node_id = field(id_name).ok_or_else(|| format!("it has no {id_name}, which version {version} needs"))?;
    let node_id: i32 = node_id.parse().map_err(|_| format!("{id_name} {node_id:?} is not a number"))?;
    if node_id < 0 {
        return Err(format!("{id_name} is {node_id}, and 0 or more are ids"));
    }
    let directory_id = match field("directory.id") {
        Some(id) => Some(DirectoryId(id.parse().map_err(|error| format!("directory.id: {error}"))?)),
        None => None,
    };
    if directory_id == Some(DirectoryId::ZERO) {
        return Err("its directory.id is zero, which is no id".to_owned());
    }
    let cluster_id = field("cluster.id").filter(|id| !id.is_empty()).map(str::to_owned);
    if version == "1" && cluster_id.is_none() && directory_id.is_none() {
        return Err("it has neither cluster.id nor directory.id".to_owned());
    }
    let has_joined = field(JOINED) == Some("true");
    Ok(MetaProperties { cluster_id, node_id: BrokerId(node_id), directory_id, has_joined })
}
