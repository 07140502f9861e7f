use raftsman_metadata::PartitionImage;
use raftsman_types::{Offset, TopicIdPartition};

use super::{Checked, Violation};

/// LeaderCandidateCompleteness: whoever may become leader without loss (ISR and ELR) has everything committed, as far
/// as its process runs. `ends` has the log ends of running replicas by broker.
pub(super) fn check(
    at: TopicIdPartition,
    state: &PartitionImage,
    committed_end: Offset,
    end_of: impl Fn(i32) -> Option<Offset>,
) -> Checked {
    for member in state.isr.iter().chain(&state.elr) {
        if let Some(end) = end_of(member.0)
            && end < committed_end
        {
            let what = format!(
                "{at}: broker {member} may lead (ISR {:?}, ELR {:?}) and ends at {end}, committed is up to {committed_end}",
                state.isr, state.elr
            );
            return Err(Violation::new("LeaderCandidateCompleteness", what));
        }
    }
    Ok(())
}
