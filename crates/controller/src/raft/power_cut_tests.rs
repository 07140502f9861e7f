//! The two halves of a power-cut trial, run by `tests/chaos/power_cuts`, which cuts the file system off in between. Where its
//! variables are not set there is no trial, and nothing to look at.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::{CommittedLeaderId, EntryPayload, RaftSnapshotBuilder};
use raftsman_metadata::{ConfigResource, MetadataEntry, MetadataRecord};
use raftsman_rpc::metadata::Batch;
use raftsman_types::{BrokerId, DirectoryId, Uuid};

use super::storage::Storage;
use super::types::{EncodedEntry, Entry, LogId, Vote};

fn trial(role: &str) -> Option<(Storage, PathBuf)> {
    if std::env::var("RAFTSMAN_POWER_CUT_ROLE").ok()? != role {
        return None;
    }
    let home = PathBuf::from(std::env::var("RAFTSMAN_POWER_CUT_DIRECTORY").ok()?);
    let acks = PathBuf::from(std::env::var("RAFTSMAN_POWER_CUT_ACKS").ok()?);
    Some((Storage::open(&home, BrokerId(1), DirectoryId(Uuid([7; 16])), None).unwrap(), acks))
}

fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(1 + index / 100, 1), index)
}

/// An entry that takes effect, of a size that differs from one to the next (up to 40 KiB).
fn entry(index: u64) -> Entry {
    let value = "x".repeat((index * 7919 % 40_000) as usize);
    let record =
        MetadataRecord::SetConfig { resource: ConfigResource::cluster(), key: "k".into(), value: Some(value.into()) };
    let batch = Batch::from(&MetadataEntry { base_version: index, records: vec![record] });
    Entry { log_id: log_id(index), payload: EntryPayload::Normal(EncodedEntry(batch.to_bytes())) }
}

/// Writes until it is killed, and notes elsewhere what it was told is on the disk.
#[tokio::test]
#[ignore = "a half of tests/chaos/power_cuts"]
async fn power_cut_writer() {
    let Some((mut storage, acks)) = trial("write") else { return };
    let mut acks = File::create(acks).unwrap();
    for index in 0.. {
        if index % 100 == 0 {
            storage.log.save_vote(&Vote::new_committed(log_id(index).leader_id.term, 1)).await.unwrap();
            writeln!(acks, "vote {}", log_id(index).leader_id.term).unwrap();
        }
        storage.log.blocking_append([entry(index)]).await.unwrap();
        writeln!(acks, "entry {index}").unwrap();
        storage.state_machine.apply([entry(index)]).await.unwrap();
        if index % 150 == 149 {
            storage.state_machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
            storage.log.purge(log_id(index - 20)).await.unwrap();
            writeln!(acks, "snapshot {index}").unwrap();
        }
    }
}

/// Reads what the writer left: all it was told is there, in order and whole.
#[tokio::test]
#[ignore = "a half of tests/chaos/power_cuts"]
async fn power_cut_reader() {
    let Some((mut storage, acks)) = trial("read") else { return };
    let acks = std::fs::read_to_string(acks).unwrap();
    let acked = |what: &str| -> Option<u64> {
        let lines = acks.lines().filter_map(|line| line.strip_prefix(what)?.trim().parse().ok());
        lines.max()
    };
    let vote = storage.log.read_vote().await.unwrap().map_or(0, |vote| vote.leader_id.term);
    assert!(vote >= acked("vote").unwrap_or(0), "a vote was lost");
    let state = storage.log.get_log_state().await.unwrap();
    assert!(state.last_log_id.map(|id| id.index) >= acked("entry"), "entries were lost: {state:?}");
    let applied = storage.state_machine.applied_state().await.unwrap().0;
    assert!(applied.map(|id| id.index) >= acked("snapshot"), "a snapshot was lost");
    let first = state.last_purged_log_id.map_or(0, |id| id.index + 1);
    assert!(first <= applied.map_or(0, |id| id.index + 1), "there is a gap between snapshot and log");
    let entries = storage.log.try_get_log_entries(..).await.unwrap();
    for (expected, found) in (first..).zip(&entries) {
        assert_eq!(found.log_id, log_id(expected));
        assert!(
            matches!((&found.payload, &entry(expected).payload), (EntryPayload::Normal(a), EntryPayload::Normal(b)) if a == b)
        );
    }
    println!("acknowledged {:?}, found {:?}", acked("entry"), state.last_log_id.map(|id| id.index));
}
