//! See the crate's `hostile`.

use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use openraft::EntryPayload;
use prost::Message;
use raftsman_metadata::{MetadataEntry, MetadataImage, MetadataRecord};
use raftsman_rpc::{metadata, raft as pb};

use super::convert::{
    append_from_pb, append_reply_from_pb, entry_to_pb, member_from_pb, snapshot_meta_from_pb, vote_reply_from_pb,
    vote_request_from_pb,
};
use super::log_store::{log_key, read_entries};
use super::snapshot_file;
use super::store::{MetaStore, Visit, Write, crc32c, seal_chunks};
use super::types::{EncodedEntry, Entry, LogId, SnapshotMeta};

/// The one index that values are read back under.
const INDEX: u64 = 9;
const CRC_BYTES: usize = 4;

pub(crate) fn snapshot(bytes: &[u8], mend: bool) {
    let mut bytes = bytes.to_vec();
    if mend && bytes.len() >= CRC_BYTES {
        let body = bytes.len() - CRC_BYTES;
        let crc = crc32c(&[&bytes[..body]]);
        bytes[body..].copy_from_slice(&crc.to_be_bytes());
    }
    let meta = snapshot_file::decode_meta(&bytes);
    let Ok((read, image)) = snapshot_file::decode(&bytes) else { return };
    assert_eq!(meta.ok(), Some(read.clone()), "the head is read alike alone");
    let again = snapshot_file::decode(&snapshot_file::encode(&read, &image)).expect("what is read can be written");
    assert_eq!(again.0, read, "a snapshot comes back");
    assert_eq!(again.1.version, image.version, "a snapshot comes back");
}

pub(crate) fn stored_values(values: &[&[u8]], mend: bool) {
    let entries = values.iter().zip(0u16..).map(|(value, number)| {
        let mut value = value.to_vec();
        if mend && value.len() >= 24 {
            value[4..12].copy_from_slice(&INDEX.to_be_bytes());
            value[20..22].copy_from_slice(&number.to_be_bytes());
            value[22..24].copy_from_slice(&(values.len() as u16).to_be_bytes());
            let crc = crc32c(&[&value[CRC_BYTES..]]);
            value[..CRC_BYTES].copy_from_slice(&crc.to_be_bytes());
        }
        (log_key(INDEX, number), value)
    });
    let store = Fixed(entries.collect());
    let Ok(entries) = read_entries(&store, 0, u64::MAX, usize::MAX) else { return };
    for entry in entries {
        assert_eq!(entry.log_id.index, INDEX, "an entry is read from its place");
        let EntryPayload::Normal(EncodedEntry(batch)) = entry.payload else { continue };
        let entry = metadata::Batch::from_bytes(batch).and_then(|batch| MetadataEntry::try_from(&batch));
        if let Ok(entry) = entry {
            MetadataImage::default().replay(&entry);
        }
    }
}

pub(crate) fn message(kind: u8, bytes: Bytes) {
    // A refusal is as good as a success here.
    match kind % 6 {
        0 => drop(pb::AppendEntriesRequest::decode(bytes).map(append_from_pb)),
        1 => drop(pb::AppendEntriesReply::decode(bytes).map(|m| append_reply_from_pb(&m))),
        2 => drop(pb::VoteRequest::decode(bytes).map(|m| vote_request_from_pb(&m))),
        3 => drop(pb::VoteReply::decode(bytes).map(|m| vote_reply_from_pb(&m))),
        4 => drop(pb::SnapshotMeta::decode(bytes).map(|m| snapshot_meta_from_pb(&m))),
        _ => drop(pb::JoinRequest::decode(bytes).map(|m| member_from_pb(m.member.as_ref()))),
    }
}

pub(crate) fn examples() -> (Vec<u8>, Vec<Vec<u8>>) {
    let records = [
        MetadataRecord::FormCluster { cluster_id: "cluster".into() },
        MetadataRecord::SetFeatureLevel { name: "metadata.version".into(), level: 1 },
    ];
    let image = MetadataImage::from_snapshot(3, records.clone());
    let snapshot = snapshot_file::encode(&SnapshotMeta::default(), &image);
    let batch = metadata::Batch::from(&MetadataEntry { base_version: 0, records: records.to_vec() });
    let log_id = LogId::new(openraft::CommittedLeaderId::new(4, 1), INDEX);
    let entry = Entry { log_id, payload: EntryPayload::Normal(EncodedEntry(batch.to_bytes())) };
    let values = seal_chunks(INDEX, 4, &entry_to_pb(&entry).encode_to_vec()).expect("a short entry");
    (snapshot, values)
}

/// A store of a few values that never change.
struct Fixed(Vec<(Vec<u8>, Vec<u8>)>);

impl MetaStore for Fixed {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone()))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        let within = self.0.iter().filter(|(key, _)| (from..to).contains(&&key[..]));
        for (key, value) in within {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, _from: &[u8], _to: &[u8]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        Ok(self.0.last().cloned())
    }

    fn write(&self, _batch: Vec<Write>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
