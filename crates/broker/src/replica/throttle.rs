use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use raftsman_metadata::{MetadataImage, ThrottledSide};
use raftsman_replication::CatchUpQuota;
use raftsman_types::{BrokerId, MonotonicTime};

/// How fast throttled replicas may catch up with this broker's leaders, and its own with theirs (KIP-73).
#[derive(Debug, Default)]
pub(super) struct Throttle {
    leader: Quota,
    follower: Quota,
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
            quota.state.lock().set_rate(rate, now);
            quota.is_set.store(rate != i64::MAX, Ordering::Release);
        }
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

    fn quota(&self, side: ThrottledSide) -> &Quota {
        match side {
            ThrottledSide::Leader => &self.leader,
            ThrottledSide::Follower => &self.follower,
        }
    }
}
