//! What only time brings about: one thread, which sleeps while nothing is due.

use std::sync::{Arc, Weak};
use std::time::Duration;

use raftsman_metadata::ThrottledSide;
use raftsman_types::MonotonicTime;

use super::ReplicaManager;
use super::core::{Core, Wanted};
use super::fetch_stream::FetchStream;
use super::manager::Inner;
use super::startup::write_checkpoints;

/// Between two looks at leaders that have something left to do, and at followers to be told of watermarks or that are throttled.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// When checkpoints and retention are due.
pub(super) struct Housekeeping {
    checkpoint_at: MonotonicTime,
    retention_at: MonotonicTime,
    /// When the next deleted replica is to be removed, by what was known at the last look.
    removal_at: Option<MonotonicTime>,
    /// Whether leaders' clients might wait for commits when this was last looked at.
    waited: bool,
    /// How often the follower's quota was shared out.
    turns: usize,
}

impl Housekeeping {
    pub fn new(core: &Core) -> Housekeeping {
        let now = core.now();
        Housekeeping {
            checkpoint_at: now + core.config.checkpoint_interval,
            retention_at: now + core.config.retention_check_interval,
            removal_at: None,
            waited: core.may_wait(),
            turns: 0,
        }
    }

    /// When there is something to do even if nobody wants it.
    pub fn next_deadline(&self, core: &Core) -> MonotonicTime {
        let due = self.checkpoint_at.min(self.retention_at).min(self.removal_at.unwrap_or(self.checkpoint_at));
        // A millisecond later it is over for certain.
        if self.waited { due.min(core.waits_until() + Duration::from_millis(1)) } else { due }
    }

    /// Does what is wanted, and what is due.
    pub fn keep(&mut self, inner: &Inner, wanted: Wanted) {
        let core = &inner.core;
        for directory in wanted.failed {
            for partition in inner.replicas() {
                if Arc::ptr_eq(&partition.directory, &directory) {
                    partition.go_offline();
                }
            }
        }
        for session in wanted.sessions {
            session.tick();
        }
        self.share_out(core, wanted.streams);
        for leader in wanted.leaders {
            leader.tick();
        }
        if !wanted.checkpoints.is_empty() {
            let replicas = inner.replicas();
            for directory in wanted.checkpoints {
                write_checkpoints(&directory, &replicas, core);
            }
        }
        let waits = core.may_wait();
        if self.waited && !waits {
            for partition in inner.replicas() {
                partition.contact_lost();
            }
        }
        self.waited = waits;
        let now = core.now();
        if now >= self.checkpoint_at {
            self.checkpoint_at = now + core.config.checkpoint_interval;
            let replicas = inner.replicas();
            for replica in &replicas {
                replica.rest();
            }
            for directory in &inner.directories {
                directory.look_at_room();
                write_checkpoints(directory, &replicas, core);
            }
        }
        self.remove_retired(inner, now);
        if now >= self.retention_at {
            self.retention_at = now + core.config.retention_check_interval;
            for partition in inner.replicas() {
                partition.clean_up();
            }
        }
    }
}

impl Housekeeping {
    /// Shares out what the follower's quota allows by now among the streams that have throttled subscriptions.
    fn share_out(&mut self, core: &Core, mut streams: Vec<Arc<FetchStream>>) {
        if streams.is_empty() {
            return;
        }
        // Another one is first each time: what is too little to be shared goes round.
        self.turns = self.turns.wrapping_add(1);
        streams.sort_unstable_by_key(|stream| stream.leader);
        let first = self.turns % streams.len();
        streams.rotate_left(first);
        let mut left = core.throttle.allowance(ThrottledSide::Follower, core.now());
        for (served, stream) in streams.iter().enumerate() {
            let share = left.div_ceil(streams.len() - served);
            left = left.saturating_sub(stream.tick(share));
        }
    }

    /// Removes deleted replicas that are due, or some of their files; the rest at the next tick.
    fn remove_retired(&mut self, inner: &Inner, now: MonotonicTime) {
        let online = || inner.directories.iter().filter(|directory| !directory.is_offline());
        online().for_each(|directory| directory.retired.remove_due(&directory.files, now));
        let next = online().filter_map(|directory| directory.retired.next_due()).min();
        self.removal_at = next.map(|due| due.max(now + TICK));
    }
}

/// Runs until the replicas are shut down or dropped.
pub(super) fn drive(core: &Core, inner: &Weak<Inner>) {
    let mut housekeeping = Housekeeping::new(core);
    loop {
        let idle = housekeeping.next_deadline(core).since(core.now());
        let wanted = core.attention.wait(TICK, idle);
        if wanted.stop {
            return;
        }
        let Some(inner) = inner.upgrade() else { return };
        housekeeping.keep(&inner, wanted);
        ReplicaManager { inner }.make_unmade();
    }
}
