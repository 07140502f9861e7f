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
/// A frame's time grows with what has arrived of it.
const SLOWEST_BYTES_PER_SECOND: usize = 64 << 10;

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
    began: Option<Instant>,
    first: bool,
}

impl FrameReader {
    pub(crate) fn new(budget: &std::sync::Arc<ByteBudget>, max_frame: usize) -> FrameReader {
        let charge = budget.charge();
        FrameReader { buffer: BytesMut::new(), charge, max_frame, proven: 0, began: None, first: true }
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
        self.began = (!self.buffer.is_empty()).then(Instant::now);
        Ok(Some((frame, charge)))
    }

    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        if self.first && prefix == b"PRI " {
            return Err(FrameError::Http2Preface);
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
        self.began.get_or_insert_with(Instant::now);
    }

    /// When a frame that has begun must be complete, so that nobody holds memory by dribbling. Who overdraws the
    /// budget, which makes all others wait, has a third of the time.
    pub(crate) fn deadline(&self, allowance: Duration) -> Option<Instant> {
        let grace = if self.charge.overdraws() { allowance / 3 } else { allowance };
        let earned = Duration::from_secs((self.buffer.len() / SLOWEST_BYTES_PER_SECOND) as u64);
        self.began.map(|began| began + grace + earned)
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
            let mut reader = FrameReader::new(&budget, 1 << 20);
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
        let mut reader = FrameReader::new(&budget, 100 << 20);
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
        let mut reader = FrameReader::new(&budget, 1 << 20);
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
            let mut reader = FrameReader::new(&budget, 1000);
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
    fn a_spent_budget_stops_growth_but_for_one() {
        let budget = ByteBudget::new(100 << 10);
        let begin = |budget| {
            let mut reader = FrameReader::new(budget, 1 << 20);
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
