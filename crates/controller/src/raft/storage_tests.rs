use std::path::Path;
use std::sync::Arc;

use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite, blank_ent};
use openraft::{CommittedLeaderId, EntryPayload};
use raftsman_metadata::{ConfigResource, MetadataEntry, MetadataRecord};
use raftsman_rpc::metadata::Batch;
use raftsman_types::{BrokerId, DirectoryId, Uuid};
use tempfile::TempDir;

use super::feed::MetadataFeed;
use super::identity::{Binding, Identity};
use super::log_store::LogStore;
use super::snapshot_file::SnapshotDirectory;
use super::state_machine::StateMachine;
use super::storage::{OpenError, Storage};
use super::store::{GroupCommit, MemoryStore};
use super::types::{Applied, EncodedEntry, Entry, LogId, StorageError, TypeConfig, Vote};

const NODE: BrokerId = BrokerId(1);
const DIRECTORY: DirectoryId = DirectoryId(Uuid([7; 16]));

fn open(home: &TempDir) -> Storage {
    Storage::open(home.path(), NODE, DIRECTORY, None).unwrap()
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

fn entry(term: u64, index: u64, data: Vec<u8>) -> Entry {
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(EncodedEntry(data.into())) }
}

fn setting(base_version: u64, value: &str) -> Vec<u8> {
    let records = vec![MetadataRecord::SetConfig {
        resource: ConfigResource::cluster(),
        key: "k".into(),
        value: Some(value.into()),
    }];
    Batch::from(&MetadataEntry { base_version, records }).to_bytes().to_vec()
}

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError> {
        let home = tempfile::tempdir().unwrap();
        let storage = open(&home);
        Ok((home, storage.log, storage.state_machine))
    }
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for InMemory {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError> {
        let home = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        let commit = Arc::new(GroupCommit::start(store.clone()).unwrap());
        let snapshots = SnapshotDirectory::open(home.path().join("snapshots")).unwrap();
        let machine = StateMachine::open(snapshots, Arc::new(MetadataFeed::default())).unwrap();
        Ok((home, LogStore::new(store, commit), machine))
    }
}

#[test]
fn openrafts_suite_passes_on_sled() {
    Suite::test_all(OnDisk).unwrap();
}

#[test]
fn openrafts_suite_passes_on_the_memory_store() {
    Suite::test_all(InMemory).unwrap();
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let home = tempfile::tempdir().unwrap();
    let raft_id;
    let large: Vec<u8> = (0..250_000).map(|i| (i % 253) as u8).collect();
    {
        let mut storage = open(&home);
        assert!(storage.log.is_pristine().unwrap());
        raft_id = storage.identity.raft_id();
        let bound = Binding { cluster_id: "c".into(), promised_to: Some(9) };
        storage.identity.rebind(|_| Some(bound)).await.unwrap();
        storage.log.save_vote(&Vote::new_committed(3, 8)).await.unwrap();
        let entries = [blank_ent(1, 1, 0), entry(1, 1, large.clone()), entry(3, 2, b"small".to_vec())];
        storage.log.blocking_append(entries).await.unwrap();
        storage.log.save_committed(Some(log_id(1, 1))).await.unwrap();
    }
    let mut storage = open(&home);
    assert!(!storage.log.is_pristine().unwrap());
    assert_eq!(storage.identity.raft_id(), raft_id);
    assert_eq!(storage.identity.binding(), Some(Binding { cluster_id: "c".into(), promised_to: Some(9) }));
    assert_eq!(storage.log.read_vote().await.unwrap(), Some(Vote::new_committed(3, 8)));
    assert_eq!(storage.log.read_committed().await.unwrap(), Some(log_id(1, 1)));
    assert_eq!(storage.log.get_log_state().await.unwrap().last_log_id, Some(log_id(3, 2)));
    let entries = storage.log.try_get_log_entries(0..3).await.unwrap();
    assert!(matches!(&entries[1].payload, EntryPayload::Normal(data) if *data.0 == *large));
    let limited = storage.log.limited_get_log_entries(1, 3).await.unwrap();
    assert_eq!(limited.len(), 2, "both fit into one message");
    let blobs = home.path().join("store/blobs");
    assert!(!blobs.exists() || std::fs::read_dir(blobs).unwrap().count() == 0, "sled must not spill out of its file");
}

#[tokio::test]
async fn one_read_for_the_network_is_bounded() {
    let home = tempfile::tempdir().unwrap();
    let mut storage = open(&home);
    let entries: Vec<Entry> = (0..10).map(|index| entry(1, index, vec![0; 100_000])).collect();
    storage.log.blocking_append(entries).await.unwrap();
    assert_eq!(storage.log.limited_get_log_entries(0, 10).await.unwrap().len(), 3);
    assert_eq!(storage.log.try_get_log_entries(0..10).await.unwrap().len(), 10);
    storage.log.purge(log_id(1, 4)).await.unwrap();
    storage.log.truncate(log_id(1, 8)).await.unwrap();
    let left: Vec<u64> =
        storage.log.try_get_log_entries(..).await.unwrap().iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(left, [5, 6, 7]);
}

