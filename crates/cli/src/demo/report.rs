use std::fmt::Write;
use std::time::Duration;

use raftsman_client::Verdict;

use super::kill_choice::KillKind;
use super::recovery::Gaps;

/// What one kill did.
#[derive(Debug, Clone)]
pub struct KillReport {
    /// Why this node.
    pub kind: KillKind,
    /// The node.
    pub node: i32,
    /// How many partitions it led.
    pub led: usize,
    /// How many partitions its death held up, as leader or as a replica in sync.
    pub affected: usize,
    /// From the kill to the first new ack on each of these.
    pub gaps: Gaps,
}

/// The outcome of a demo.
#[derive(Debug, Clone)]
pub struct Report {
    /// Records handed to the producer.
    pub sent: usize,
    /// Records it said are safe.
    pub acked: usize,
    /// What is wrong with what was read back.
    pub verdict: Verdict,
    /// The kills, in order.
    pub kills: Vec<KillReport>,
}

impl Report {
    /// Everything sent was acked, and everything acked is there, once and in order.
    pub fn is_good(&self) -> bool {
        self.sent > 0 && self.acked == self.sent && self.verdict.is_clean()
    }

    /// The tables and the conclusion.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.kills.is_empty() {
            text += "kill  killed node                 led  held up   first new ack: p50        max\n";
        }
        // Writing to a string cannot fail.
        for (kill, number) in self.kills.iter().zip(1..) {
            let _ = writeln!(
                text,
                "{number:>4}  {:<26} {:>4} {:>8} {:>20} {:>10}",
                format!("{}, {}", kill.node, kill.kind),
                kill.led,
                kill.affected,
                milliseconds(kill.gaps.p50()),
                milliseconds(kill.gaps.max())
            );
        }
        if !self.kills.is_empty() {
            text.push('\n');
        }
        let Verdict { lost, duplicated, out_of_order, .. } = &self.verdict;
        text += "      acked        lost  duplicated  out of order\n";
        let [acked, lost, duplicated, out_of_order] =
            [self.acked, lost.len(), duplicated.len(), out_of_order.len()].map(grouped);
        let _ = writeln!(text, "{acked:>11} {lost:>11} {duplicated:>11} {out_of_order:>13}\n");
        text + &self.conclusion()
    }

    fn conclusion(&self) -> String {
        if self.is_good() {
            return "Every record was acknowledged, and is there, once and in order.".to_owned();
        }
        let mut faults = Vec::new();
        if self.sent == 0 {
            faults.push("nothing was sent".to_owned());
        }
        if self.acked < self.sent {
            faults.push(format!("{} of {} records were not acknowledged", self.sent - self.acked, self.sent));
        }
        for (fault, names) in self.verdict.faults() {
            if let Some(first) = names.first() {
                let (records, are) = if names.len() == 1 { ("record", "is") } else { ("records", "are") };
                faults.push(format!("{} {records} {are} {fault} (first: {first})", grouped(names.len())));
            }
        }
        format!("FAILED: {}.", faults.join("; "))
    }
}

fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_owned(), |d| format!("{} ms", d.as_millis()))
}

/// A number with a comma before each three digits.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::recovery::Recovery;
    use super::*;

    fn report() -> Report {
        let start = Instant::now();
        let mut recovery = Recovery::new(start, &[0, 1]);
        recovery.acked(0, start, start + Duration::from_millis(31));
        recovery.acked(1, start, start + Duration::from_millis(1_048));
        let kill = KillReport { kind: KillKind::MostLeading, node: 2, led: 2, affected: 6, gaps: recovery.gaps() };
        let controller = KillReport { kind: KillKind::ActiveController, node: 13, ..kill.clone() };
        Report { sent: 41_020, acked: 41_020, verdict: Verdict::default(), kills: vec![kill, controller] }
    }

    #[test]
    fn a_good_table() {
        let expected = "\
kill  killed node                 led  held up   first new ack: p50        max
   1  2, leads most partitions      2        6                31 ms    1048 ms
   2  13, the active controller     2        6                31 ms    1048 ms

      acked        lost  duplicated  out of order
     41,020           0           0             0

Every record was acknowledged, and is there, once and in order.";
        assert_eq!(report().text(), expected);
        assert!(report().is_good());
    }

    #[test]
    fn each_fault_is_named_and_is_no_good() {
        let with = |change: fn(&mut Report)| {
            let mut report = report();
            change(&mut report);
            assert!(!report.is_good());
            report.text().lines().last().unwrap().to_owned()
        };
        assert_eq!(with(|r| r.acked = 41_018), "FAILED: 2 of 41020 records were not acknowledged.");
        let lost = with(|r| r.verdict.lost = vec!["0-17".into()]);
        assert_eq!(lost, "FAILED: 1 record is lost (first: 0-17).");
        let both = with(|r| {
            r.verdict.duplicated = vec!["a".into(), "b".into()];
            r.verdict.out_of_order = vec!["c".into()];
        });
        assert_eq!(both, "FAILED: 2 records are duplicated (first: a); 1 record is out of order (first: c).");
        assert_eq!(with(|r| (r.sent, r.acked) = (0, 0)), "FAILED: nothing was sent.");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
