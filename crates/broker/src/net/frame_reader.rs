use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::byte_budget::{ByteBudget, Charge};

/// What an empty connection reads into.
const SMALLEST_READ: usize = 1 << 10;
/// What a busy connection reads into before it knows a frame's length.
const LARGEST_FIRST_READ: usize = 16 << 10;
/// What is set aside at once for a frame whose sender has sent as long ones before.
const LARGEST_TRUSTED: usize = 1 << 20;
/// Buffers up to this size belong to the connection and are not charged.
const FREE_BYTES: usize = LARGEST_FIRST_READ;
/// A frame gets its time anew with each of these.
const PROGRESS_BYTES: usize = 512 << 10;
/// What a sender has to keep up where the budget is spent, so that all others wait for its bytes.
const BYTES_PER_SECOND_WHEN_SPENT: usize = 1 << 20;
/// What a first request may take its time at.
const SLOWEST_FIRST_BYTES_PER_SECOND: usize = 64 << 10;
/// HTTP/2's preface, `PRI * HTTP/2.0`, two empty lines around `SM`.
const HTTP2_PREFACE_BYTES: usize = 24;

/// Why the bytes of a connection are no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first bytes are HTTP/2's preface.
    #[error("HTTP/2 spoken to a listener of Kafka's protocol; only the inter-broker listener takes it")]
    Http2Preface,
    /// Longer than `socket.request.max.bytes`.
    #[error(
        "a request of {length} bytes is longer than socket.request.max.bytes ({limit}); \
         is this a client of Kafka's protocol, without TLS?"
    )]
    TooLong {
        /// The length announced.
        length: i32,
        /// The limit.
        limit: usize,
    },
    /// Too short for a request header.
    #[error("a request of {0} bytes is too short to be one")]
    TooShort(i32),
}

/// Cuts a connection's bytes into frames. Its buffer grows with the bytes received, never by an announced length.
pub(crate) struct FrameReader {
    buffer: BytesMut,
    charge: Charge,
    max_frame: usize,
    /// The longest frame received in full lately: what this sender has shown to be true.
    proven: usize,
    pace: Option<Pace>,
    /// No frame was complete yet.
    first: bool,
    takes_http2: bool,
}

/// How a frame under way gets on.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began: Instant,
    /// When so many bytes of it were there.
    at: Instant,
    bytes: usize,
}

impl FrameReader {
    /// With `takes_http2` HTTP/2's preface is waited for to its end, so that who begins it and stops is a client whose
    /// first request does not come.
    pub(crate) fn new(budget: &std::sync::Arc<ByteBudget>, max_frame: usize, takes_http2: bool) -> FrameReader {
        let charge = budget.charge();
        FrameReader { buffer: BytesMut::new(), charge, max_frame, proven: 0, pace: None, first: true, takes_http2 }
    }

