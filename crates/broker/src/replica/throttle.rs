use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use raftsman_metadata::{MetadataImage, ThrottledSide};
use raftsman_replication::CatchUpQuota;
use raftsman_types::{BrokerId, MonotonicTime};

/// How fast throttled replicas may catch up with this broker's leaders, and its own with theirs (KIP-73).
#[derive(Debug, Default)]
pub(super) struct Throttle {
    leader: Quota,
    follower: Quota,
    /// How often the follower's rate was changed.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Quota {
    state: Mutex<CatchUpQuota>,
    /// What is asked for every piece of a log that is sent costs no lock.
    is_set: AtomicBool,
}

impl Throttle {
    /// Takes this broker's rates as they are now.
    pub fn set_rates(&self, image: &MetadataImage, broker: BrokerId, now: MonotonicTime) {
        for side in [ThrottledSide::Leader, ThrottledSide::Follower] {
            let (quota, rate) = (self.quota(side), image.throttled_rate(side, broker));
            let changed = quota.state.lock().set_rate(rate, now);
            if changed && side == ThrottledSide::Follower {
                self.changes.fetch_add(1, Ordering::AcqRel);
            }
            quota.is_set.store(rate != i64::MAX, Ordering::Release);
        }
    }

    /// Rises when the follower's rate is changed: what was allowed before counts no more.
    pub fn follower_rate_changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether there is a rate at all.
    pub fn is_set(&self, side: ThrottledSide) -> bool {
        self.quota(side).is_set.load(Ordering::Acquire)
    }

    /// How many bytes may pass now; none: wait, and ask again.
    pub fn allowance(&self, side: ThrottledSide, now: MonotonicTime) -> usize {
        self.quota(side).state.lock().allowance(now)
    }

    /// So many pass.
    pub fn spend(&self, side: ThrottledSide, bytes: usize, now: MonotonicTime) {
        self.quota(side).state.lock().spend(bytes, now);
    }

    /// So many that were spent do not pass after all.
    pub fn refund(&self, side: ThrottledSide, bytes: usize, now: MonotonicTime) {
        self.quota(side).state.lock().refund(bytes, now);
    }

    fn quota(&self, side: ThrottledSide) -> &Quota {
        match side {
            ThrottledSide::Leader => &self.leader,
            ThrottledSide::Follower => &self.follower,
        }
    }
}
