//! How fast replicas that are not in sync may catch up where somebody limits that.

use std::time::Duration;

use raftsman_types::MonotonicTime;

/// A byte is so many units: what accrues in a nanosecond is a whole number of them at any rate.
const BYTE: i128 = 1_000_000_000;
/// What is not used is kept for so long.
const SAVED_MAX: Duration = Duration::from_secs(1);
/// What passed too much is waited for so long at the most: one batch can be larger than what a low rate lets pass in an hour, and
/// Kafka forgets after ten seconds, too.
const OWED_MAX: Duration = Duration::from_secs(10);
/// What waits goes on when so much has accrued, not with every byte.
const RESUMES_WITH: Duration = Duration::from_millis(100);

/// The bytes that throttled replicas of one broker may be sent, or may take in, while they are not in sync (KIP-73).
///
/// What replicas in sync are sent counts for nothing: it cannot wait, for acks wait for it, and where it is more than the rate it would
/// keep all others from ever catching up, as it does in Kafka.
#[derive(Debug, Clone)]
pub struct CatchUpQuota {
    bytes_per_second: i64,
    /// What may pass; less than nothing if too much has.
    units: i128,
    filled_at: MonotonicTime,
    waits: bool,
}

impl Default for CatchUpQuota {
    /// No limit.
    fn default() -> CatchUpQuota {
        CatchUpQuota { bytes_per_second: i64::MAX, units: 0, filled_at: MonotonicTime::default(), waits: false }
    }
}

impl CatchUpQuota {
    /// From now on so many bytes a second, from none to [`i64::MAX`], which is no limit. What passed at another rate is forgotten.
    /// Says whether it was another rate.
    pub fn set_rate(&mut self, bytes_per_second: i64, now: MonotonicTime) -> bool {
        let changes = bytes_per_second != self.bytes_per_second;
        if changes {
            *self = CatchUpQuota { bytes_per_second, units: 0, filled_at: now, waits: false };
        }
        changes
    }

    /// How many bytes may pass now; none: wait, and ask again. One batch may always be more than that: it counts when it has passed.
    pub fn allowance(&mut self, now: MonotonicTime) -> usize {
        if self.bytes_per_second == i64::MAX {
            return usize::MAX;
        }
        self.fill(now);
        let enough = if self.waits { self.worth(RESUMES_WITH) } else { 0 };
        self.waits = self.units < enough.max(BYTE);
        if self.waits { 0 } else { usize::try_from(self.units / BYTE).unwrap_or(usize::MAX) }
    }

    /// So many bytes pass.
    pub fn spend(&mut self, bytes: usize, now: MonotonicTime) {
        if self.bytes_per_second != i64::MAX {
            self.fill(now);
            self.units = (self.units - bytes as i128 * BYTE).max(-self.worth(OWED_MAX));
        }
    }

    /// So many bytes that were spent did not pass.
    pub fn refund(&mut self, bytes: usize, now: MonotonicTime) {
        if self.bytes_per_second != i64::MAX {
            self.units += bytes as i128 * BYTE;
            self.fill(now);
        }
    }

    fn fill(&mut self, now: MonotonicTime) {
        let accrued = self.worth(now.since(self.filled_at));
        self.filled_at = self.filled_at.max(now);
        self.units = (self.units + accrued).min(self.worth(SAVED_MAX).max(BYTE));
    }

