//! Who this controller is within Raft, and which cluster it is bound to. Both live in the store beside the log, because
//! they must be lost with it: a controller that lost its log must come back as somebody else, or it would vote
//! as if it still knew what it once acknowledged.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use prost::Message;
use raftsman_rpc::raft as pb;
use raftsman_rpc::{id_bytes, id_from_bytes};
use raftsman_types::{BrokerId, DirectoryId};
use tokio::sync::watch;

use super::store::{GroupCommit, MetaStore, Write, seal, unseal};
use super::types::RaftId;

const MEMBER: &[u8] = b"mmember";
const CLUSTER: &[u8] = b"mcluster";

/// Why the store cannot be this node's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// The store could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store was made by another node.
    #[error(
        "it belongs to node.id {found}, but this node's is {expected}: check node.id, or give this node a directory of its own"
    )]
    OtherNode {
        /// The `node.id` in the store.
        found: BrokerId,
        /// The configured one.
        expected: BrokerId,
    },
    /// The store was made in another log directory.
    #[error(
        "it belongs to directory id {found}, but meta.properties says {expected}: the directory was copied or meta.properties replaced; put the original back"
    )]
    OtherDirectory {
        /// The directory id in the store.
        found: DirectoryId,
        /// The one of `meta.properties`.
        expected: DirectoryId,
    },
    /// The store is of another cluster.
    #[error(
        "it belongs to cluster {found}, but meta.properties says {expected}: check that this directory is mounted on the right node"
    )]
    OtherCluster {
        /// The cluster id in the store.
        found: String,
        /// The one of `meta.properties`.
        expected: String,
    },
}

/// The cluster that this controller is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Its id.
    pub cluster_id: Arc<str>,
    /// Who was about to form it when this controller promised itself; `None` once it joined a formed one.
    pub promised_to: Option<RaftId>,
}

/// This controller's identity, kept in the store.
pub(crate) struct Identity {
    raft_id: RaftId,
    store: Arc<dyn MetaStore>,
    commit: Arc<GroupCommit>,
    binding: watch::Sender<Option<Binding>>,
    // Held over a change of the binding and its flush, so that two changes are not mixed up.
    changing: Mutex<()>,
}

fn put(key: &[u8], message: &impl Message) -> Write {
    Write::Put(key.to_vec(), seal(key, &message.encode_to_vec()))
}

fn get<M: Message + Default>(store: &dyn MetaStore, key: &[u8]) -> io::Result<Option<M>> {
    let Some(sealed) = store.get(key)? else { return Ok(None) };
    let message = M::decode(unseal(key, &sealed)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(Some(message))
}

/// A Raft id nobody had: the `node.id` in the upper half, so that ids sort as nodes do, and chance in the lower.
/// 32 bits are enough: one node draws a handful of them in its life.
fn draw_raft_id(node_id: BrokerId) -> RaftId {
    (u64::from(node_id.0.unsigned_abs()) << 32) | u64::from(rand::random::<u32>())
}

impl Identity {
    /// The identity in the store; in an empty one a new identity is made and flushed.
    ///
    /// # Errors
    /// The store is unreadable, or it is another node's, directory's or cluster's.
    pub(super) fn open(
        store: Arc<dyn MetaStore>,
        commit: Arc<GroupCommit>,
        node_id: BrokerId,
        directory_id: DirectoryId,
        cluster_id: Option<&str>,
    ) -> Result<Identity, IdentityError> {
        let raft_id = match get::<pb::MemberNode>(&*store, MEMBER)? {
            Some(member) => {
                let node = member.node.unwrap_or_default();
                let found_directory = id_from_bytes("directory_id", &node.directory_id)
                    .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
                if node.node_id != node_id.0 {
                    return Err(IdentityError::OtherNode { found: BrokerId(node.node_id), expected: node_id });
                }
                if found_directory != directory_id.0 {
                    let found = DirectoryId(found_directory);
                    return Err(IdentityError::OtherDirectory { found, expected: directory_id });
                }
                member.raft_id
            }
            None => {
                let raft_id = draw_raft_id(node_id);
                let node = pb::Node {
                    node_id: node_id.0,
                    directory_id: id_bytes(directory_id.0),
                    host: String::new(),
                    port: 0,
                };
                store.write(vec![put(MEMBER, &pb::MemberNode { raft_id, node: Some(node) })])?;
                store.sync()?;
                raft_id
            }
        };
        let binding = get::<pb::Member>(&*store, CLUSTER)?
            .map(|kept| Binding { cluster_id: kept.cluster_id.into(), promised_to: kept.promised_to });
        if let (Some(binding), Some(expected)) = (&binding, cluster_id)
            && &*binding.cluster_id != expected
        {
            let found = binding.cluster_id.to_string();
            return Err(IdentityError::OtherCluster { found, expected: expected.to_owned() });
        }
        Ok(Identity { raft_id, store, commit, binding: watch::Sender::new(binding), changing: Mutex::new(()) })
    }

    /// This controller's Raft id.
    pub fn raft_id(&self) -> RaftId {
        self.raft_id
    }

    /// The cluster it is bound to now.
    pub fn binding(&self) -> Option<Binding> {
        self.binding.borrow().clone()
    }

    /// Its changes.
    pub fn watch_binding(&self) -> watch::Receiver<Option<Binding>> {
        self.binding.subscribe()
    }

    /// Changes the binding if `decide` returns one for what it is now, and returns what it is then, which is on the disk.
    ///
    /// # Errors
    /// The store cannot be written; the binding is unchanged then.
    pub async fn rebind(
        &self,
        decide: impl FnOnce(Option<&Binding>) -> Option<Binding>,
    ) -> io::Result<Option<Binding>> {
        let changed = {
            let _changing = self.changing.lock();
            let next = decide(self.binding.borrow().as_ref());
            if let Some(next) = &next {
                let kept = pb::Member {
                    cluster_id: next.cluster_id.to_string(),
                    promised_to: next.promised_to,
                    ..Default::default()
                };
                self.store.write(vec![put(CLUSTER, &kept)])?;
                self.binding.send_replace(Some(next.clone()));
            }
            next
        };
        // An answer must not leave before what it says is on the disk, also when another call wrote it.
        self.commit.flushed().await?;
        Ok(changed.or_else(|| self.binding()))
    }
}
