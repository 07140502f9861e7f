use std::io::{Error, Result};
use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use raftsman_log::fs::{File, FileSystem, MemoryFs, OpenMode};
use raftsman_metadata::{MetadataEntry, MetadataImage, MetadataRecord};
use raftsman_records::crc32c;
use raftsman_rpc::metadata as pb;

use super::message::{LogEntry, Snapshot};
use super::state::HardState;

const LOG: &str = "/raft/log";
const NEW: &str = "/raft/log.new";

const VOTE: u8 = 1;
const ENTRY: u8 = 2;
const CUT: u8 = 3;
const SNAPSHOT: u8 = 4;

/// A node's hard state on its disk: changes one after the other, each with its checksum. Whatever follows the first
/// torn one was never synced, and never counted on.
#[derive(Debug)]
pub(super) struct RaftDisk {
    fs: MemoryFs,
    file: Arc<dyn File>,
    end: u64,
    dirty: bool,
}

impl RaftDisk {
    /// Opens the file, made if absent, and reads what is in it.
    pub fn open(fs: &MemoryFs) -> Result<(RaftDisk, HardState)> {
        if !fs.exists(Path::new("/raft"))? {
            fs.create_directories(Path::new("/raft"))?;
            fs.sync_directory(Path::new("/"))?;
        }
        let made = !fs.exists(Path::new(LOG))?;
        let file = fs.open(Path::new(LOG), OpenMode::Create)?;
        if made {
            fs.sync_directory(Path::new("/raft"))?;
        }
        let mut bytes = vec![0; file.length()? as usize];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let mut state = HardState::empty();
        let mut end = 0;
        while let Some((body, next)) = frame(&bytes, end) {
            apply(&mut state, body)?;
            end = next;
        }
        file.set_length(end as u64)?;
        file.sync_data()?;
        Ok((RaftDisk { fs: fs.clone(), file, end: end as u64, dirty: false }, state))
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub fn vote(&mut self, term: u64, voted_for: Option<i32>) -> Result<()> {
        let mut body = vec![VOTE];
        body.extend_from_slice(&term.to_le_bytes());
        body.extend_from_slice(&voted_for.unwrap_or(-1).to_le_bytes());
        self.write(&body)
    }

    pub fn append(&mut self, entry: &LogEntry) -> Result<()> {
        self.write(&entry_body(entry))
    }

    pub fn cut_from(&mut self, index: u64) -> Result<()> {
        let mut body = vec![CUT];
        body.extend_from_slice(&index.to_le_bytes());
        self.write(&body)
    }

    pub fn sync(&mut self) -> Result<()> {
        self.file.sync_data()?;
        self.dirty = false;
        Ok(())
    }

    /// Writes everything anew, without the past.
    pub fn rewrite(&mut self, state: &HardState) -> Result<()> {
        let file = self.fs.open(Path::new(NEW), OpenMode::Truncate)?;
        let mut disk = RaftDisk { fs: self.fs.clone(), file, end: 0, dirty: false };
        disk.write(&snapshot_body(&state.snapshot))?;
        disk.vote(state.term, state.voted_for)?;
        for entry in &state.entries {
            disk.append(entry)?;
        }
        disk.sync()?;
        self.fs.rename(Path::new(NEW), Path::new(LOG))?;
        self.fs.sync_directory(Path::new("/raft"))?;
        *self = disk;
        Ok(())
    }

    fn write(&mut self, body: &[u8]) -> Result<()> {
        let mut frame = (body.len() as u32).to_le_bytes().to_vec();
        frame.extend_from_slice(&crc32c(body).to_le_bytes());
        frame.extend_from_slice(body);
        self.file.write_all_at(&frame, self.end)?;
        self.end += frame.len() as u64;
        self.dirty = true;
        Ok(())
    }
}

fn frame(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
    let body = bytes.get(at + 8..at + 8 + length)?;
    (length > 0 && crc32c(body) == crc).then_some((body, at + 8 + length))
}

fn entry_body(entry: &LogEntry) -> Vec<u8> {
    let mut body = vec![ENTRY];
    body.extend_from_slice(&entry.term.to_le_bytes());
    if let Some(entry) = &entry.entry {
        body.push(1);
        body.extend_from_slice(&pb::Batch::from(&**entry).encode_to_vec());
    }
    body
}

fn snapshot_body(snapshot: &Snapshot) -> Vec<u8> {
    let records: Vec<pb::Record> = snapshot.image.to_records().map(|record| pb::Record::from(&record)).collect();
    let batch = pb::Batch { base_version: snapshot.image.version, records };
    let mut body = vec![SNAPSHOT];
    body.extend_from_slice(&snapshot.index.to_le_bytes());
    body.extend_from_slice(&snapshot.term.to_le_bytes());
    body.extend_from_slice(&batch.encode_to_vec());
    body
}

fn apply(state: &mut HardState, body: &[u8]) -> Result<()> {
    let number = |at: usize| {
        let bytes = body.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or_else(|| Error::other("a short frame of a simulated Raft log"))
    };
    match body[0] {
        VOTE => {
            state.term = number(1)?;
            let voted_for = i32::from_le_bytes(body[9..13].try_into().map_err(Error::other)?);
            state.voted_for = (voted_for >= 0).then_some(voted_for);
        }
        ENTRY => {
            let term = number(1)?;
            let entry = match body.get(10..) {
                Some(bytes) => Some(Arc::new(decode_entry(bytes)?)),
                None => None,
            };
            state.entries.push(LogEntry { term, entry });
        }
        CUT => state.cut_from(number(1)?),
        SNAPSHOT => {
            let batch = pb::Batch::decode(&body[17..]).map_err(Error::other)?;
            let records: std::result::Result<Vec<MetadataRecord>, _> =
                batch.records.iter().map(MetadataRecord::try_from).collect();
            let image = MetadataImage::from_snapshot(batch.base_version, records.map_err(Error::other)?);
            state.snapshot = Snapshot { index: number(1)?, term: number(9)?, image };
            state.entries.clear();
        }
        kind => return Err(Error::other(format!("frame {kind} in a simulated Raft log"))),
    }
    Ok(())
}

fn decode_entry(bytes: &[u8]) -> Result<MetadataEntry> {
    let batch = pb::Batch::decode(bytes).map_err(Error::other)?;
    MetadataEntry::try_from(&batch).map_err(Error::other)
}
