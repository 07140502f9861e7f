//! What Kafka's own tools have in common: client property files, and how a client is made from them.

mod client_properties;

pub use client_properties::ClientProperties;

use std::future::Future;

use crate::failure::Failure;

/// Runs a tool on a runtime of one thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system("cannot start a runtime"))?;
    let done = runtime.block_on(work);
    // Reading standard input may hang in a thread that nobody waits for any more.
    runtime.shutdown_background();
    done
}
