//! Which of a follower's throttled subscriptions may be sent how much.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the leader at the other end of a stream may send of throttled subscriptions: nothing but what each of them was allowed.
///
/// A follower cannot take back what is on its way. So it does not stop a leader that has sent too much, but tells it beforehand
/// how much may come.
#[derive(Debug, Default)]
pub struct Allowances {
    /// What is still to come of what was allowed, in bytes; less than nothing if more came, for a batch comes whole.
    outstanding: BTreeMap<u32, i64>,
    /// All of them, whoever was allowed something longest ago in front. One that subscribes anew comes last each time.
    line: VecDeque<u32>,
}

impl Allowances {
    /// Whether any subscription is throttled.
    pub fn is_empty(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// A subscription is allowed nothing from now on.
    pub fn throttle(&mut self, subscription: u32) {
        if self.outstanding.insert(subscription, 0).is_none() {
            self.line.push_back(subscription);
        }
    }

    /// It is throttled no longer, or over. Returns what of its allowance did not come, in bytes.
    pub fn end(&mut self, subscription: u32) -> usize {
        let Some(outstanding) = self.outstanding.remove(&subscription) else { return 0 };
        self.line.retain(|other| *other != subscription);
        usize::try_from(outstanding).unwrap_or(0)
    }

    /// All are.
    pub fn clear(&mut self) {
        *self = Allowances::default();
    }

    /// The subscriptions that are throttled.
    pub fn throttled(&self) -> impl Iterator<Item = u32> + '_ {
        self.outstanding.keys().copied()
    }

    /// Nothing that was allowed is any more: each waits for its turn.
    pub fn revoke(&mut self) {
        self.outstanding.values_mut().for_each(|outstanding| *outstanding = 0);
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
        let waits = |subscription: &u32| self.outstanding.get(subscription).is_some_and(|left| *left <= 0);
        let in_turn: Vec<u32> = self.line.iter().copied().filter(waits).collect();
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
            shares.push((subscription, allowed));
        }
        let served: BTreeSet<u32> = shares.iter().map(|(subscription, _)| *subscription).collect();
        self.line.retain(|subscription| !served.contains(subscription));
        self.line.extend(served);
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

    /// One whose leader refuses it subscribes again and again.
    #[test]
    fn whoever_subscribes_anew_takes_nothing_from_the_others() {
        let mut allowances = throttled([1, 2, 3]);
        let mut turns = BTreeMap::from([(1, 0), (2, 0)]);
        for again in 4..40 {
            allowances.end(again - 1);
            allowances.throttle(again);
            for (subscription, bytes) in allowances.share_out(10, 100) {
                allowances.came(subscription, bytes);
                *turns.entry(subscription).or_default() += 1;
            }
        }
        assert!(turns[&1] >= 12 && turns[&2] >= 12, "{turns:?}");
    }

    #[test]
    fn what_is_left_when_each_has_its_least_is_shared_out_too() {
        let mut allowances = throttled(1..=3);
        assert_eq!(allowances.share_out(3000, 10), [(1, 1000), (2, 1000), (3, 1000)]);
        assert_eq!(throttled([7]).share_out(usize::MAX, 10), [(7, usize::MAX)]);
        assert_eq!(throttled([]).share_out(3000, 10), []);
    }

    #[test]
    fn what_was_not_allowed_and_what_did_not_come_is_told() {
        let mut allowances = throttled([1]);
        assert_eq!(allowances.came(1, 30), Some(30), "on its way when it was throttled");
        assert_eq!(allowances.share_out(100, 10), [(1, 100)]);
        assert_eq!(allowances.came(1, 70), Some(0));
        assert_eq!(allowances.came(1, 70), Some(40), "a batch comes whole");
        assert_eq!(allowances.came(2, 70), None);
        assert_eq!(allowances.end(1), 0);
        assert!(allowances.is_empty());
        assert_eq!(allowances.came(1, 70), None);

        let mut allowances = throttled([1]);
        assert_eq!(allowances.share_out(100, 10), [(1, 100)]);
        allowances.came(1, 30);
        assert_eq!(allowances.end(1), 70);
    }

    #[test]
    fn what_is_revoked_is_allowed_anew() {
        let mut allowances = throttled([1]);
        assert_eq!(allowances.share_out(1_000_000, 10), [(1, 1_000_000)]);
        allowances.revoke();
        assert_eq!(allowances.came(1, 30), Some(30));
        assert_eq!(allowances.share_out(100, 10), [(1, 100)]);
    }
}
