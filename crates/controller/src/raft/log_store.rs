use std::fmt::Debug;
use std::io;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use openraft::storage::{LogFlushed, RaftLogReader, RaftLogStorage};
use openraft::{LogState, OptionalSend};
use prost::Message;
use raftsman_rpc::raft as pb;

use super::convert::{entry_from_pb, entry_to_pb, log_id_from_pb, log_id_to_pb, vote_from_pb, vote_to_pb};
use super::store::{GroupCommit, MetaStore, Write, seal, seal_chunks, unseal, unseal_chunk};
use super::types::{Entry, LogId, StorageError, StorageIOError, TypeConfig, Vote};

const VOTE: &[u8] = b"mvote";
const COMMITTED: &[u8] = b"mcommitted";
const PURGED: &[u8] = b"mpurged";
/// What one AppendEntries carries at most: its deadline is the heartbeat interval.
const MAX_READ_BYTES: usize = 256 << 10;

/// Raft's log and vote in a [`MetaStore`].
///
/// All writes go to the store in the order in which Raft makes them; a flush covers everything before it, so a vote and a
/// log entry are never on the disk in the other order.
#[derive(Clone)]
pub(crate) struct LogStore {
    store: Arc<dyn MetaStore>,
    commit: Arc<GroupCommit>,
}

