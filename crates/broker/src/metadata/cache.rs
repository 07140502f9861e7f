use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raftsman_metadata::{BrokerState, MetadataImage};
use raftsman_types::BrokerId;
use tokio::sync::watch;

/// The newest metadata image this broker has published to itself. Cheap to clone and to load.
#[derive(Clone)]
pub struct MetadataCache {
    image: Arc<watch::Sender<Arc<MetadataImage>>>,
    /// When each broker that is fenced now was seen to become so.
    fenced_at: Arc<Mutex<HashMap<BrokerId, Instant>>>,
}

impl Default for MetadataCache {
    fn default() -> MetadataCache {
        MetadataCache::new(Arc::default())
    }
}

impl MetadataCache {
    /// A cache that starts with this image.
    pub fn new(image: Arc<MetadataImage>) -> MetadataCache {
        MetadataCache { image: Arc::new(watch::Sender::new(image)), fenced_at: Arc::default() }
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
        self.note_fenced(&image);
        self.image.send_replace(image);
    }

    /// Whether the broker became fenced within the last `lately`, as this broker saw it.
    pub fn was_fenced_within(&self, id: BrokerId, lately: Duration) -> bool {
        self.fenced_at.lock().get(&id).is_some_and(|at| at.elapsed() < lately)
    }

    fn note_fenced(&self, image: &MetadataImage) {
        let before = self.load();
        let is_fenced = |image: &MetadataImage, id| image.broker(id).is_some_and(|b| b.state == BrokerState::Fenced);
        let mut fenced_at = self.fenced_at.lock();
        fenced_at.retain(|id, _| is_fenced(image, *id));
        for id in before.brokers.keys().filter(|id| !is_fenced(&before, **id) && is_fenced(image, **id)) {
            fenced_at.insert(*id, Instant::now());
        }
    }

    /// Waits until the image is at this version or past it; `false` if `timeout` came first.
    pub async fn wait_for_version(&self, version: u64, timeout: Duration) -> bool {
        let mut images = self.image.subscribe();
        let reached = images.wait_for(|image| image.version >= version);
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_)))
    }
}
