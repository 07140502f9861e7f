use std::collections::BTreeMap;

use raftsman_metadata::MetadataImage;

use super::Violation;

/// How many versions are remembered: no controller lags further behind for as long as a run lasts.
const REMEMBERED: usize = 2000;

/// MetadataLogMatching: an image version is the same wherever it is applied.
#[derive(Debug, Default)]
pub(super) struct MetadataLogMatching {
    images: BTreeMap<u64, MetadataImage>,
}

impl MetadataLogMatching {
    /// The image before, if this is the first time that this version is seen.
    pub fn check(&mut self, node: i32, image: &MetadataImage) -> Result<Option<MetadataImage>, Violation> {
        if let Some(seen) = self.images.get(&image.version) {
            if seen != image {
                let what = format!("controller {node} has another image of version {}", image.version);
                return Err(Violation::new("MetadataLogMatching", what));
            }
            return Ok(None);
        }
        let newest = self.images.last_key_value().map(|(_, image)| image.clone()).unwrap_or_default();
        self.images.insert(image.version, image.clone());
        if self.images.len() > REMEMBERED {
            self.images.pop_first();
        }
        Ok((image.version > newest.version).then_some(newest))
    }

    /// The newest image that any controller has applied.
    pub fn newest(&self) -> Option<&MetadataImage> {
        self.images.last_key_value().map(|(_, image)| image)
    }
}
