use raftsman_types::Offset;

/// When a record counts as held by a replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the kernel has it: Kafka's way.
    Written,
    /// When the disk has it.
    #[default]
    Flushed,
}

/// Where a replica's log stands. `start ≤ flushed ≤ end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// The first offset.
    pub start: Offset,
    /// The offset after the last record.
    pub end: Offset,
    /// Everything below is on the disk.
    pub flushed: Offset,
}

impl LogPosition {
    /// Up to where the log counts under a durability.
    pub fn counted(&self, durability: Durability) -> Offset {
        match durability {
            Durability::Written => self.end,
            Durability::Flushed => self.flushed,
        }
    }
}
