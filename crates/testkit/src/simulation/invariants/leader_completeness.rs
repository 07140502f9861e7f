use raftsman_types::{Offset, TopicIdPartition};

use super::{BatchMark, Checked, PartitionTruth, Violation};

/// LeaderCompleteness: the log of the leader of the newest epoch ends at or behind everything that was ever committed. That it is the
/// same is [`agree`]'s to say.
pub(super) fn is_long_enough(node: i32, at: TopicIdPartition, end: Offset, committed: Offset) -> Checked {
    if end < committed {
        let what = format!("{at}: leader {node} ends at {end}, committed is up to {committed}");
        return Err(Violation::new("LeaderCompleteness", what));
    }
    Ok(())
}

/// A replica's batches between two offsets are the committed ones: NoCommittedRecordLost, ConsistentRead.
pub(super) fn agree(
    rule: &'static str,
    node: i32,
    at: TopicIdPartition,
    batches: &[BatchMark],
    truth: &PartitionTruth,
    from: Offset,
    upto: Offset,
) -> Checked {
    let first = batches.partition_point(|batch| batch.last < from);
    let own = batches[first..].iter().take_while(|batch| batch.base < upto);
    let committed = truth.batches_from(from).iter().take_while(|batch| batch.base < upto);
    let mut own = own.peekable();
    // What retention has deleted is not missed.
    let begins = own.peek().map_or(upto, |batch| batch.base);
    for committed in committed.filter(|batch| batch.base >= begins) {
        match own.next() {
            Some(batch) if batch == committed => {}
            other => {
                let what = format!("{at}: broker {node} has {other:?} where {committed:?} is committed");
                return Err(Violation::new(rule, what));
            }
        }
    }
    Ok(())
}