#[tokio::test]
async fn a_power_cut_takes_only_what_was_not_acknowledged() {
    let store = Arc::new(MemoryStore::default());
    let commit = Arc::new(GroupCommit::start(store.clone()).unwrap());
    let identity = Identity::open(store.clone(), commit.clone(), NODE, DIRECTORY, None).unwrap();
    let mut log = LogStore::new(store.clone(), commit);
    log.save_vote(&Vote::new(4, 2)).await.unwrap();
    log.blocking_append([blank_ent(1, 1, 0), blank_ent(1, 1, 1), blank_ent(1, 1, 2)]).await.unwrap();
    log.truncate(log_id(1, 2)).await.unwrap();
    log.purge(log_id(1, 0)).await.unwrap();
    log.save_committed(Some(log_id(1, 1))).await.unwrap();

    let after = Arc::new(store.after_power_cut());
    let commit = Arc::new(GroupCommit::start(after.clone()).unwrap());
    let reopened = Identity::open(after.clone(), commit.clone(), NODE, DIRECTORY, None).unwrap();
    assert_eq!(reopened.raft_id(), identity.raft_id());
    let mut log = LogStore::new(after, commit);
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(4, 2)));
    let state = log.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(log_id(1, 0)), Some(log_id(1, 1))));
}

/// Forgotten, it would be given a second time in the same term, and two could lead.
#[tokio::test]
async fn a_vote_is_on_the_disk_when_it_is_answered() {
    let store = Arc::new(MemoryStore::default());
    let commit = Arc::new(GroupCommit::start(store.clone()).unwrap());
    let mut log = LogStore::new(store.clone(), commit);
    log.save_vote(&Vote::new(4, 2)).await.unwrap();
    let after = Arc::new(store.after_power_cut());
    let commit = Arc::new(GroupCommit::start(after.clone()).unwrap());
    assert_eq!(LogStore::new(after, commit).read_vote().await.unwrap(), Some(Vote::new(4, 2)));
}

#[tokio::test]
async fn the_image_is_rebuilt_from_its_snapshot() {
    let home = tempfile::tempdir().unwrap();
    let image = {
        let mut storage = open(&home);
        let entries = [entry(1, 0, setting(0, "a")), entry(1, 1, setting(0, "stale")), entry(1, 2, setting(1, "b"))];
        let replies = storage.state_machine.apply(entries).await.unwrap();
        let outcomes: Vec<_> = replies
            .iter()
            .map(|reply| match reply {
                Applied::Entry { outcome, version } => (*outcome, *version),
                Applied::Nothing => panic!("these are metadata entries"),
            })
            .collect();
        use raftsman_metadata::EntryOutcome::{Applied as Done, Stale};
        assert_eq!(outcomes, [(Done, 1), (Stale, 1), (Done, 2)]);
        use openraft::RaftSnapshotBuilder;
        storage.state_machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
        storage.feed.image()
    };
    let mut storage = open(&home);
    assert_eq!(storage.feed.image(), image);
    assert_eq!(storage.state_machine.applied_state().await.unwrap().0, Some(log_id(1, 2)));
}

#[tokio::test]
async fn a_record_of_a_newer_release_stops_the_state_machine() {
    let home = tempfile::tempdir().unwrap();
    let mut storage = open(&home);
    let mut batch = Batch::from_bytes(setting(0, "a").into()).unwrap();
    batch.records[0].record_version = 99;
    let error = storage.state_machine.apply([entry(1, 0, batch.to_bytes().to_vec())]).await.unwrap_err();
    assert!(error.to_string().contains("layout version 99"), "{error}");
}

#[test]
fn a_store_that_is_damaged_or_not_ours_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    drop(open(&home));
    let other_node = Storage::open(home.path(), BrokerId(2), DIRECTORY, None).err().unwrap();
    assert!(matches!(other_node, OpenError::NotOurs { .. }));
    assert!(other_node.to_string().contains("belongs to node.id 1"), "{other_node}");
    let other_directory = Storage::open(home.path(), NODE, DirectoryId(Uuid([8; 16])), None).err().unwrap();
    assert!(other_directory.to_string().contains("belongs to directory id"), "{other_directory}");

    std::fs::write(home.path().join("store/conf"), b"no configuration of sled's").unwrap();
    let damaged = Storage::open(home.path(), NODE, DIRECTORY, None).err().unwrap();
    assert!(damaged.to_string().contains("comes back as a new member"), "{damaged}");
}

#[test]
fn want_of_room_or_of_files_is_not_taken_for_damage() {
    for (code, lacks) in [(28, "make some"), (122, "make some"), (24, "limit"), (23, "limit")] {
        let error = OpenError::of(Path::new("/data"), std::io::Error::from_raw_os_error(code));
        let text = error.to_string();
        assert!(text.contains(lacks) && text.contains("Nothing is wrong"), "{text}");
        assert!(!text.contains("backup"), "nobody is to move anything away: {text}");
    }
    let damaged = OpenError::of(Path::new("/data"), std::io::Error::from_raw_os_error(5));
    assert!(damaged.to_string().contains("backup"), "{damaged}");
}