pub(super) fn log_key(index: u64, chunk: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(11);
    key.push(b'l');
    key.extend_from_slice(&index.to_be_bytes());
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

/// The exclusive end of the keys of indexes up to and including this one.
fn log_key_after(index: u64) -> Vec<u8> {
    index.checked_add(1).map_or_else(|| vec![b'l' + 1], |next| log_key(next, 0))
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the metadata log is damaged: {what}"))
}

fn parse_log_key(key: &[u8]) -> io::Result<(u64, u16)> {
    let wrong = || damaged(format_args!("a key has {} bytes", key.len()));
    let (index, chunk) = key.strip_prefix(b"l").and_then(|rest| rest.split_first_chunk::<8>()).ok_or_else(wrong)?;
    let chunk = chunk.try_into().map_err(|_| wrong())?;
    Ok((u64::from_be_bytes(*index), u16::from_be_bytes(chunk)))
}

/// An entry whose chunks are still being read.
struct Partial {
    index: u64,
    term: u64,
    count: u16,
    next: u16,
    bytes: Vec<u8>,
}

impl Partial {
    fn take(&mut self, chunk: u16, value: &[u8]) -> io::Result<()> {
        let read = unseal_chunk(self.index, chunk, value)?;
        if chunk != self.next || (chunk > 0 && (read.term, read.count) != (self.term, self.count)) {
            return Err(damaged(format_args!("the parts of entry {} do not fit together", self.index)));
        }
        (self.term, self.count) = (read.term, read.count);
        self.next += 1;
        self.bytes.extend_from_slice(read.piece);
        Ok(())
    }

    fn finish(self) -> io::Result<Entry> {
        let entry = pb::Entry::decode(self.bytes.as_slice()).map_err(damaged)?;
        let entry = entry_from_pb(entry).map_err(damaged)?;
        if (entry.log_id.index, entry.log_id.leader_id.term) != (self.index, self.term) {
            return Err(damaged(format_args!("entry {} says it is {}", self.index, entry.log_id)));
        }
        Ok(entry)
    }
}

/// The entries of `from..to`, which stops after the first that makes them `max_bytes`.
pub(super) fn read_entries(store: &dyn MetaStore, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut total_bytes = 0;
    let mut partial: Option<Partial> = None;
    let mut failure = None;
    let mut take = |key: &[u8], value: &[u8]| -> io::Result<ControlFlow<()>> {
        let (index, chunk) = parse_log_key(key)?;
        if chunk == 0 {
            if let Some(unfinished) = &partial {
                return Err(damaged(format_args!("entry {} misses parts", unfinished.index)));
            }
            partial = Some(Partial { index, term: 0, count: 0, next: 0, bytes: Vec::new() });
        }
        let current = partial
            .as_mut()
            .filter(|p| p.index == index)
            .ok_or_else(|| damaged(format_args!("entry {index} misses its first part")))?;
        current.take(chunk, value)?;
        if current.next < current.count {
            return Ok(ControlFlow::Continue(()));
        }
        let Some(complete) = partial.take() else { return Ok(ControlFlow::Continue(())) };
        total_bytes += complete.bytes.len();
        if let Some(previous) = entries.last().map(|entry| entry.log_id.index).filter(|p| p + 1 != index) {
            return Err(damaged(format_args!("entry {} is missing", previous + 1)));
        }
        entries.push(complete.finish()?);
        Ok(if total_bytes >= max_bytes { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    store.scan(&log_key(from, 0), &log_key(to, 0), &mut |key, value| match take(key, value) {
        Ok(flow) => flow,
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match (failure, partial) {
        (Some(error), _) => Err(error),
        (None, Some(unfinished)) => Err(damaged(format_args!("entry {} misses parts", unfinished.index))),
        (None, None) => Ok(entries),
    }
}

impl LogStore {
    /// A log in this store.
    pub(super) fn new(store: Arc<dyn MetaStore>, commit: Arc<GroupCommit>) -> LogStore {
        LogStore { store, commit }
    }

    fn read(&self, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        read_entries(&*self.store, from, to, max_bytes)
    }

    fn remove_keys(&self, from: &[u8], to: &[u8]) -> io::Result<Vec<Write>> {
        let mut removals = Vec::new();
        self.store.scan(from, to, &mut |key, _| {
            removals.push(Write::Remove(key.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(removals)
    }

    fn read_log_id(&self, key: &[u8]) -> io::Result<Option<LogId>> {
        let Some(sealed) = self.store.get(key)? else { return Ok(None) };
        let log_id = pb::LogId::decode(unseal(key, &sealed)?).map_err(damaged)?;
        Ok(Some(log_id_from_pb(&log_id)))
    }

    fn put(key: &[u8], message: &impl Message) -> Write {
        Write::Put(key.to_vec(), seal(key, &message.encode_to_vec()))
    }

    fn write_entries(&self, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
        let mut batch = Vec::new();
        for entry in entries {
            let LogId { leader_id, index } = entry.log_id;
            let bytes = entry_to_pb(&entry).encode_to_vec();
            for (number, value) in seal_chunks(index, leader_id.term, &bytes)?.into_iter().enumerate() {
                batch.push(Write::Put(log_key(index, number as u16), value));
            }
        }
        self.store.write(batch)
    }

    fn state(&self) -> io::Result<LogState<TypeConfig>> {
        let last_purged_log_id = self.read_log_id(PURGED)?;
        let last = match self.store.last(b"l", &[b'l' + 1])? {
            None => None,
            Some((key, _)) => {
                let (index, _) = parse_log_key(&key)?;
                self.read(index, index + 1, usize::MAX)?.pop().map(|entry| entry.log_id)
            }
        };
        Ok(LogState { last_purged_log_id, last_log_id: last.or(last_purged_log_id) })
    }

    /// The newest entry's id, or the newest purged one's.
    pub fn last_log_id(&self) -> io::Result<Option<LogId>> {
        Ok(self.state()?.last_log_id)
    }

    /// For how long the disk has been at work on a flush; zero if it is not.
    pub fn flushes_for(&self) -> Duration {
        self.commit.flushes_for()
    }

    /// Whether neither a vote nor an entry was ever stored.
    pub fn is_pristine(&self) -> io::Result<bool> {
        let log = self.state()?;
        Ok(log.last_log_id.is_none() && log.last_purged_log_id.is_none() && self.store.get(VOTE)?.is_none())
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        if from >= to {
            return Ok(Vec::new());
        }
        Ok(self.read(from, to, usize::MAX).map_err(|e| StorageIOError::read_logs(&e))?)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        Ok(self.read(start, end, MAX_READ_BYTES).map_err(|e| StorageIOError::read_logs(&e))?)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        Ok(self.state().map_err(|e| StorageIOError::read_logs(&e))?)
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.store.write(vec![Self::put(VOTE, &vote_to_pb(vote))]).map_err(|e| StorageIOError::write_vote(&e))?;
        Ok(self.commit.flushed().await.map_err(|e| StorageIOError::write_vote(&e))?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let read = || -> io::Result<Option<Vote>> {
            let Some(sealed) = self.store.get(VOTE)? else { return Ok(None) };
            let vote = pb::BallotVote::decode(unseal(VOTE, &sealed)?).map_err(damaged)?;
            Ok(Some(vote_from_pb(&vote)))
        };
        Ok(read().map_err(|e| StorageIOError::read_vote(&e))?)
    }

    /// Not flushed: after a power cut an older value only means that Raft learns again what is committed.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let write = match &committed {
            Some(log_id) => Self::put(COMMITTED, &log_id_to_pb(log_id)),
            None => Write::Remove(COMMITTED.to_vec()),
        };
        Ok(self.store.write(vec![write]).map_err(|e| StorageIOError::write(&e))?)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.read_log_id(COMMITTED).map_err(|e| StorageIOError::read(&e))?)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.write_entries(entries.into_iter()).map_err(|e| StorageIOError::write_logs(&e))?;
        self.commit.flush(move |result| callback.log_io_completed(result));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let removals =
            self.remove_keys(&log_key(log_id.index, 0), &[b'l' + 1]).map_err(|e| StorageIOError::write_logs(&e))?;
        self.store.write(removals).map_err(|e| StorageIOError::write_logs(&e))?;
        Ok(self.commit.flushed().await.map_err(|e| StorageIOError::write_logs(&e))?)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let mut batch =
            self.remove_keys(b"l", &log_key_after(log_id.index)).map_err(|e| StorageIOError::write_logs(&e))?;
        batch.push(Self::put(PURGED, &log_id_to_pb(&log_id)));
        self.store.write(batch).map_err(|e| StorageIOError::write_logs(&e))?;
        Ok(self.commit.flushed().await.map_err(|e| StorageIOError::write_logs(&e))?)
    }
}
