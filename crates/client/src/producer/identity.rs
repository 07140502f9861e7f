use raftsman_protocol::messages::init_producer_id::InitProducerIdRequest;
use raftsman_types::{ProducerEpoch, ProducerId};
use tokio::sync::Mutex;

use crate::connection::check;
use crate::retry::Retry;
use crate::{Client, ClientError};

/// The last version without two-phase commit.
const INIT_PRODUCER_ID_VERSION: i16 = 5;

/// A producer id with its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
}

/// Where the partitions of one producer get their producer id: all the same one, until a partition needs a new one
/// because the fate of a batch under the old one will never be known.
#[derive(Debug)]
pub(super) struct IdentitySource {
    client: Client,
    shared: Mutex<Option<Identity>>,
}

impl IdentitySource {
    pub fn new(client: Client) -> IdentitySource {
        IdentitySource { client, shared: Mutex::default() }
    }

    /// The identity all partitions begin with.
    pub async fn shared(&self, retry: &mut Retry) -> Result<Identity, ClientError> {
        let mut shared = self.shared.lock().await;
        if let Some(identity) = *shared {
            return Ok(identity);
        }
        let identity = self.fresh(retry).await?;
        *shared = Some(identity);
        Ok(identity)
    }

    /// An identity nobody has used yet.
    pub async fn fresh(&self, retry: &mut Retry) -> Result<Identity, ClientError> {
        loop {
            match self.ask().await {
                Err(error) if error.is_retriable() => retry.pause(|| format!("a producer id: {error}")).await?,
                done => return done,
            }
        }
    }

    async fn ask(&self) -> Result<Identity, ClientError> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: ProducerId::NONE.0,
            producer_epoch: ProducerEpoch::NONE.0,
            ..InitProducerIdRequest::default()
        };
        let answer = self.client.any_connection().await?.request(&request, INIT_PRODUCER_ID_VERSION).await?;
        check(answer.error_code, None, || "a producer id".to_owned())?;
        Ok(Identity { id: ProducerId(answer.producer_id), epoch: ProducerEpoch(answer.producer_epoch) })
    }
}
