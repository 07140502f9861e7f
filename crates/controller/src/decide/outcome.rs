use raftsman_metadata::{MetadataImage, MetadataRecord};

use super::{BrokerReference, Reply, RequestError};
use raftsman_types::ErrorCode;

/// What was decided: records, cut into entries that each leave a valid image, and the reply that their commit allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The records of each entry, in order; none if nothing changes. The first of them may join records already decided
    /// on the same version.
    pub entries: Vec<Vec<MetadataRecord>>,
    /// The reply, due once all of that (and all before it) is committed.
    pub reply: Reply,
}

impl Outcome {
    /// A reply that changes nothing.
    pub(super) fn unchanged(reply: Reply) -> Outcome {
        Outcome { entries: Vec::new(), reply }
    }

    /// All records, whatever entries they are in.
    pub fn records(&self) -> impl Iterator<Item = &MetadataRecord> {
        self.entries.iter().flatten()
    }
}

/// How many bytes of records one outcome puts into one entry. With what may already wait in it an entry stays within 256 KiB.
pub(super) const DRAFT_BYTES: usize = 160 * 1024;

/// Records being decided, with the image as they leave it.
#[derive(Debug)]
pub(super) struct Draft {
    image: MetadataImage,
    entries: Vec<Vec<MetadataRecord>>,
    open: Vec<MetadataRecord>,
    open_bytes: usize,
}

impl Draft {
    pub(super) fn new(image: &MetadataImage) -> Draft {
        Draft { image: image.clone(), entries: Vec::new(), open: Vec::new(), open_bytes: 0 }
    }

    /// The image with everything drafted so far.
    pub(super) fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// The version that the entry of the next record makes.
    pub(super) fn next_version(&self) -> u64 {
        self.image.version + 1
    }

    pub(super) fn push(&mut self, record: MetadataRecord) {
        self.image.replay_record(&record);
        self.open_bytes += record.size_bound();
        self.open.push(record);
    }

    /// The image is valid here: if the entry is full, what follows goes into another one.
    pub(super) fn may_split(&mut self) {
        if self.open_bytes >= DRAFT_BYTES {
            self.image.close_entry();
            self.entries.push(std::mem::take(&mut self.open));
            self.open_bytes = 0;
        }
    }

    pub(super) fn with_reply(mut self, reply: Reply) -> Outcome {
        if !self.open.is_empty() {
            self.entries.push(self.open);
        }
        Outcome { entries: self.entries, reply }
    }
}

/// Whether the message comes from the broker's present registration.
pub(super) fn check_sender(image: &MetadataImage, sender: BrokerReference) -> Result<(), RequestError> {
    let BrokerReference { broker, broker_epoch } = sender;
    match image.broker_epoch(broker) {
        None => {
            let message = format!("broker {broker} is not registered: it has to register first");
            Err(RequestError { code: ErrorCode::BrokerIdNotRegistered, message })
        }
        Some(epoch) if epoch != broker_epoch => {
            let message =
                format!("broker {broker} is registered under epoch {epoch}, not {broker_epoch}: register again");
            Err(RequestError { code: ErrorCode::StaleBrokerEpoch, message })
        }
        Some(_) => Ok(()),
    }
}
