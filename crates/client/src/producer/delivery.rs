use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::ClientError;

/// Where an acknowledged record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// The partition.
    pub partition: i32,
    /// The record's offset; `None` with acks=0, or where the broker only said that it has the batch already.
    pub offset: Option<i64>,
}

/// The fate of one record: resolves when it is acknowledged or given up.
#[derive(Debug)]
pub struct Delivery {
    settled: oneshot::Receiver<Result<Acked, ClientError>>,
}

impl Delivery {
    pub(super) fn new(settled: oneshot::Receiver<Result<Acked, ClientError>>) -> Delivery {
        Delivery { settled }
    }
}

impl Future for Delivery {
    type Output = Result<Acked, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.settled).poll(cx).map(|settled| settled.unwrap_or(Err(ClientError::Closed)))
    }
}
