use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::MetadataImage;
use tokio::sync::watch;

/// The newest metadata image this broker has published to itself. Cheap to clone and to load.
#[derive(Clone)]
pub struct MetadataCache {
    image: Arc<watch::Sender<Arc<MetadataImage>>>,
}

impl Default for MetadataCache {
    fn default() -> MetadataCache {
        MetadataCache::new(Arc::default())
    }
}

impl MetadataCache {
    /// A cache that starts with this image.
    pub fn new(image: Arc<MetadataImage>) -> MetadataCache {
        MetadataCache { image: Arc::new(watch::Sender::new(image)) }
    }

    /// The image now. Take it once per request, so that an answer is of one version.
    pub fn load(&self) -> Arc<MetadataImage> {
        self.image.borrow().clone()
    }

    /// A receiver that sees every newer image (it may skip some).
    pub fn subscribe(&self) -> watch::Receiver<Arc<MetadataImage>> {
        self.image.subscribe()
    }

    /// Replaces the image. The watch loop's publisher calls it once replicas and coordinators know of the change.
    pub fn publish(&self, image: Arc<MetadataImage>) {
        self.image.send_replace(image);
    }

    /// Waits until the image is at this version or past it; `false` if `timeout` came first.
    pub async fn wait_for_version(&self, version: u64, timeout: Duration) -> bool {
        let mut images = self.image.subscribe();
        let reached = images.wait_for(|image| image.version >= version);
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_)))
    }
}
