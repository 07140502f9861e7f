//! Which of a follower's throttled subscriptions may be sent how much.

use std::collections::BTreeMap;

/// What the leader at the other end of a stream may send of throttled subscriptions: nothing but what each of them was allowed.
///
/// A follower cannot take back what is on its way. So it does not stop a leader that has sent too much, but tells it beforehand
/// how much may come.
#[derive(Debug, Default)]
pub struct Allowances {
    /// What is still to come of what was allowed, in bytes; less than nothing if more came, for a batch comes whole.
    outstanding: BTreeMap<u32, i64>,
    /// The last one that was allowed something: the next in line comes after it.
    last: u32,
}

impl Allowances {
    /// Whether any subscription is throttled.
    pub fn is_empty(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// A subscription is allowed nothing from now on.
    pub fn throttle(&mut self, subscription: u32) {
        self.outstanding.insert(subscription, 0);
    }

    /// It is throttled no longer, or over.
    pub fn end(&mut self, subscription: u32) {
        self.outstanding.remove(&subscription);
    }

    /// All are.
    pub fn clear(&mut self) {
        self.outstanding.clear();
    }

    /// The subscriptions that are throttled.
    pub fn throttled(&self) -> impl Iterator<Item = u32> + '_ {
        self.outstanding.keys().copied()
    }

    /// So many bytes of a throttled subscription came; how many of them were not allowed. `None` if it is not throttled.
    pub fn came(&mut self, subscription: u32, bytes: usize) -> Option<usize> {
        let outstanding = self.outstanding.get_mut(&subscription)?;
        let allowed = usize::try_from(*outstanding).unwrap_or(0);
        *outstanding = outstanding.saturating_sub_unsigned(bytes as u64);
        Some(bytes.saturating_sub(allowed))
    }

    /// Shares out so many bytes among those that have got all they were allowed, in turn: `share_min` to each, or more if there is
    /// more than all of them would get so. Says who is allowed how much; altogether that is no more than `bytes`.
    pub fn share_out(&mut self, bytes: usize, share_min: usize) -> Vec<(u32, usize)> {
        let waits = |(_, outstanding): &(&u32, &i64)| **outstanding <= 0;
        let behind = self.outstanding.range(self.last.saturating_add(1)..).filter(waits);
        let in_turn: Vec<u32> =
            behind.chain(self.outstanding.range(..=self.last).filter(waits)).map(|(id, _)| *id).collect();
        let share = (bytes / in_turn.len().max(1)).max(share_min);
        let mut left = bytes;
        let mut shares = Vec::new();
        for subscription in in_turn {
            let allowed = share.min(left);
            if allowed == 0 {
                break;
            }
            left -= allowed;
            self.outstanding.insert(subscription, i64::try_from(allowed).unwrap_or(i64::MAX));
            self.last = subscription;
            shares.push((subscription, allowed));
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(subscriptions: impl IntoIterator<Item = u32>) -> Allowances {
        let mut allowances = Allowances::default();
        subscriptions.into_iter().for_each(|subscription| allowances.throttle(subscription));
        allowances
    }

    #[test]
    fn each_gets_its_turn() {
        let mut allowances = throttled(1..=3);
        assert_eq!(allowances.share_out(100, 60), [(1, 60), (2, 40)]);
        assert_eq!(allowances.share_out(50, 60), [(3, 50)], "the others have not got theirs yet");
        assert_eq!(allowances.share_out(50, 60), []);
        for (subscription, bytes) in [(1, 60), (2, 40), (3, 50)] {
            assert_eq!(allowances.came(subscription, bytes), Some(0));
        }
        assert_eq!(allowances.share_out(100, 100), [(1, 100)]);
        allowances.came(1, 100);
        assert_eq!(allowances.share_out(100, 100), [(2, 100)], "whoever waited longest");
        assert_eq!(allowances.share_out(0, 100), []);
    }

    #[test]
    fn what_is_left_when_each_has_its_least_is_shared_out_too() {
        let mut allowances = throttled(1..=3);
        assert_eq!(allowances.share_out(3000, 10), [(1, 1000), (2, 1000), (3, 1000)]);
        assert_eq!(throttled([7]).share_out(usize::MAX, 10), [(7, usize::MAX)]);
        assert_eq!(throttled([]).share_out(3000, 10), []);
    }

    #[test]
    fn what_was_not_allowed_is_told() {
        let mut allowances = throttled([1]);
        assert_eq!(allowances.came(1, 30), Some(30), "on its way when it was throttled");
        assert_eq!(allowances.share_out(100, 10), [(1, 100)]);
        assert_eq!(allowances.came(1, 70), Some(0));
        assert_eq!(allowances.came(1, 70), Some(40), "a batch comes whole");
        assert_eq!(allowances.came(2, 70), None);
        allowances.end(1);
        assert!(allowances.is_empty());
        assert_eq!(allowances.came(1, 70), None);
    }
}
