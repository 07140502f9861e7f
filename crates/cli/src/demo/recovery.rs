use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// Waits, partition by partition, for the first new ack after a kill.
///
/// New is the ack of a record that was handed to the producer after the kill: one that was on its way before may
/// have been replicated already and would make the gap look shorter than it is.
#[derive(Debug)]
pub struct Recovery {
    killed_at: Instant,
    /// By partition, how long it took; `None` while it is waited for.
    gaps: BTreeMap<i32, Option<Duration>>,
}

impl Recovery {
    /// A kill at `killed_at` that held up these partitions.
    pub fn new(killed_at: Instant, affected: &[i32]) -> Recovery {
        Recovery { killed_at, gaps: affected.iter().map(|partition| (*partition, None)).collect() }
    }

    /// Takes in an ack of a record that was sent at `sent`.
    pub fn acked(&mut self, partition: i32, sent: Instant, now: Instant) {
        if sent < self.killed_at {
            return;
        }
        if let Some(gap @ None) = self.gaps.get_mut(&partition) {
            *gap = Some(now - self.killed_at);
        }
    }

    /// Partitions that still wait.
    pub fn waiting(&self) -> Vec<i32> {
        self.gaps.iter().filter(|(_, gap)| gap.is_none()).map(|(partition, _)| *partition).collect()
    }

    /// How many partitions the kill held up.
    pub fn affected(&self) -> usize {
        self.gaps.len()
    }

    /// The gaps known so far.
    pub fn gaps(&self) -> Gaps {
        let mut sorted: Vec<Duration> = self.gaps.values().copied().flatten().collect();
        sorted.sort_unstable();
        Gaps { sorted }
    }
}

/// How long the partitions took, shortest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gaps {
    sorted: Vec<Duration>,
}

impl Gaps {
    /// The middle one: half of the partitions took as long as this or less.
    pub fn p50(&self) -> Option<Duration> {
        let middle = self.sorted.len().div_ceil(2).checked_sub(1)?;
        Some(self.sorted[middle])
    }

    /// The longest one.
    pub fn max(&self) -> Option<Duration> {
        self.sorted.last().copied()
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |gap: Option<Duration>| gap.unwrap_or_default().as_millis();
        write!(f, "after {} ms at p50, {} ms at most", ms(self.p50()), ms(self.max()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_records_sent_after_the_kill_count_and_only_the_first() {
        let start = Instant::now();
        let at = |ms: u32| start + MS * ms;
        let mut recovery = Recovery::new(at(100), &[0, 3]);
        recovery.acked(0, at(99), at(101));
        recovery.acked(1, at(101), at(102));
        assert_eq!(recovery.waiting(), [0, 3]);
        recovery.acked(0, at(100), at(130));
        recovery.acked(0, at(131), at(133));
        assert_eq!(recovery.waiting(), [3]);
        recovery.acked(3, at(110), at(150));
        assert_eq!((recovery.waiting(), recovery.affected()), (vec![], 2));
        let gaps = recovery.gaps();
        assert_eq!((gaps.p50(), gaps.max()), (Some(MS * 30), Some(MS * 50)));
        assert_eq!(gaps.to_string(), "after 30 ms at p50, 50 ms at most");
    }

    #[test]
    fn the_middle_of_odd_even_and_nothing() {
        let p50 = |ms: &[u32]| Gaps { sorted: ms.iter().map(|ms| MS * *ms).collect() }.p50();
        assert_eq!(p50(&[]), None);
        assert_eq!(p50(&[7]), Some(MS * 7));
        assert_eq!(p50(&[1, 2, 3]), Some(MS * 2));
        assert_eq!(p50(&[1, 2, 3, 4]), Some(MS * 2));
    }
}
