use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::{MetadataEntry, MetadataImage, MetadataRecord};
use raftsman_rpc::ConvertError;
use raftsman_rpc::controller::controller_client::ControllerClient as Rpc;
use raftsman_rpc::controller::{MetadataUpdate, SnapshotPart, WatchMetadataRequest, metadata_update::Update};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Streaming;

use super::controllers::{AttemptError, Controllers, Purpose, classify};
use crate::lifecycle::BrokerIdentity;

const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// A part of a snapshot and an entry stay far below this.
const MAX_UPDATE_BYTES: usize = 16 << 20;

/// Follows the cluster's metadata: replays what a controller streams, and offers each new image.
///
/// Any controller serves, active or not. When a stream ends the next controller goes on from the version reached.
pub(crate) struct MetadataWatch {
    controllers: Arc<Controllers>,
    identity: Arc<BrokerIdentity>,
    image: MetadataImage,
    offered: watch::Sender<Arc<MetadataImage>>,
    snapshot: Vec<MetadataRecord>,
}

/// Why a stream of updates was given up.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("{0:?}")]
    Attempt(AttemptError),
    #[error("it sent metadata this broker cannot read: {0}")]
    Unreadable(#[from] ConvertError),
    #[error("it skipped from version {have} to {got}")]
    Gap { have: u64, got: u64 },
    #[error("its snapshot has version {got}, this broker is at {have} already")]
    Backwards { have: u64, got: u64 },
}

impl MetadataWatch {
    /// A watch that begins with nothing. The receiver sees the newest image; it may skip some.
    pub(crate) fn new(
        controllers: Arc<Controllers>,
        identity: Arc<BrokerIdentity>,
    ) -> (MetadataWatch, watch::Receiver<Arc<MetadataImage>>) {
        let (offered, images) = watch::channel(Arc::default());
        let watch =
            MetadataWatch { controllers, identity, image: MetadataImage::default(), offered, snapshot: Vec::new() };
        (watch, images)
    }

    /// Follows until a record comes that this release does not know: going on without it would be wrong. Answers with
    /// the line to stop the broker with.
    pub(crate) async fn follow(mut self) -> String {
        let mut search = self.controllers.search();
        loop {
            // No search of ours ends: without metadata there is nothing else to do.
            let deadline = Instant::now() + Duration::from_secs(3600);
            let Some(address) = self.controllers.next_address(&mut search, deadline).await else {
                return "no controller is configured: set controller.quorum.voters or controller.quorum.bootstrap.servers"
                    .to_owned();
            };
            let error = self.follow_one(&address).await;
            self.snapshot.clear();
            match error {
                WatchError::Unreadable(ConvertError::UnknownRecord | ConvertError::UnknownRecordVersion(_)) => {
                    return format!("the metadata from {address} cannot be followed: {error}");
                }
                WatchError::Attempt(AttemptError::Denied(why)) => {
                    return format!("the controllers refuse to send this broker metadata: {why}");
                }
                WatchError::Attempt(error) => {
                    tracing::debug!("the metadata stream ended: {error:?}");
                    self.controllers.failed(Purpose::Watch, &address, &error, &mut search);
                }
                error => {
                    tracing::warn!(controller = address, "the metadata stream was given up: {error}");
                    let again = AttemptError::Unknown(error.to_string());
                    self.controllers.failed(Purpose::Watch, &address, &again, &mut search);
                }
            }
        }
    }

    async fn follow_one(&mut self, address: &str) -> WatchError {
        let mut updates = match self.open(address).await {
            Ok(updates) => updates,
            Err(error) => return WatchError::Attempt(error),
        };
        tracing::debug!(controller = address, version = self.image.version, "following metadata");
        loop {
            match updates.message().await {
                Ok(Some(update)) => {
                    if let Err(error) = self.apply(update).await {
                        return error;
                    }
                }
                Ok(None) => return WatchError::Attempt(AttemptError::Unknown("the stream ended".to_owned())),
                Err(status) => return WatchError::Attempt(classify(address, &status)),
            }
        }
    }

    async fn open(&self, address: &str) -> Result<Streaming<MetadataUpdate>, AttemptError> {
        let channel = self.controllers.connect(Purpose::Watch, address).await?;
        let request = WatchMetadataRequest {
            cluster_id: self.identity.cluster_id().as_deref().unwrap_or_default().to_owned(),
            broker_id: self.identity.node_id.0,
            from_version: self.image.version,
        };
        let mut rpc = Rpc::new(channel).max_decoding_message_size(MAX_UPDATE_BYTES);
        match tokio::time::timeout(OPEN_TIMEOUT, rpc.watch_metadata(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(classify(address, &status)),
            Err(_) => Err(AttemptError::Unknown(format!("{address}: no answer in time"))),
        }
    }

    async fn apply(&mut self, update: MetadataUpdate) -> Result<(), WatchError> {
        match update.update {
            Some(Update::Snapshot(part)) => self.take_snapshot_part(part).await,
            Some(Update::Batch(batch)) => self.replay(&MetadataEntry::try_from(&batch)?),
            // Neither: an update of a newer release that carries nothing for us to act on is not ours to skip.
            None => Err(ConvertError::UnknownRecord.into()),
        }
    }

    fn replay(&mut self, entry: &MetadataEntry) -> Result<(), WatchError> {
        let is_activation = matches!(entry.records[..], [MetadataRecord::Activate { .. }]);
        if entry.base_version > self.image.version && !is_activation {
            return Err(WatchError::Gap { have: self.image.version, got: entry.base_version });
        }
        self.image.replay(entry);
        self.offer();
        Ok(())
    }

    async fn take_snapshot_part(&mut self, part: SnapshotPart) -> Result<(), WatchError> {
        let have = self.image.version;
        if part.version < have {
            return Err(WatchError::Backwards { have, got: part.version });
        }
        for record in &part.records {
            self.snapshot.push(MetadataRecord::try_from(record)?);
        }
        if !part.last {
            return Ok(());
        }
        let (version, records) = (part.version, std::mem::take(&mut self.snapshot));
        // A large image takes longer to build than heartbeats may wait.
        let built = tokio::task::spawn_blocking(move || MetadataImage::from_snapshot(version, records)).await;
        match built {
            Ok(image) => self.image = image,
            Err(error) => return Err(WatchError::Attempt(AttemptError::Unknown(error.to_string()))),
        }
        self.offer();
        Ok(())
    }

    fn offer(&self) {
        if self.offered.borrow().version != self.image.version {
            self.offered.send_replace(Arc::new(self.image.clone()));
        }
    }
}
