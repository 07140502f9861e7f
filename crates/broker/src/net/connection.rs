use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep};

use super::byte_budget::ByteBudget;
use super::dispatcher::{Dispatcher, Peer};
use super::frame_reader::{FrameError, FrameReader};
use super::output::Output;
use super::pipeline::Pipeline;
use crate::api::Close;
use crate::config::NetworkConfig;

/// A connection with this much unwritten begins no further request: a slow reader waits for itself.
const MAX_UNWRITTEN_BYTES: usize = 1 << 20;
/// What a connection that is ending may still take to complete what came before and to write the answers.
const LAST_REQUESTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Rounds in one poll before other connections of the thread get their turn.
const MAX_ROUNDS: usize = 16;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("closed by the client")]
    Client,
    #[error("nothing was sent within {0:?} of connecting")]
    FirstByte(Duration),
    #[error("a request stood still half sent")]
    HalfSent,
    #[error("idle for {0:?}")]
    Idle(Duration),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Close(#[from] Close),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What every connection of a broker shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) dispatcher: Arc<dyn Dispatcher>,
    pub(crate) config: Arc<NetworkConfig>,
    pub(crate) budget: Arc<ByteBudget>,
}

/// One client's connection: reads frames, has them answered, writes the responses in order.
pub(crate) struct Connection<S> {
    socket: S,
    peer: Arc<Peer>,
    shared: Shared,
    reader: FrameReader,
    pipeline: Pipeline,
    output: Output,
    timer: Pin<Box<Sleep>>,
    /// Set while the budget is spent: woken when some of it is freed.
    freed: Option<Pin<Box<OwnedNotified>>>,
    opened: Instant,
    last_progress: Instant,
    heard: bool,
    ending: Option<Ending>,
}

/// A connection that takes no further request, but completes those that came before its end.
struct Ending {
    end: End,
    since: Instant,
    /// Nobody listens any more: answers are not written.
    deaf: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(socket: S, peer: Arc<Peer>, shared: Shared) -> Connection<S> {
        let now = Instant::now();
        Connection {
            socket,
            peer,
            reader: FrameReader::new(&shared.budget, shared.config.socket_request_max_bytes),
            pipeline: Pipeline::new(),
            output: Output::new(shared.budget.charge()),
            timer: Box::pin(tokio::time::sleep_until(now + shared.config.first_byte_timeout)),
            freed: None,
            opened: now,
            last_progress: now,
            heard: false,
            ending: None,
            shared,
        }
    }

    /// Serves the connection until it ends. The socket and the bytes read but not used come back with the reason, for
    /// whoever speaks another protocol on it.
    pub(crate) async fn serve(mut self) -> (End, S, Bytes) {
        let end = std::future::poll_fn(|cx| self.poll(cx)).await;
        (end, self.socket, self.reader.into_rest())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..MAX_ROUNDS {
            match self.round(cx) {
                Err(end) => return Poll::Ready(end),
                Ok(true) => self.last_progress = Instant::now(),
                Ok(false) => return self.poll_timer(cx),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does everything that can be done now; `false` if that was nothing, and everything that could change it will wake us.
    fn round(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut progress = self.take_frames();
        progress |= self.pipeline.poll(cx);
        while let Some(answered) = self.pipeline.pop_complete() {
            progress = true;
            match answered {
                Ok(Some(frame)) if !self.is_deaf() => self.output.push(frame),
                Ok(_) => {}
                Err(close) => {
                    self.pipeline.clear();
                    self.end(close.into());
                }
            }
        }
        progress |= self.write(cx);
        progress |= self.read(cx);
        if self.pipeline.is_empty()
            && self.output.len() == 0
            && let Some(ending) = self.ending.take()
        {
            return Err(ending.end);
        }
        Ok(progress)
    }

    fn is_deaf(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.deaf)
    }

    /// Takes no further request; the connection ends when what came before is answered.
    fn end(&mut self, end: End) {
        self.ending.get_or_insert_with(|| Ending { end, since: Instant::now(), deaf: false });
    }

    /// Nobody listens any more. What was received is still carried out, an acks=0 produce for one.
    fn leave(&mut self, end: End) {
        self.end(end);
        if let Some(ending) = &mut self.ending {
            ending.deaf = true;
        }
        self.output.clear();
    }

    fn has_room(&self) -> bool {
        self.ending.is_none()
            && self.pipeline.len() < self.shared.config.max_in_flight_requests
            && self.output.len() < MAX_UNWRITTEN_BYTES
    }

    fn take_frames(&mut self) -> bool {
        let mut taken = false;
        while self.has_room() {
            let (frame, charge) = match self.reader.next_frame() {
                Ok(Some(received)) => received,
                Ok(None) => break,
                Err(error) => {
                    self.end(error.into());
                    return true;
                }
            };
            taken = true;
            match self.shared.dispatcher.dispatch(&self.peer, frame) {
                Ok(request) => self.pipeline.push(request, charge),
                Err(close) => self.end(close.into()),
            }
        }
        taken
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        if self.output.len() == 0 {
            return false;
        }
        match self.output.poll_write(&mut self.socket, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(_)) => true,
            Poll::Ready(Err(error)) => {
                self.leave(error.into());
                true
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.has_room() || !self.reserve(cx) {
            return false;
        }
        let (buffer, spare) = self.reader.spare();
        let mut limited = buffer.limit(spare);
        match pin!(self.socket.read_buf(&mut limited)).poll(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(n)) if n > 0 => {
                self.heard = true;
                self.reader.received();
                true
            }
            Poll::Ready(Ok(_)) => {
                // The client may have closed only its own side and wait for the answers.
                self.end(End::Client);
                true
            }
            Poll::Ready(Err(error)) => {
                self.leave(error.into());
                true
            }
        }
    }

    /// Makes room to read; `false` if the byte budget is spent, and then we are woken when that changes.
    fn reserve(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            if self.reader.reserve() {
                self.freed = None;
                return true;
            }
            let budget = &self.shared.budget;
            let freed = self.freed.get_or_insert_with(|| Box::pin(budget.freed().clone().notified_owned()));
            // The first poll registers; what was freed between the failed attempt and now shows in a second attempt.
            if freed.as_mut().poll(cx).is_ready() {
                self.freed = None;
                continue;
            }
            return self.reader.reserve();
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (deadline, end) = self.deadline();
            if Instant::now() >= deadline {
                return Poll::Ready(end);
            }
            // Later deadlines need no new timer: it is set again when it fires.
            if deadline < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// When the connection ends unless something happens, and why.
    fn deadline(&self) -> (Instant, End) {
        let config = &self.shared.config;
        if let Some(ending) = &self.ending {
            return (ending.since + LAST_REQUESTS_TIMEOUT, End::Client);
        }
        if !self.heard {
            return (self.opened + config.first_byte_timeout, End::FirstByte(config.first_byte_timeout));
        }
        // While a request is being carried out the client rightly waits.
        let waiting = !self.pipeline.is_empty() && self.output.len() == 0;
        let idle_since = if waiting { Instant::now() } else { self.last_progress };
        let idle = idle_since + config.connections_max_idle;
        match self.reader.deadline(config.frame_timeout) {
            // A frame that nobody reads because of our own limits is not the sender's fault.
            Some(half_sent) if half_sent < idle && self.has_room() && self.freed.is_none() => {
                (half_sent, End::HalfSent)
            }
            _ => (idle, End::Idle(config.connections_max_idle)),
        }
    }
}
