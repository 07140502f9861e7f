use bytes::Bytes;
use prost::Message;
use raftsman_metadata::{MetadataEntry, MetadataRecord};

use super::ConvertError;
use crate::metadata as pb;

impl From<&MetadataEntry> for pb::Batch {
    fn from(entry: &MetadataEntry) -> pb::Batch {
        pb::Batch { base_version: entry.base_version, records: entry.records.iter().map(pb::Record::from).collect() }
    }
}

impl TryFrom<&pb::Batch> for MetadataEntry {
    type Error = ConvertError;

    fn try_from(batch: &pb::Batch) -> Result<MetadataEntry, ConvertError> {
        let records = batch.records.iter().map(MetadataRecord::try_from).collect::<Result<_, _>>()?;
        Ok(MetadataEntry { base_version: batch.base_version, records })
    }
}

impl pb::Batch {
    /// The bytes that the metadata log keeps of an entry.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.encode_to_vec())
    }

    /// An entry from the metadata log's bytes.
    ///
    /// # Errors
    /// [`ConvertError::Undecodable`] if they are none.
    pub fn from_bytes(bytes: Bytes) -> Result<pb::Batch, ConvertError> {
        pb::Batch::decode(bytes)
            .map_err(|e| ConvertError::Undecodable { what: "metadata batch", reason: e.to_string() })
    }
}
