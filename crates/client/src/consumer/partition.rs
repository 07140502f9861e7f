use raftsman_types::TopicPartition;
use tokio::time::Instant;

use super::options::StartAt;

/// The timestamps of ListOffsets that ask for a log's ends.
const EARLIEST_TIMESTAMP: i64 = -2;
const LATEST_TIMESTAMP: i64 = -1;

/// An assigned partition: where reading stands.
#[derive(Debug, Clone)]
pub(super) struct AssignedPartition {
    pub at: TopicPartition,
    pub position: Position,
    pub high_watermark: i64,
    /// Not asked again before this time, because the last answer was an error.
    pub paused_until: Option<Instant>,
}

/// The next offset, or how to find it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Offset(i64),
    /// By ListOffsets with this timestamp.
    Ask(i64),
}

impl AssignedPartition {
    pub fn new(at: TopicPartition, start: StartAt) -> AssignedPartition {
        let position = match start {
            StartAt::Earliest => Position::Ask(EARLIEST_TIMESTAMP),
            StartAt::Latest => Position::Ask(LATEST_TIMESTAMP),
            StartAt::Offset(offset) => Position::Offset(offset),
        };
        AssignedPartition { at, position, high_watermark: -1, paused_until: None }
    }

    /// Starts over at one of the ends.
    pub fn reset(&mut self, start: StartAt) {
        self.position = AssignedPartition::new(self.at.clone(), start).position;
    }
}
