use crate::MetadataRecord;

/// One entry of the metadata log: records that take effect together, and the image version they were decided on.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataEntry {
    /// The version of the image that the records were decided against. The entry is replayed only onto that
    /// version (an `Activate` record alone is exempt); onto any other it is *Stale* and changes nothing.
    pub base_version: u64,
    /// What happened, in order.
    pub records: Vec<MetadataRecord>,
}

/// What replaying an entry did. Every node computes the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryOutcome {
    /// The records are in the image, whose version rose by one.
    Applied,
    /// The entry was decided on another version and changed nothing.
    Stale,
}
