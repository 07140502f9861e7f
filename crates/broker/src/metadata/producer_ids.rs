use std::ops::Range;

use parking_lot::Mutex;
use raftsman_types::ProducerId;

use super::{ControllerClient, ControllerError};

/// Hands out producer ids from blocks that the controller allocates (KIP-730): one round trip per block.
pub struct ProducerIds {
    controller: ControllerClient,
    block: Mutex<Range<i64>>,
    /// Held while a block is fetched, so that a thousand new producers fetch one block and not a thousand.
    refill: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    /// Starts without a block.
    pub fn new(controller: ControllerClient) -> ProducerIds {
        ProducerIds { controller, block: Mutex::new(0..0), refill: tokio::sync::Mutex::new(()) }
    }

    /// An id that nobody in the cluster has had.
    ///
    /// # Errors
    /// [`ControllerError`] if a new block was needed and could not be had.
    pub async fn next(&self) -> Result<ProducerId, ControllerError> {
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let _refilling = self.refill.lock().await;
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let mut block = self.controller.allocate_producer_ids().await?;
        let id = block.next().ok_or(ControllerError::Refused(raftsman_types::ErrorCode::UnknownServerError))?;
        *self.block.lock() = block;
        Ok(ProducerId(id))
    }

    fn take(&self) -> Option<ProducerId> {
        self.block.lock().next().map(ProducerId)
    }
}
