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
/// What a connection whose client is gone may still take to complete what it had sent.
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
    gone: Option<Instant>,
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
            gone: None,
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
        let mut progress = self.take_frames()?;
        progress |= self.pipeline.poll(cx)?;
        while let Some(response) = self.pipeline.pop_complete() {
            progress = true;
            if let (Some(frame), None) = (response, self.gone) {
                self.output.push(frame);
            }
        }
        progress |= self.write(cx)?;
        progress |= self.read(cx)?;
        if self.gone.is_some() && self.pipeline.is_empty() && !progress {
            return Err(End::Client);
        }
        Ok(progress)
    }

    fn has_room(&self) -> bool {
        self.pipeline.len() < self.shared.config.max_in_flight_requests && self.output.len() < MAX_UNWRITTEN_BYTES
    }

    fn take_frames(&mut self) -> Result<bool, End> {
        let mut taken = false;
        while self.has_room() {
            let Some((frame, charge)) = self.reader.next_frame()? else { break };
            let request = self.shared.dispatcher.dispatch(&self.peer, frame)?;
            self.pipeline.push(request, charge);
            taken = true;
        }
        Ok(taken)
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.output.len() == 0 {
            return Ok(false);
        }
        match self.output.poll_write(&mut self.socket, cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(_)) => Ok(true),
            // Nobody reads any more; what was received is still carried out, an acks=0 produce for one.
            Poll::Ready(Err(_)) => {
                self.leave();
                Ok(true)
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.gone.is_some() || !self.has_room() || !self.reserve(cx) {
            return Ok(false);
        }
        let (buffer, spare) = self.reader.spare();
        let mut limited = buffer.limit(spare);
        match pin!(self.socket.read_buf(&mut limited)).poll(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(n)) if n > 0 => {
                self.heard = true;
                self.reader.received();
                Ok(true)
            }
            Poll::Ready(Ok(_)) => {
                self.leave();
                Ok(true)
            }
            Poll::Ready(Err(error)) => {
                if self.pipeline.is_empty() {
                    return Err(End::Io(error));
                }
                self.leave();
                Ok(true)
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

    /// The client is gone: nothing is read or written any more, what was received is completed.
    fn leave(&mut self) {
        self.gone.get_or_insert_with(Instant::now);
        self.output.clear();
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
        if let Some(since) = self.gone {
            return (since + LAST_REQUESTS_TIMEOUT, End::Client);
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
