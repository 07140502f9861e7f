use std::time::Duration;

use raftsman_types::BrokerId;
use tokio::time::Instant;

/// How long a candidate that has a majority waits for the rest, so that a cluster started at once is formed whole.
const GRACE: Duration = Duration::from_millis(500);

/// Whether enough of the listed voters are there to form a cluster. Pure: from who is there, and when, to a yes or no. Nothing
/// here gives up: who comes after hours is as welcome as who comes at once.
#[derive(Debug, Default)]
pub(super) struct Majority {
    since: Option<Instant>,
}

impl Majority {
    /// Whether `own` forms the cluster now, with these `candidates` of so many `listed` voters (itself among them, if it
    /// is one): it is the lowest of a majority, and the rest had time to show up.
    pub fn may_form(&mut self, own: BrokerId, candidates: &[BrokerId], listed: usize, now: Instant) -> bool {
        if candidates.len() * 2 <= listed || candidates.iter().min() != Some(&own) {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        candidates.len() == listed || now.saturating_duration_since(since) >= GRACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: BrokerId = BrokerId(1);
    const ALONE: &[BrokerId] = &[OWN];
    const TWO: &[BrokerId] = &[BrokerId(3), OWN];
    const ALL: &[BrokerId] = &[BrokerId(3), OWN, BrokerId(2)];

    #[test]
    fn whoever_comes_after_hours_is_formed_with_as_if_it_had_come_at_once() {
        for wait in [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(30 * 24 * 3600)] {
            let mut majority = Majority::default();
            let start = Instant::now();
            assert!(!majority.may_form(OWN, ALONE, 3, start));
            assert!(!majority.may_form(OWN, ALONE, 3, start + wait), "one of three is never enough: {wait:?}");
            let come = start + wait;
            assert!(!majority.may_form(OWN, TWO, 3, come), "the third may be starting too: {wait:?}");
            assert!(!majority.may_form(OWN, TWO, 3, come + GRACE - Duration::from_millis(1)), "{wait:?}");
            assert!(majority.may_form(OWN, TWO, 3, come + GRACE), "{wait:?}");
            let mut majority = Majority::default();
            assert!(!majority.may_form(OWN, ALONE, 3, start));
            assert!(majority.may_form(OWN, ALL, 3, come), "nobody is left to wait for: {wait:?}");
        }
    }

    #[test]
    fn the_wait_for_the_rest_begins_anew_with_a_new_majority() {
        let mut majority = Majority::default();
        let start = Instant::now();
        assert!(!majority.may_form(OWN, TWO, 3, start));
        assert!(!majority.may_form(OWN, ALONE, 3, start + GRACE / 2), "the other one is gone");
        assert!(!majority.may_form(OWN, TWO, 3, start + GRACE), "and back a moment ago");
        assert!(majority.may_form(OWN, TWO, 3, start + GRACE * 2));
    }

    #[test]
    fn the_lowest_of_those_that_are_there_forms_it_and_half_is_no_majority() {
        let start = Instant::now();
        let long = |majority: &mut Majority, own, candidates: &[BrokerId], listed| {
            majority.may_form(own, candidates, listed, start)
                || majority.may_form(own, candidates, listed, start + GRACE * 100)
        };
        assert!(!long(&mut Majority::default(), BrokerId(3), TWO, 3));
        assert!(!long(&mut Majority::default(), OWN, TWO, 4));
        assert!(
            long(&mut Majority::default(), BrokerId(2), &[BrokerId(3), BrokerId(2)], 3),
            "without the lowest of all"
        );
        assert!(!long(&mut Majority::default(), BrokerId(9), TWO, 3), "who is not listed forms nothing");
    }
}
