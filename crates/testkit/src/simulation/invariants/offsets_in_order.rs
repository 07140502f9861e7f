use raftsman_broker::replica::stepped::ReplicaInspection;
use raftsman_types::TopicIdPartition;

use super::{Checked, Violation};

const RULE: &str = "offsets in order";

/// Log start ≤ flushed ≤ log end, high watermark ≤ log end, and epochs of one process never fall.
pub(super) fn check(
    node: i32,
    at: TopicIdPartition,
    before: Option<&ReplicaInspection>,
    now: &ReplicaInspection,
) -> Checked {
    if now.is_offline {
        // What a failed change left in memory nobody reads before the log is opened anew.
        return Ok(());
    }
    let ReplicaInspection { log_start_offset, flushed_offset, log_end_offset, high_watermark, .. } = *now;
    let sane = log_start_offset <= log_end_offset
        && flushed_offset <= log_end_offset
        && high_watermark <= log_end_offset
        && log_start_offset <= high_watermark;
    if !sane {
        return Err(Violation::new(RULE, format!("{at} on broker {node}: {now:?}")));
    }
    let Some(before) = before else { return Ok(()) };
    if now.leader_epoch < before.leader_epoch {
        let what =
            format!("{at} on broker {node}: leader epoch fell from {} to {}", before.leader_epoch, now.leader_epoch);
        return Err(Violation::new(RULE, what));
    }
    let led_on = matches!((&before.leader, &now.leader), (Some(b), Some(n)) if b.leader_epoch == n.leader_epoch);
    if led_on && (now.high_watermark < before.high_watermark || now.log_end_offset < before.log_end_offset) {
        return Err(Violation::new(RULE, format!("{at}: the leader {node} went back: {before:?} to {now:?}")));
    }
    Ok(())
}
