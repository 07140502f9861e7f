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
use super::limits::ConnectionLimits;
use super::output::Output;
use super::pipeline::Pipeline;
use crate::api::Close;
use crate::config::NetworkConfig;

/// A connection with this much unwritten begins no further request: a slow reader waits for itself.
const MAX_UNWRITTEN_BYTES: usize = 1 << 20;
/// What a connection that is ending may still take to complete what came before and to write the answers.
const LAST_REQUESTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the byte budget is spent, who holds some of it and does not take his answers has this long.
const STALLED_WHEN_SPENT: Duration = Duration::from_secs(10);
/// How often who holds some of the budget looks whether it is spent.
const SPENT_CHECK: Duration = Duration::from_secs(5);
/// What a connection that only a broker may have is given to show that it is one.
const BROKERS_FIRST_BYTES: Duration = Duration::from_secs(5);
/// Rounds in one poll before other connections of the thread get their turn.
const MAX_ROUNDS: usize = 16;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("closed by the client")]
    Client,
    #[error("a first request was not complete after {0:?}")]
    FirstRequest(Duration),
    #[error("nothing came within {0:?} of connecting, and more than half of max.connections are taken")]
    Silent(Duration),
    #[error("max.connections or max.connections.per.ip is reached, and what room is left is for brokers alone")]
    Full,
    #[error("the byte budget is spent, and answers were not taken for {STALLED_WHEN_SPENT:?}")]
    Stalled,
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
    pub(crate) limits: Arc<ConnectionLimits>,
}

/// Under which conditions a connection was let in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Admission {
    /// Its listener speaks HTTP/2, too.
    pub(crate) takes_http2: bool,
    /// It has room beyond the limits, which only brokers may have.
    pub(crate) brokers_only: bool,
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
    admission: Admission,
    opened: Instant,
    last_progress: Instant,
    /// Since when we do not read for reasons of our own.
    paused: Option<Instant>,
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
    pub(crate) fn new(socket: S, peer: Arc<Peer>, shared: Shared, admission: Admission) -> Connection<S> {
        let now = Instant::now();
        let max_frame = shared.config.socket_request_max_bytes;
        Connection {
            socket,
            peer,
            reader: FrameReader::new(&shared.budget, max_frame, admission.takes_http2),
            pipeline: Pipeline::new(),
            output: Output::new(shared.budget.charge()),
            timer: Box::pin(tokio::time::sleep_until(now + shared.config.first_request_timeout)),
            freed: None,
            admission,
            opened: now,
            last_progress: now,
            paused: None,
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
        if self.admission.brokers_only && self.reader.speaks_kafka() && self.ending.is_none() {
            self.end(End::Full);
            return true;
        }
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
            self.paused.get_or_insert_with(Instant::now);
            return false;
        }
        if let Some(since) = self.paused.take() {
            let waited = since.elapsed();
            self.reader.forgive(waited);
            self.opened += waited;
        }
        let (buffer, spare) = self.reader.spare();
        let mut limited = buffer.limit(spare);
        match pin!(self.socket.read_buf(&mut limited)).poll(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(n)) if n > 0 => {
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
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(end);
            }
            let may_be_pressed = self.reader.holds_budget() || self.output.len() > 0;
            let wake = if may_be_pressed {
                deadline.min(now + SPENT_CHECK)
            } else if self.reader.is_silent() {
                deadline.min(now + self.shared.config.first_request_timeout)
            } else {
                deadline
            };
            // Later deadlines need no new timer: it is set again when it fires.
            if wake < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(wake);
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
        // While a request is being carried out the client rightly waits.
        let waiting = !self.pipeline.is_empty() && self.output.len() == 0;
        let idle_since = if waiting { Instant::now() } else { self.last_progress };
        let mut earliest = (idle_since + config.connections_max_idle, End::Idle(config.connections_max_idle));
        let mut at_latest = |deadline: Instant, end: End| {
            if deadline < earliest.0 {
                earliest = (deadline, end);
            }
        };
        let spent = self.shared.budget.is_spent();
        if spent && self.output.len() > 0 {
            at_latest(self.last_progress + STALLED_WHEN_SPENT, End::Stalled);
        }
        // What nobody reads because of our own limits is not the sender's fault.
        if self.paused.is_some() {
            return earliest;
        }
        if self.reader.is_first() {
            let allowed = config.first_request_timeout;
            match self.reader.first_began() {
                _ if self.admission.brokers_only => {
                    at_latest(self.opened + BROKERS_FIRST_BYTES, End::FirstRequest(BROKERS_FIRST_BYTES));
                }
                Some(began) => at_latest(began + allowed + self.reader.earned_by_first(), End::FirstRequest(allowed)),
                // Clients connect to every broker in time and may have nothing to ask for a long while.
                None if self.shared.limits.is_crowded() => at_latest(self.opened + allowed, End::Silent(allowed)),
                None => {}
            }
        }
        if let Some(half_sent) = self.reader.deadline(config.frame_timeout, spent) {
            at_latest(half_sent, End::HalfSent);
        }
        earliest
    }
}
