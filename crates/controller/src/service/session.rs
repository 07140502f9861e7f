use std::pin::Pin;

use futures::{Stream, StreamExt, stream};
use raftsman_rpc::controller as pb;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::convert;
use super::driver::Input;
use super::reply;
use crate::heartbeat::{SessionEvent, StreamId};

/// Answers that wait for a broker to read them.
const REPLIES_LIMIT: usize = 16;

/// The answers of one session stream.
pub(super) type Replies = Pin<Box<dyn Stream<Item = Result<pb::BrokerHeartbeatReply, Status>> + Send>>;

/// Runs one session stream: hands its heartbeats to the driver until either side ends it. `ended` is the status with which the
/// driver's end is told to the broker.
pub(super) async fn open(
    stream: StreamId,
    heartbeats: Streaming<pb::BrokerHeartbeat>,
    inputs: mpsc::Sender<Input>,
    ended: impl Fn() -> Status + Send + 'static,
) -> Result<Replies, Status> {
    let (replies, answers) = mpsc::channel(REPLIES_LIMIT);
    let (open, closed) = oneshot::channel();
    inputs.send(Input::StreamOpened { stream, replies, open }).await.map_err(|_| reply::not_active(None))?;
    tokio::spawn(async move {
        tokio::select! {
            () = carry(stream, heartbeats, &inputs) => {}
            // The driver has dropped its end.
            _ = closed => {}
        }
        // The driver is gone only with the controller.
        let _ = inputs.send(Input::Session(SessionEvent::StreamBroken { stream })).await;
    });
    let answers = ReceiverStream::new(answers).map(|answer| Ok(reply::heartbeat(answer)));
    let last = stream::once(async move { Err(ended()) });
    Ok(Box::pin(answers.chain(last)))
}

/// Hands heartbeats over until the broker's side ends or sends what is none.
async fn carry(stream: StreamId, mut heartbeats: Streaming<pb::BrokerHeartbeat>, inputs: &mpsc::Sender<Input>) {
    while let Ok(Some(message)) = heartbeats.message().await {
        let heartbeat = match convert::heartbeat(&message) {
            Ok(heartbeat) => heartbeat,
            Err(error) => {
                tracing::warn!(%error, "a broker's heartbeat is garbled; its stream is closed");
                return;
            }
        };
        if inputs.send(Input::Session(SessionEvent::Heartbeat { stream, heartbeat })).await.is_err() {
            return;
        }
    }
}
