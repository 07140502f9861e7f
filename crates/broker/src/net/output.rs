use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use raftsman_protocol::Frame;
use tokio::io::AsyncWrite;

use super::byte_budget::Charge;

/// Pieces per system call.
const MAX_SLICES: usize = 64;

/// Responses on their way out, in order. Pieces are written as they are, several to a system call.
pub(crate) struct Output {
    chunks: VecDeque<Bytes>,
    length: usize,
    charge: Charge,
}

impl Output {
    pub(crate) fn new(charge: Charge) -> Output {
        Output { chunks: VecDeque::new(), length: 0, charge }
    }

    /// Bytes not yet written.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        self.length += frame.len();
        self.chunks.extend(frame.into_chunks().into_iter().filter(|chunk| !chunk.is_empty()));
        self.charge.resize(self.length);
    }

    /// Gives up on everything not yet written.
    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
        self.length = 0;
        self.charge.resize(0);
    }

    /// Writes as much as the socket takes. Ready once some bytes went out; pending if none did.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = self.chunks.len().min(MAX_SLICES);
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
        }
        let written = ready!(Pin::new(socket).poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, mut written: usize) {
        self.length -= written;
        while let Some(front) = self.chunks.front_mut() {
            if written < front.len() {
                front.advance(written);
                break;
            }
            written -= front.len();
            self.chunks.pop_front();
        }
        self.charge.resize(self.length);
    }
}