    fn worth(&self, time: Duration) -> i128 {
        i128::from(self.bytes_per_second) * time.as_nanos() as i128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MonotonicTime {
        MonotonicTime::from_millis(ms)
    }

    fn quota(bytes_per_second: i64) -> CatchUpQuota {
        let mut quota = CatchUpQuota::default();
        quota.set_rate(bytes_per_second, at(0));
        quota
    }

    #[test]
    fn nothing_is_limited_where_nobody_sets_a_rate() {
        let mut quota = CatchUpQuota::default();
        quota.spend(usize::MAX, at(0));
        assert_eq!(quota.allowance(at(0)), usize::MAX);
        quota.set_rate(i64::MAX, at(1));
        assert_eq!(quota.allowance(at(1)), usize::MAX);
    }

    #[test]
    fn what_passes_is_what_the_rate_allows() {
        for (rate, batch) in
            [(1_000, 100), (1_000, 1_000_000), (50_000_000, 131_072), (7, 5), (999_999_999_999, 1 << 20)]
        {
            let mut quota = quota(rate);
            let mut passed = 0u64;
            let last_ms = 60_000;
            for ms in (0..=last_ms).step_by(20) {
                for _ in 0..3 {
                    let allowance = quota.allowance(at(ms));
                    if allowance > 0 {
                        // At least one batch, or as many as fit.
                        let bytes = (allowance / batch).max(1) * batch;
                        quota.spend(bytes, at(ms));
                        passed += bytes as u64;
                    }
                }
            }
            let allowed = rate as u64 * last_ms / 1000;
            // A batch may come too early, and by what is forgotten of one that is larger than ten seconds' worth.
            let forgotten = (batch as u64).saturating_sub(10 * rate as u64) * (last_ms / 10_000);
            assert!(passed <= allowed + batch as u64 + forgotten, "{rate}: {passed} of {allowed}");
            assert!(passed + rate as u64 / 5 + batch as u64 >= allowed, "{rate}: {passed} of {allowed}");
        }
    }

    #[test]
    fn what_is_not_used_is_kept_for_a_second() {
        let mut quota = quota(1000);
        assert_eq!(quota.allowance(at(500)), 500);
        assert_eq!(quota.allowance(at(60_000)), 1000);
        quota.spend(1000, at(60_000));
        assert_eq!(quota.allowance(at(60_000)), 0);
    }

    #[test]
    fn who_waits_goes_on_once_it_is_worth_it() {
        let mut quota = quota(1000);
        quota.spend(1000, at(1000));
        assert_eq!(quota.allowance(at(1000)), 0);
        assert_eq!(quota.allowance(at(1099)), 0, "99 bytes are not worth a frame");
        assert_eq!(quota.allowance(at(1100)), 100);
        quota.spend(50, at(1100));
        assert_eq!(quota.allowance(at(1100)), 50, "it does not wait any more");
    }

    #[test]
    fn what_did_not_pass_may_pass_later() {
        let mut quota = quota(1000);
        quota.spend(600, at(1000));
        assert_eq!(quota.allowance(at(1000)), 400);
        quota.refund(100, at(1000));
        assert_eq!(quota.allowance(at(1000)), 500);
        quota.refund(usize::MAX, at(1000));
        assert_eq!(quota.allowance(at(1000)), 1000, "never more than can be saved");
    }

    #[test]
    fn another_rate_begins_anew_and_the_same_does_not() {
        let mut quota = quota(1000);
        quota.spend(9_000, at(0));
        quota.set_rate(1000, at(100));
        assert_eq!(quota.allowance(at(1000)), 0, "it still owes 8,000 bytes");
        quota.set_rate(2000, at(1000));
        assert_eq!(quota.allowance(at(1500)), 1000);
        quota.set_rate(i64::MAX, at(1500));
        assert_eq!(quota.allowance(at(1500)), usize::MAX);
    }

    #[test]
    fn a_rate_of_nothing_lets_nothing_pass_and_a_low_one_a_batch_in_ten_seconds() {
        let mut none = quota(0);
        assert_eq!(none.allowance(at(1_000_000)), 0);
        let mut low = quota(1);
        assert_eq!(low.allowance(at(999)), 0);
        assert_eq!(low.allowance(at(1100)), 1);
        low.spend(1 << 20, at(1100));
        assert_eq!(low.allowance(at(11_000)), 0);
        assert_eq!(low.allowance(at(12_200)), 1);
    }
}
