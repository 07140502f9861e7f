use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use raftsman_metadata::MetadataImage;
use raftsman_rpc::metadata::Batch;
use tokio::sync::watch;

/// How much of the recent past is kept for watchers that are a little behind; the others get a snapshot.
const MAX_TAIL_BYTES: usize = 2 << 20;
const MAX_TAIL_BATCHES: usize = 4096;

/// What the state machine has applied, for everybody outside of Raft: the image and the batches that led to it.
#[derive(Debug)]
pub(crate) struct MetadataFeed {
    state: Mutex<FeedState>,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct FeedState {
    image: MetadataImage,
    /// Consecutive applied batches; the last one led to the image's version.
    tail: VecDeque<(Arc<Batch>, usize)>,
    tail_bytes: usize,
    /// How many bytes of entries came since the last snapshot was asked for.
    log_bytes: u64,
}

/// What a watcher at some version needs next.
#[derive(Debug)]
pub(crate) enum FeedRead {
    /// Nothing yet.
    UpToDate,
    /// These batches, in order.
    Batches(Vec<Arc<Batch>>),
    /// The whole image: what it has is too old.
    Snapshot(MetadataImage),
}

impl Default for MetadataFeed {
    fn default() -> MetadataFeed {
        MetadataFeed { state: Mutex::default(), version: watch::Sender::new(0) }
    }
}

impl MetadataFeed {
    /// The image as applied last; a clone costs nothing.
    pub fn image(&self) -> MetadataImage {
        self.state.lock().image.clone()
    }

    /// Tells when the image has advanced.
    pub fn watch_version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Takes in batches that were applied, with their encoded sizes, and the image after them.
    pub fn advance(&self, image: MetadataImage, batches: Vec<(Arc<Batch>, usize)>) {
        let version = image.version;
        let mut state = self.state.lock();
        state.image = image;
        for (batch, bytes) in batches {
            state.tail_bytes += bytes;
            state.log_bytes += bytes as u64;
            state.tail.push_back((batch, bytes));
        }
        while state.tail_bytes > MAX_TAIL_BYTES || state.tail.len() > MAX_TAIL_BATCHES {
            let Some((_, bytes)) = state.tail.pop_front() else { break };
            state.tail_bytes -= bytes;
        }
        drop(state);
        self.version.send_replace(version);
    }

    /// Takes in an image that batches did not lead to: a snapshot's.
    pub fn replace(&self, image: MetadataImage) {
        let version = image.version;
        *self.state.lock() = FeedState { image, ..FeedState::default() };
        self.version.send_replace(version);
    }

    /// Whether entries of so many bytes came since this was last true.
    pub fn restart_log_bytes(&self, limit_bytes: u64) -> bool {
        let mut state = self.state.lock();
        let reached = state.log_bytes >= limit_bytes;
        if reached {
            state.log_bytes = 0;
        }
        reached
    }

    /// What a watcher that has this version needs.
    pub fn read_from(&self, version: u64, max_batches: usize) -> FeedRead {
        let state = self.state.lock();
        let Some(behind) = state.image.version.checked_sub(version).filter(|behind| *behind > 0) else {
            return FeedRead::UpToDate;
        };
        match usize::try_from(behind).ok().and_then(|behind| state.tail.len().checked_sub(behind)) {
            Some(skip) => FeedRead::Batches(
                state.tail.iter().skip(skip).take(max_batches).map(|(batch, _)| batch.clone()).collect(),
            ),
            None => FeedRead::Snapshot(state.image.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(version: u64) -> MetadataImage {
        MetadataImage { version, ..MetadataImage::default() }
    }

    fn batch(base_version: u64) -> (Arc<Batch>, usize) {
        (Arc::new(Batch { base_version, records: vec![] }), 1 << 20)
    }

    #[test]
    fn watchers_get_batches_while_they_are_kept_and_a_snapshot_after() {
        let feed = MetadataFeed::default();
        assert!(matches!(feed.read_from(0, 10), FeedRead::UpToDate));
        feed.advance(image(1), vec![batch(0)]);
        feed.advance(image(2), vec![batch(1)]);
        let versions = |read| match read {
            FeedRead::Batches(batches) => batches.iter().map(|b| b.base_version).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(versions(feed.read_from(0, 10)), [0, 1]);
        assert_eq!(versions(feed.read_from(0, 1)), [0]);
        assert_eq!(versions(feed.read_from(1, 10)), [1]);
        assert!(matches!(feed.read_from(2, 10), FeedRead::UpToDate));
        assert!(matches!(feed.read_from(9, 10), FeedRead::UpToDate), "a watcher may be ahead of this controller");
        feed.advance(image(3), vec![batch(2)]);
        assert!(
            matches!(feed.read_from(0, 10), FeedRead::Snapshot(i) if i.version == 3),
            "the first batch was dropped"
        );
        assert_eq!(versions(feed.read_from(1, 10)), [1, 2]);
        feed.replace(image(7));
        assert!(matches!(feed.read_from(3, 10), FeedRead::Snapshot(i) if i.version == 7));
    }
}
