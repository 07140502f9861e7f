use std::sync::Arc;

use raftsman_metadata::{MetadataDelta, MetadataImage};
use tokio::sync::watch;

use super::MetadataCache;

/// A part of the broker that acts on changes of the metadata.
pub trait MetadataSubscriber: Send + Sync {
    /// Takes a change. Called from one thread, in order, each delta following on the one before; may block.
    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>);
}

/// Tells every part of the broker of each new image, then shows it to requests: a request never sees metadata that
/// the replicas have not taken in.
pub(crate) struct Publisher {
    cache: MetadataCache,
    subscribers: Vec<Arc<dyn MetadataSubscriber>>,
}

impl Publisher {
    /// A publisher to these, in this order.
    pub(crate) fn new(cache: MetadataCache, subscribers: Vec<Arc<dyn MetadataSubscriber>>) -> Publisher {
        Publisher { cache, subscribers }
    }

    /// Publishes each image offered until there will be none any more. Opening and closing logs may take long, so this
    /// has a thread of its own; images that come meanwhile are taken in one step.
    pub(crate) async fn run(self, mut images: watch::Receiver<Arc<MetadataImage>>) {
        while images.changed().await.is_ok() {
            let image = images.borrow_and_update().clone();
            self.publish(&image);
        }
    }

    fn publish(&self, image: &Arc<MetadataImage>) {
        let before = self.cache.load();
        let delta = MetadataDelta::between(&before, image);
        for subscriber in &self.subscribers {
            subscriber.publish(&delta, image);
        }
        self.cache.publish(image.clone());
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    struct Recorder {
        cache: MetadataCache,
        seen: Mutex<Vec<(u64, u64)>>,
    }

    impl MetadataSubscriber for Recorder {
        fn publish(&self, _delta: &MetadataDelta, image: &Arc<MetadataImage>) {
            self.seen.lock().push((image.version, self.cache.load().version));
        }
    }

    fn image(version: u64) -> Arc<MetadataImage> {
        Arc::new(MetadataImage { version, ..MetadataImage::default() })
    }

    #[tokio::test]
    async fn the_cache_shows_an_image_last_of_all() {
        let cache = MetadataCache::default();
        let recorder = Arc::new(Recorder { cache: cache.clone(), seen: Mutex::default() });
        let publisher = Publisher::new(cache.clone(), vec![recorder.clone()]);
        let (offered, images) = watch::channel(image(0));
        let running = tokio::spawn(publisher.run(images));
        offered.send_replace(image(1));
        let mut shown = cache.subscribe();
        shown.wait_for(|image| image.version == 1).await.unwrap();
        offered.send_replace(image(5));
        shown.wait_for(|image| image.version == 5).await.unwrap();
        drop(offered);
        running.await.unwrap();
        assert_eq!(*recorder.seen.lock(), [(1, 0), (5, 1)]);
    }
}
