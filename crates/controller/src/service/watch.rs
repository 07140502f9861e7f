use std::sync::Arc;

use raftsman_rpc::controller as pb;
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::reply;
use crate::raft::{FeedRead, MetadataFeed, snapshot_parts};

/// How many batches are taken from the feed at once.
const BATCHES_AT_ONCE: usize = 64;

/// Updates that wait for the watcher to read them.
pub(super) const UPDATES_LIMIT: usize = 4;

/// Feeds one watcher from the version it has, until it hangs up, or until this controller's store stalls: nothing new would
/// come then, while other controllers have it.
pub(super) async fn feed_watcher(
    feed: Arc<MetadataFeed>,
    from_version: u64,
    mut stalled: watch::Receiver<bool>,
    updates: Updates,
) {
    let mut version = from_version;
    let mut versions = feed.watch_version();
    loop {
        versions.mark_unchanged();
        let sent = match feed.read_from(version, BATCHES_AT_ONCE) {
            FeedRead::Batches(batches) => send_batches(batches, &updates, &mut version).await,
            FeedRead::Snapshot(image) => send_snapshot(image, &updates, &mut version).await,
            FeedRead::UpToDate => tokio::select! {
                changed = versions.changed() => changed.is_ok(),
                () = updates.closed() => false,
                () = stalls(&mut stalled) => {
                    // The watcher may have hung up, or the controller be gone: then nobody needs the reason.
                    let _ = updates.try_send(Err(reply::not_active(None)));
                    false
                }
            },
        };
        if !sent {
            return;
        }
    }
}

/// Returns when the store stalls, or the controller is gone.
async fn stalls(stalled: &mut watch::Receiver<bool>) {
    let _ = stalled.wait_for(|stalled| *stalled).await;
}

type Updates = mpsc::Sender<Result<pb::MetadataUpdate, Status>>;

async fn send_batches(batches: Vec<Arc<raftsman_rpc::metadata::Batch>>, updates: &Updates, version: &mut u64) -> bool {
    for batch in batches {
        let update = pb::metadata_update::Update::Batch((*batch).clone());
        if updates.send(Ok(pb::MetadataUpdate { update: Some(update) })).await.is_err() {
            return false;
        }
        *version += 1;
    }
    true
}

async fn send_snapshot(image: raftsman_metadata::MetadataImage, updates: &Updates, version: &mut u64) -> bool {
    for part in snapshot_parts(&image) {
        let update = pb::metadata_update::Update::Snapshot(part);
        if updates.send(Ok(pb::MetadataUpdate { update: Some(update) })).await.is_err() {
            return false;
        }
    }
    *version = image.version;
    true
}
