//! Batches that are in the log and not yet in its file: whoever flushes writes them, several at once, on a thread that may
//! block. They are no less durable than written ones, for only a flush makes either so.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raftsman_types::Offset;

use crate::fs::{File, write_pieces_or_cut};
use crate::tail_cache::CacheBudget;

/// The end of a segment that has yet to be written.
#[derive(Debug)]
pub(crate) struct PendingWrites {
    /// Where in the file the first piece belongs.
    start: u64,
    pieces: VecDeque<Piece>,
    bytes: u64,
    gate: Arc<WriteGate>,
    budget: Option<Arc<CacheBudget>>,
}

#[derive(Debug)]
struct Piece {
    base_offset: Offset,
    bytes: Bytes,
}

/// Who writes behind `start` holds the lock: a flush that is under way, or the log itself, whose word is the last.
#[derive(Debug)]
struct WriteGate {
    state: Mutex<GateState>,
}

#[derive(Debug)]
struct GateState {
    /// Up to where the file is known to be written.
    written: u64,
    /// From here on only the log itself writes.
    closed: bool,
}

impl WriteGate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        // Both fields are set only after what they tell of was done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run of pieces to be written by a flush.
#[derive(Debug)]
pub(crate) struct DueWrites {
    start: u64,
    pieces: Vec<Bytes>,
    gate: Arc<WriteGate>,
}

impl DueWrites {
    /// Writes what is not written yet. Does nothing once the log has written or dropped it by itself.
    pub(crate) fn write(&self, file: &dyn File) -> io::Result<()> {
        let mut gate = self.gate.lock();
        if gate.closed {
            return Ok(());
        }
        write_from(&self.pieces, self.start, &mut gate, file)
    }
}

fn write_from(pieces: &[Bytes], start: u64, gate: &mut GateState, file: &dyn File) -> io::Result<()> {
    let end = start + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
    if end > gate.written {
        let rest = cut_front(pieces, gate.written.saturating_sub(start));
        write_pieces_or_cut(file, &rest, gate.written)?;
        gate.written = end;
    }
    Ok(())
}

/// The pieces but for their first `bytes`.
fn cut_front(pieces: &[Bytes], mut bytes: u64) -> Vec<Bytes> {
    let mut rest = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let skipped = bytes.min(piece.len() as u64);
        bytes -= skipped;
        if skipped < piece.len() as u64 {
            rest.push(piece.slice(skipped as usize..));
        }
    }
    rest
}

impl PendingWrites {
    /// Nothing, behind a file of this length.
    pub(crate) fn new(start: u64, budget: Option<Arc<CacheBudget>>) -> PendingWrites {
        let state = Mutex::new(GateState { written: start, closed: false });
        PendingWrites { start, pieces: VecDeque::new(), bytes: 0, gate: Arc::new(WriteGate { state }), budget }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first offset that is not written.
    pub(crate) fn first_offset(&self) -> Option<Offset> {
        self.pieces.front().map(|piece| piece.base_offset)
    }

    /// Takes one more piece; false if the memory for it is not granted.
    pub(crate) fn push(&mut self, base_offset: Offset, bytes: &Bytes) -> bool {
        let granted = self.budget.as_ref().is_none_or(|budget| budget.try_charge(bytes.len()));
        if granted {
            self.bytes += bytes.len() as u64;
            self.pieces.push_back(Piece { base_offset, bytes: bytes.clone() });
        }
        granted
    }

    /// What a flush that begins now has to write.
    pub(crate) fn due(&self) -> DueWrites {
        DueWrites { start: self.start, pieces: self.all(), gate: Arc::clone(&self.gate) }
    }

    /// A flush has written everything below this position.
    pub(crate) fn written(&mut self, upto: u64) {
        while let Some(first) = self.pieces.front()
            && self.start + first.bytes.len() as u64 <= upto
        {
            let length = first.bytes.len();
            self.start += length as u64;
            self.bytes -= length as u64;
            self.release(length);
            self.pieces.pop_front();
        }
    }

    /// Writes what lies below `upto`, cuts the file there if `cut` asks for it, and sees to it that no flush that is under
    /// way writes any more. The rest is forgotten when this value is dropped, which it must be after success.
    pub(crate) fn settle(&self, file: &dyn File, upto: u64, cut: bool) -> io::Result<()> {
        let mut gate = self.gate.lock();
        let mut pieces = self.all();
        let mut room = upto.saturating_sub(self.start);
        for piece in &mut pieces {
            let kept = room.min(piece.len() as u64);
            room -= kept;
            piece.truncate(kept as usize);
        }
        write_from(&pieces, self.start, &mut gate, file)?;
        if cut {
            file.set_length(upto)?;
        }
        gate.closed = true;
        Ok(())
    }

    /// The file as it will be.
    pub(crate) fn view(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(PendingView { file, start: self.start, pieces: self.all() })
    }

    fn all(&self) -> Vec<Bytes> {
        self.pieces.iter().map(|piece| piece.bytes.clone()).collect()
    }

    fn release(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.release(bytes);
        }
    }
}

impl Drop for PendingWrites {
    fn drop(&mut self) {
        self.release(self.bytes as usize);
    }
}

/// A file together with what is to be written behind it; for reading only.
#[derive(Debug)]
struct PendingView {
    file: Arc<dyn File>,
    start: u64,
    pieces: Vec<Bytes>,
}

impl File for PendingView {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(before) = self.start.checked_sub(offset).filter(|before| *before > 0) {
            // A flush under way may have written more, or a part of it.
            let length = buffer.len().min(before as usize);
            return self.file.read_at(&mut buffer[..length], offset);
        }
        let mut from = offset - self.start;
        for piece in &self.pieces {
            let length = piece.len() as u64;
            if from < length {
                let rest = &piece[from as usize..];
                let read = rest.len().min(buffer.len());
                buffer[..read].copy_from_slice(&rest[..read]);
                return Ok(read);
            }
            from -= length;
        }
        Ok(0)
    }

    fn write_all_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn set_length(&self, _length: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn preallocate(&self, _length: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.start + self.pieces.iter().map(|piece| piece.len() as u64).sum::<u64>())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}