    /// The next complete frame without its length, and the charge for it; `None` if more bytes are needed.
    pub(crate) fn next_frame(&mut self) -> Result<Option<(Bytes, Charge)>, FrameError> {
        let Some(length) = self.announced()? else { return Ok(None) };
        if self.buffer.len() < length + 4 {
            return Ok(None);
        }
        // Where nothing follows the frame it owns its memory alone, and the log can write offsets into it without a copy.
        let frame = match self.buffer.len() == length + 4 {
            true => std::mem::take(&mut self.buffer),
            false => self.buffer.split_to(length + 4),
        };
        let frame = frame.freeze().slice(4..);
        let charge = self.charge.split(length);
        self.recharge();
        self.proven = length.max(self.proven - self.proven / 8);
        self.first = false;
        let (now, bytes) = (Instant::now(), self.buffer.len());
        self.pace = (bytes > 0).then_some(Pace { began: now, at: now, bytes });
        Ok(Some((frame, charge)))
    }

    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        if self.first && prefix == b"PRI " {
            let is_partial = self.takes_http2 && self.buffer.len() < HTTP2_PREFACE_BYTES;
            return if is_partial { Ok(None) } else { Err(FrameError::Http2Preface) };
        }
        let length = i32::from_be_bytes(*prefix);
        match usize::try_from(length) {
            Ok(whole) if whole > self.max_frame => Err(FrameError::TooLong { length, limit: self.max_frame }),
            Ok(whole) if whole >= 8 => Ok(Some(whole)),
            Ok(_) => Err(FrameError::TooShort(length)),
            Err(_) => Err(FrameError::TooLong { length, limit: self.max_frame }),
        }
    }

    /// Makes room to read into; `false` if the budget has none at the moment.
    pub(crate) fn reserve(&mut self) -> bool {
        let received = self.buffer.len();
        let whole = self.announced().ok().flatten().map(|length| length + 4);
        let target = match whole {
            Some(whole) if received < whole => {
                whole.min((received * 2).max(self.proven.min(LARGEST_TRUSTED)).max(SMALLEST_READ))
            }
            _ => received + self.proven.clamp(SMALLEST_READ, LARGEST_FIRST_READ),
        };
        if target > self.buffer.capacity() {
            if target > FREE_BYTES && !self.charge.try_resize(target) {
                return false;
            }
            self.buffer.reserve(target - received);
            self.recharge();
        }
        true
    }

    /// Where to read into, and how much fits. Call [`FrameReader::reserve`] before.
    pub(crate) fn spare(&mut self) -> (&mut BytesMut, usize) {
        let spare = self.buffer.capacity() - self.buffer.len();
        (&mut self.buffer, spare)
    }

    /// Notes that bytes arrived.
    pub(crate) fn received(&mut self) {
        let (now, bytes) = (Instant::now(), self.buffer.len());
        let pace = self.pace.get_or_insert(Pace { began: now, at: now, bytes });
        if bytes - pace.bytes >= PROGRESS_BYTES {
            (pace.at, pace.bytes) = (now, bytes);
        }
    }

    /// When a frame that has begun must be complete or have got on, so that nobody holds memory by dribbling. Where the
    /// budget is `spent`, which makes others wait, who holds some of it has a third of the time and must be fast.
    pub(crate) fn deadline(&self, allowance: Duration, spent: bool) -> Option<Instant> {
        let pace = self.pace?;
        if spent && self.holds_budget() {
            return Some(pace.began + allowance / 3 + self.time_for(BYTES_PER_SECOND_WHEN_SPENT));
        }
        Some(pace.at + allowance)
    }

    /// The time that what was received of a first request earns it.
    pub(crate) fn earned_by_first(&self) -> Duration {
        self.time_for(SLOWEST_FIRST_BYTES_PER_SECOND)
    }

    fn time_for(&self, bytes_per_second: usize) -> Duration {
        Duration::from_secs((self.buffer.len() / bytes_per_second) as u64)
    }

    /// Whether no frame was complete yet.
    pub(crate) fn is_first(&self) -> bool {
        self.first
    }

    /// When the first bytes of the first request came, if they did.
    pub(crate) fn first_began(&self) -> Option<Instant> {
        self.pace.filter(|_| self.first).map(|pace| pace.began)
    }

    /// Whether nothing was ever received.
    pub(crate) fn is_silent(&self) -> bool {
        self.first && self.pace.is_none()
    }

    /// Whether what was received is no beginning of HTTP/2.
    pub(crate) fn speaks_kafka(&self) -> bool {
        self.buffer.first_chunk::<4>().is_some_and(|prefix| !self.first || prefix != b"PRI ")
    }

    /// Whether the buffer is charged to the budget.
    pub(crate) fn holds_budget(&self) -> bool {
        self.buffer.capacity() > FREE_BYTES
    }

    /// Adds the time for which nobody read to the sender's.
    pub(crate) fn forgive(&mut self, waited: Duration) {
        if let Some(pace) = &mut self.pace {
            pace.began += waited;
            pace.at += waited;
        }
    }

    /// What was received and not cut into frames.
    pub(crate) fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }

    fn recharge(&mut self) {
        let capacity = self.buffer.capacity();
        self.charge.resize(if capacity > FREE_BYTES { capacity } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(reader: &mut FrameReader, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            assert!(reader.reserve());
            let (buffer, spare) = reader.spare();
            let n = spare.min(bytes.len());
            buffer.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            reader.received();
        }
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [&(body.len() as i32).to_be_bytes()[..], body].concat()
    }

    #[test]
    fn cuts_frames_wherever_reads_end() {
        let budget = ByteBudget::new(1 << 20);
        let bodies: Vec<Vec<u8>> = (1..30usize).map(|n| vec![n as u8; n * 97]).collect();
        let wire: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        for step in [1, 2, 3, 5, 1000, wire.len()] {
            let mut reader = FrameReader::new(&budget, 1 << 20, false);
            let mut frames = Vec::new();
            for piece in wire.chunks(step) {
                feed(&mut reader, piece);
                while let Some((frame, _charge)) = reader.next_frame().unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            assert_eq!(frames, bodies, "step {step}");
            assert!(reader.buffer.is_empty());
        }
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let budget = ByteBudget::new(64 << 20);
        let mut reader = FrameReader::new(&budget, 100 << 20, false);
        feed(&mut reader, &(90i32 << 20).to_be_bytes());
        feed(&mut reader, &[7; 1000]);
        assert!(reader.next_frame().unwrap().is_none());
        assert!(reader.reserve());
        assert!(reader.buffer.capacity() <= 8 << 10, "{}", reader.buffer.capacity());
        feed(&mut reader, &vec![7; 1 << 20]);
        assert!(reader.buffer.capacity() <= 4 << 20, "{}", reader.buffer.capacity());
        assert!(budget.used() >= reader.buffer.len());
    }

    #[test]
    fn a_frame_that_nothing_follows_owns_its_memory_alone() {
        let budget = ByteBudget::new(1 << 20);
        let mut reader = FrameReader::new(&budget, 1 << 20, false);
        for _ in 0..3 {
            feed(&mut reader, &framed(&vec![7; 200 << 10]));
            let (frame, _charge) = reader.next_frame().unwrap().expect("a whole frame was fed");
            assert!(frame.try_into_mut().is_ok());
        }
    }

    #[test]
    fn hostile_lengths_are_refused_by_name() {
        let budget = ByteBudget::new(1 << 20);
        let refusal = |prefix: &[u8]| {
            let mut reader = FrameReader::new(&budget, 1000, false);
            feed(&mut reader, prefix);
            reader.next_frame().map(|frame| frame.is_some()).unwrap_err()
        };
        assert_eq!(refusal(&[0xff; 4]), FrameError::TooLong { length: -1, limit: 1000 });
        assert_eq!(refusal(&[0x80, 0, 0, 0]), FrameError::TooLong { length: i32::MIN, limit: 1000 });
        assert_eq!(refusal(&1001i32.to_be_bytes()), FrameError::TooLong { length: 1001, limit: 1000 });
        assert_eq!(refusal(&0i32.to_be_bytes()), FrameError::TooShort(0));
        assert_eq!(refusal(&7i32.to_be_bytes()), FrameError::TooShort(7));
        assert_eq!(refusal(b"PRI * HTTP/2.0"), FrameError::Http2Preface);
        assert!(matches!(refusal(b"GET / HTTP/1.1"), FrameError::TooLong { .. }));
    }

    #[test]
    fn a_preface_is_waited_for_where_http2_is_taken() {
        let budget = ByteBudget::new(1 << 20);
        let mut reader = FrameReader::new(&budget, 1000, true);
        feed(&mut reader, b"PRI * HTTP/2.0\r\n");
        assert_eq!(reader.next_frame().map(|frame| frame.is_some()), Ok(false));
        assert!(reader.is_first() && !reader.speaks_kafka());
        feed(&mut reader, b"\r\nSM\r\n\r\n");
        assert_eq!(reader.next_frame().map(|frame| frame.is_some()), Err(FrameError::Http2Preface));
    }

    #[test]
    fn dribbling_earns_no_time_and_a_spent_budget_gives_less() {
        let budget = ByteBudget::new(1 << 30);
        let mut reader = FrameReader::new(&budget, 100 << 20, false);
        assert_eq!(reader.deadline(Duration::from_secs(30), false), None);
        feed(&mut reader, &(90i32 << 20).to_be_bytes());
        feed(&mut reader, &vec![1; 8 << 20]);
        let deadline = |reader: &FrameReader, spent| reader.deadline(Duration::from_secs(30), spent).unwrap();
        let (slow, fast) = (deadline(&reader, false), deadline(&reader, true));
        assert!(slow <= Instant::now() + Duration::from_secs(30));
        // Ten seconds and one for each mebibyte.
        assert!(fast <= Instant::now() + Duration::from_secs(18), "what is there by now counts by its size");
        feed(&mut reader, &[1; 1000]);
        assert_eq!(deadline(&reader, false), slow, "a little more earns nothing");
        reader.forgive(Duration::from_secs(5));
        assert_eq!(deadline(&reader, false), slow + Duration::from_secs(5));
        assert_eq!(deadline(&reader, true), fast + Duration::from_secs(5));
    }

    #[test]
    fn a_spent_budget_stops_growth_but_for_one() {
        let budget = ByteBudget::new(100 << 10);
        let begin = |budget| {
            let mut reader = FrameReader::new(budget, 1 << 20, false);
            feed(&mut reader, &(500i32 << 10).to_be_bytes());
            reader
        };
        let (mut a, mut b) = (begin(&budget), begin(&budget));
        feed(&mut a, &vec![1; 60 << 10]);
        feed(&mut a, &vec![1; 200 << 10]);
        let mut stopped = false;
        for _ in 0..200 {
            if !b.reserve() {
                stopped = true;
                break;
            }
            let (buffer, spare) = b.spare();
            buffer.extend_from_slice(&vec![2; spare]);
        }
        assert!(stopped, "b must wait for a");
        feed(&mut a, &vec![1; (500 << 10) - (260 << 10)]);
        let (frame, charge) = a.next_frame().unwrap().expect("a is complete");
        drop((frame, charge));
        assert!(b.reserve(), "b goes on");
    }
}
